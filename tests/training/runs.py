"""What the tests of fit train, and how."""

import csv

import keras
import tensorflow as tf

from kerascnn.classification.losses import CrossEntropy
from kerascnn.datasets.synthetic import drawn
from kerascnn.training.fit import fit
from kerascnn.training.recipe import Recipe

RECIPE = Recipe(epochs=2, batch_size=32, learning_rate=3e-3)

TRAIN, VALIDATION = drawn(640, 0), drawn(100, 1)  # 20 steps an epoch

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def network(shape=(28, 28, 1), num_classes=10):
    """One hidden layer, which is traced in a fraction of the time of a convolutional network."""
    image = keras.Input(shape, name="image")
    x = keras.layers.Dense(32, activation="relu", name="embedding")(keras.layers.Flatten()(image))
    return keras.Model(image, keras.layers.Dense(num_classes, name="logits")(x), name="network")


def train(folder, recipe=RECIPE, build=network, **options):
    """The model that build() returns, trained; weights and dropout are drawn with the recipe's seed."""
    keras.utils.set_random_seed(recipe.seed)
    model = build()
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    fit(model, (TRAIN, VALIDATION), recipe, folder=folder, loss=CrossEntropy(), metrics=[accuracy], **options)
    return model


def history(folder):
    with open(folder / "history.csv") as file:
        return list(csv.DictReader(file))


def compiled(model, optimizer="sgd", **options):
    model.compile(optimizer, loss=LOSS, metrics=["accuracy"], **options)
    return model


class OwnStep(keras.Model):
    """Trains and validates on images of another range than those it is given."""

    def train_step(self, data):
        images, labels = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(images, labels, self(8 * images - 4, training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}

    def test_step(self, data):
        return super().test_step((8 * data[0] - 4, data[1]))


def own():
    image = keras.Input((28, 28, 1))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(image))
    return compiled(OwnStep(image, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x))))
