"""Training a classifier, from a recipe to a run folder."""

import dataclasses

import keras

from kerascnn.analysis.summary import symbolic_model
from kerascnn.classification.losses import SparseCrossEntropy
from kerascnn.models import builder
from kerascnn.training.fit import fit


def train(recipe, data, folder, app, augment=None, callbacks=(), resume=False):
    """Train the network of a task's recipe, as a DigitRecipe is one, on a Dataset into `folder`; the trained network.

    app: what recipe.json says of whose run it is. augment, callbacks, resume: as fit takes them. Raises what fit
    raises, and UsageError, before `folder` is made, where the network does not take the images.
    """
    shape, classes = data.train.images.shape[1:], len(data.class_names)
    symbolic_model(recipe.model, shape, classes)  # raises where the network does not take such images
    metadata = {"app": app, "data": data.metadata(), "class_names": data.class_names}
    return fit(
        lambda: builder(recipe.model)(shape, classes),
        data.train,
        data.validation,
        recipe.training,
        folder,
        loss=SparseCrossEntropy(recipe.training.label_smoothing),
        metrics=[lambda: keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        augment=augment,
        metadata={"recipe": dataclasses.asdict(recipe), **metadata},
        callbacks=callbacks,
        resume=resume,
    )
