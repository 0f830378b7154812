"""Training a classifier, from a recipe to a run folder."""

import dataclasses

import keras

from kerascnn.analysis.summary import symbolic_model
from kerascnn.classification.losses import SparseCrossEntropy
from kerascnn.models import builder
from kerascnn.training.fit import fit
from kerascnn.training.recipe import as_json


def train(recipe, data, folder, app, augmentations=(), callbacks=(), resume=False):
    """Train the network of a task's recipe, as a DigitRecipe is one, on a Dataset into `folder`; the training.Run.

    app: what recipe.json says of whose run it is. augmentations: those that the recipe's own fields ask for. callbacks,
    resume: as fit takes them. Raises what fit raises, and UsageError, before `folder` is made, where the network does
    not take the images.
    """
    shape, classes = data.train.image_shape, len(data.class_names)
    symbolic_model(recipe.model, shape, classes)  # raises where the network does not take such images
    keras.utils.set_random_seed(recipe.training.seed)
    return fit(
        builder(recipe.model)(shape, classes),
        data,
        dataclasses.replace(recipe.training, augmentations=augmentations),
        folder=folder,
        **loss_and_metrics(recipe.training),
        metadata={"recipe": as_json(recipe), "app": app, "class_names": data.class_names},
        callbacks=callbacks,
        resume=resume,
    )


def loss_and_metrics(recipe):
    """What fit needs for labels."""
    return {
        "loss": SparseCrossEntropy(recipe.label_smoothing),
        "metrics": [keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    }
