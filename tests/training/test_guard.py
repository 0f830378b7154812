from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from kerascnn.classification.losses import CrossEntropy
from kerascnn.errors import TrainingStopped
from kerascnn.training.feed import Feed
from kerascnn.training.fit import compile_model, fit
from kerascnn.training.guard import FiniteLoss
from kerascnn.training.recipe import Recipe
from tests.training.runs import TRAIN, VALIDATION, network

RECIPE = Recipe(epochs=2, batch_size=32, optimizer="sgd", learning_rate=1e-3)


def stopped(folder, build, recipe=RECIPE):
    """The message with which a training stops."""
    with pytest.raises(TrainingStopped) as caught:
        fit(build(), (TRAIN, VALIDATION), recipe, folder=folder, loss=CrossEntropy())
    return str(caught.value)


def test_the_first_step_is_kept_and_counted_from_one():
    optimizer = keras.optimizers.SGD()
    weight = keras.Variable([1.0])
    optimizer.build([weight])
    loss = FiniteLoss(keras.losses.MeanSquaredError(), optimizer)
    for prediction in (1.0, 2.0, np.nan, 3.0, np.inf):
        value = loss(np.zeros((2, 1), np.float32), np.full((2, 1), prediction, np.float32))
        np.testing.assert_equal(float(value), prediction**2)
        optimizer.apply([ops.zeros((1,))])
    assert int(loss.first_bad_step) == 3


@keras.saving.register_keras_serializable(package="tests")
class BrokenAt(keras.layers.Layer):
    """Logits that are nan from the batch `step` of the training on."""

    def __init__(self, step, **kwargs):
        super().__init__(**kwargs)
        self.step = step

    def build(self, shape):
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")

    def call(self, x, training=False):
        if training:
            self.seen.assign(self.seen + 1)
        return x + ops.where(self.seen >= self.step, float("nan"), 0.0)


@pytest.mark.parametrize("recipe", [RECIPE, replace(RECIPE, accumulate=4), replace(RECIPE, ema=0.9)])
@pytest.mark.parametrize("step", [7, 33])
def test_the_step_is_exact_within_a_call_of_many_and_counts_batches_of_all_epochs(recipe, step, tmp_path):
    def build():
        image = keras.Input((28, 28, 1), name="image")
        logits = keras.layers.Dense(10, name="logits")(keras.layers.Flatten()(image))
        return keras.Model(image, BrokenAt(step)(logits))

    assert stopped(tmp_path, build, recipe).startswith(
        f"loss is not finite at step {step}; lower learning_rate (now 0.001)"
    )


@pytest.mark.long
def test_a_head_on_the_way_is_looked_at_too(tmp_path):
    def build():
        model = network()
        side = keras.layers.Dense(10, name="aux1_logits")(model.get_layer("embedding").output)
        return keras.Model(model.input, {"logits": model.output, "aux1_logits": BrokenAt(5)(side)})

    assert stopped(tmp_path, build).startswith("loss is not finite at step 5;")


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
@pytest.mark.long
def test_no_variable_is_int32(precision):
    # int32 variables lie on the CPU, and a step that XLA compiles for a GPU cannot read them there
    keras.config.set_dtype_policy(precision)
    image = keras.Input((28, 28, 1))
    x = keras.layers.BatchNormalization()(keras.layers.Dense(8)(keras.layers.Flatten()(image)))
    model = keras.Model(image, keras.layers.Dense(10, dtype="float32")(keras.layers.Dropout(0.5)(x)))
    recipe, accuracy = replace(RECIPE, ema=0.9, accumulate=2), keras.metrics.SparseCategoricalAccuracy()
    guard = compile_model(model, recipe, CrossEntropy(), [accuracy], Feed((TRAIN, VALIDATION), recipe))
    model.train_on_batch(TRAIN.images[:4] / np.float32(255), TRAIN.labels[:4])
    metrics = [variable for metric in model.metrics for variable in metric.variables]
    variables = [*model.variables, *model.optimizer.variables, *metrics, guard.first_bad_step]
    kinds = {"kernel", "moving_mean", "seed_generator_state", "iteration", "total", "count"}
    assert kinds <= {variable.name for variable in variables}
    assert "int32" not in {keras.backend.standardize_dtype(variable.dtype) for variable in variables}


class OwnStep(keras.Model):
    """A model that takes a loss of its own, and no compiled loss or metric."""

    def train_step(self, data):
        import tensorflow as tf

        images, labels = data
        with tf.GradientTape() as tape:
            logits = self(images, training=True)
            loss = ops.mean(ops.sparse_categorical_crossentropy(labels, logits, from_logits=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return self.figures(loss)

    def figures(self, loss):
        return {"own_loss": loss}


def own(kind):
    model = network()
    return kind(model.input, model.output)


def test_a_model_with_a_train_step_of_its_own_trains(tmp_path):
    untrained = own(OwnStep).get_weights()
    model = own(OwnStep)
    fit(model, (TRAIN, VALIDATION), RECIPE, folder=tmp_path, loss=CrossEntropy())
    assert (tmp_path / "recipe.json").is_file()
    assert not any(np.array_equal(new, old) for new, old in zip(model.get_weights()[::2], untrained[::2], strict=True))


def test_a_loss_of_its_own_that_is_not_finite_stops_it(tmp_path):
    class Lost(OwnStep):
        def figures(self, loss):
            return {"loss": loss * float("nan")}

    assert stopped(tmp_path, lambda: own(Lost)).startswith("loss is not finite by step 20; lower learning_rate")


def test_weights_that_are_not_finite_stop_it_after_the_epoch(tmp_path):
    class Broken(OwnStep):
        def figures(self, loss):
            self.layers[-1].bias.assign(self.layers[-1].bias * float("nan"))
            return {"own_loss": loss}

        def test_step(self, data):
            return {"loss": 0.5}

    assert stopped(tmp_path, lambda: own(Broken)).startswith(
        "weights are not finite after epoch 1; lower learning_rate"
    )
