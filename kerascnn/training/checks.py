"""What fit() looks at before it trains: the call, the model beside the data, and the folder."""

import dataclasses
import json
import logging
import math
import shutil
import time
from collections.abc import Mapping

import keras
import numpy as np

from kerascnn.datasets.augmentation import unfolded
from kerascnn.datasets.batches import evaluation_batches
from kerascnn.datasets.image_files import ImageFiles
from kerascnn.errors import InputError, UsageError, reason_of
from kerascnn.files import write_aside, writing_to
from kerascnn.training.checkpoint import variables
from kerascnn.training.optimizers import unscaled
from kerascnn.training.recipe import Recipe
from kerascnn.training.run_folder import check_logits, check_unfinished, plain

logger = logging.getLogger(__name__)

LOOKED_AT = 8  # images at a time, until one decodes
LR_SETTERS = keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler
# what a compiled model has decided already
OF_OPTIMIZER = (
    "optimizer", "learning_rate", "layer_rates", "momentum", "nesterov", "schedule", "warmup_epochs", "decay_every",
    "decay_factor", "decay_epochs", "bias_learning_rate", "head_learning_rate", "coupled_weight_decay", "weight_decay",
    "label_smoothing", "clip_norm", "ema", "accumulate",
)  # fmt: skip
# what recipe.json says without being told
SAID_ALREADY = {
    "model", "compiled", "temperature", "complete", "epochs_run", "best_epoch", "validation", "training_seconds",
    "peak_memory_mib", "peak_gpu_memory_mib", "images_per_second", "precision", "hardware", "date", "versions", "argv",
}  # fmt: skip


def dumped(mapping):
    """The JSON of a mapping, a text. Raises TypeError or ValueError for what is none, or holds what JSON has not."""
    if not isinstance(mapping, Mapping):
        raise TypeError(f"it is {type(mapping).__name__}")
    return json.dumps(dict(mapping), allow_nan=False)


def checked_metadata(metadata):
    """What recipe.json shall say besides, in JSON types. Raises UsageError where it cannot, or says it already."""
    try:
        found = json.loads(dumped(metadata or {}))  # as it is compared on resuming
    except (TypeError, ValueError) as error:
        words = f"metadata is no JSON ({error}); give a dict of texts, finite numbers, lists and dicts"
        raise UsageError(words, argument="metadata") from None
    if taken := SAID_ALREADY & found.keys():
        words = f"metadata has {min(taken)!r}, which the run says itself"
        raise UsageError(f"{words}; choose another name", argument="metadata")
    return found


def check_call(model, recipe, loss, metrics, callbacks):
    """Raise UsageError for what a model cannot be compiled or trained with."""
    if not isinstance(recipe, Recipe):
        words = f"recipe is {type(recipe).__name__}; give a kc.Recipe"
        raise UsageError(f"{words}, and images and labels together as kc.datasets.from_arrays(x, y)", argument="recipe")
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            words = f"callbacks has {callback!r}, which is no keras.callbacks.Callback"
            remedy = f"; give {callback.__name__}()" if isinstance(callback, type) else ""
            raise UsageError(f"{words}{remedy}", argument="callbacks")
        if isinstance(callback, LR_SETTERS) and not rate_is_free(model, recipe):
            words = f"callbacks has a {type(callback).__name__}, and a schedule sets the learning rate"
            remedy = "compile the model with a number" if model.compiled else "choose the schedule plateau"
            raise UsageError(f"{words}; leave it out, or {remedy}", argument="callbacks")
    try:
        plain(model).get_config()
    except NotImplementedError as error:
        words = f"model {model.name} cannot be saved ({reason_of(error)})"
        raise UsageError(f"{words}; give its layers a get_config", argument="model") from None
    if not model.trainable_variables:
        words = f"model {model.name} has no layer that is trained"
        raise UsageError(f"{words}; set trainable = True of those that shall be", argument="model")
    if any(isinstance(callback, keras.callbacks.SwapEMAWeights) for callback in callbacks):
        words = "callbacks has SwapEMAWeights, and moving averages are validated and kept without it"
        raise UsageError(f"{words}; leave it out", argument="callbacks")
    if model.compiled:
        check_compiled(model, recipe, loss, metrics)
        return
    check_logits(model)
    if not isinstance(loss, keras.losses.Loss):
        words = f"loss is {loss!r}; give a keras.losses.Loss on logits"
        raise UsageError(f"{words}, as SparseCategoricalCrossentropy(from_logits=True)", argument="loss")
    if len(model.outputs) > 1 and not (isinstance(model.output, dict) and "logits" in model.output):
        words = f"model {model.name} has {len(model.outputs)} outputs, and none is called logits"
        raise UsageError(f"{words}; name them in a dict, logits first, or compile the model", argument="model")


def rate_is_free(model, recipe):
    """Whether a callback can set the learning rate: Keras raises TypeError, perhaps late, where a schedule does."""
    if not model.compiled:
        return recipe.schedule == "plateau"
    rate = getattr(unscaled(model.optimizer), "_learning_rate", None)
    return not isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)


def check_compiled(model, recipe, loss, metrics):
    """Raise UsageError for what a compiled model has decided already, warn of one that kc.export does not take."""
    given = {name: value for name, value in (("loss", loss), ("metrics", metrics)) if value}
    given |= {name: getattr(recipe, name) for name in OF_OPTIMIZER if getattr(recipe, name) != getattr(Recipe, name)}
    for name, value in given.items():
        words = f"{name} is {value}, and the model is compiled with an optimizer and a loss of its own"
        raise UsageError(f"{words}; leave it out, or give a model that is not compiled", argument=name)
    try:
        check_logits(model)
    except UsageError as error:
        logger.warning("kc.evaluate, kc.calibrate and kc.export will not take it: %s", error)


def check_fits(model, feed):
    """Raise UsageError where the model does not take the images or labels, or the recipe looks at what is not there."""
    for part in (feed.train, feed.validation):
        labels = part.element_spec[1] if hasattr(part, "element_spec") else None
        if getattr(labels, "shape", None) == ():
            words = "data is a tf.data.Dataset of single images; give it in batches, .batch(32)"
            raise UsageError(words, argument="data")
    for shape in (feed.image_shape, getattr(feed.validation, "image_shape", None)):
        check_image_shape(model, shape)
    named = isinstance(model.output, dict) and "logits" in model.output
    classes = (model.output["logits"] if named else model.outputs[0]).shape[-1]
    if not model.compiled and feed.largest_label is not None and feed.largest_label >= classes:
        words = f"data has labels up to {feed.largest_label}, and the model has {classes} logits"
        raise UsageError(f"{words}; build it for all classes, and count labels from 0", argument="data")
    for augmentation in unfolded(feed.recipe.augmentations):
        mixed = getattr(augmentation, "num_classes", classes)
        if not model.compiled and feed.largest_label is not None and mixed != classes:
            words = f"augmentations has {type(augmentation).__name__} with num_classes {mixed}"
            remedy = f"and the model has {classes} logits; give it as many"
            raise UsageError(f"{words}, {remedy}", argument="augmentations")
    check_updates(feed.recipe, feed.steps)
    for name in ("early_stopping", "schedule"):
        if getattr(feed.recipe, name) not in (0, "constant", "linear", "cosine", "step") and feed.validation is None:
            words = f"{name} is {getattr(feed.recipe, name)}, which looks at the validation loss"
            raise UsageError(f"{words}; give validation data, or leave it out", argument=name)


def check_image_shape(model, shape):
    """Raise UsageError where the model does not take images of this shape (H, W, C), or None."""
    wanted = tuple(model.inputs[0].shape[1:])
    if len(model.inputs) == 1 and shape and any(a and b and a != b for a, b in zip(wanted, shape, strict=False)):
        words = f"data has images of {'x'.join(map(str, shape))}, and the model takes {'x'.join(map(str, wanted))}"
        raise UsageError(f"{words}; build it for these, or resize them", argument="data")


def check_finite(model):
    """Raise UsageError where weights of the model are nan or infinite, as those of a training that diverged."""
    if not all(np.isfinite(array).all() for array in model.get_weights()):
        words = f"model {model.name} has weights that are not finite"
        raise UsageError(f"{words}; build it anew", argument="model")


def check_updates(recipe, steps):
    """Raise UsageError where more batches are accumulated than a training of so many steps an epoch has."""
    if (batches := steps * recipe.epochs) < recipe.accumulate:
        words = f"accumulate is {recipe.accumulate}, and the training has {batches} batches, no update"
        raise UsageError(f"{words}; accumulate fewer", argument="accumulate")


def check_clock():
    """Raise InputError for a date that a .keras file, which is a ZIP archive, cannot say: before 1980, after 2107."""
    if not 1980 <= (year := time.localtime(time.time()).tm_year) <= 2107:
        raise InputError(f"the clock of this machine says {year}, which no .keras file can; set it and run again")


def check_folder(folder, unfinished, resume):
    """Raise for what training here would destroy, and for a folder that cannot be written, before any work is done.

    unfinished: whether `folder` holds a part of a run.
    """
    check_unfinished(folder)
    if unfinished and not resume:
        raise UsageError(f"folder {folder} holds an unfinished run; resume it, or choose another folder")
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_aside(folder / "write.test", lambda aside: aside.write_text("1"))
        (folder / "write.test").unlink(missing_ok=True)  # of another process that has just come


def check_space(model, folder):
    """Raise InputError unless two checkpoints (the last, which may be there, and the next) and the model fit."""
    weights, kept = (sum(math.prod(v.shape) for v in each) * 4 for each in (model.variables, variables(model)))
    checkpoints = 1 if (folder / "checkpoint.npz").exists() else 2
    needed, free = checkpoints * (weights + kept) + weights + 2**20, shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"{folder} has {free / 2**20:.0f} MiB free and training needs {needed / 2**20:.0f}; "
            "free some space or choose another folder"
        )


def check_decodes(*splits):
    """Raise InputError where of the ImageFiles of a split none decodes; others may be anything."""
    for split in splits:
        if isinstance(split, ImageFiles):
            batches = evaluation_batches(dataclasses.replace(split, weights=None), LOOKED_AT)
            if not any(valid.numpy().any() for _, _, valid in batches):
                words = f"none of the {len(split):,} images in {split.root} decodes"
                raise InputError(f"{words}; give PNG, JPEG, WebP or BMP files")
