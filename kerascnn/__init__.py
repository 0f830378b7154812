"""The classic convolutional networks as real software on Keras 3 and TensorFlow.

    import kerascnn as kc

    data = kc.datasets.load("synthetic")
    model = kc.models.lenet5((28, 28, 1), 10)  # a plain, uncompiled keras.Model
    run = kc.fit(model, data, kc.Recipe(epochs=2), folder="runs/mine")
    kc.evaluate(model, data.test)["accuracy"]
    kc.export(model, "runs/mine", class_names=data.class_names)
    kc.load_predictor("runs/mine").predict("a.png")["class_name"]

Nothing heavy is imported before a name is used.
"""

import importlib
import os
import platform

__version__ = "0.1.0"

# TensorFlow, if it is imported after this, uses oneDNN on every x86 processor: by itself it does not on those without
# AVX512_VNNI, where training takes twice as long without.
if platform.machine() in ("x86_64", "AMD64"):
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# By public name, the module that has it, or is it; strings, since an import here would let every module that asks for
# __version__ depend on all others.
LAZY = {
    "Recipe": "kerascnn.training.recipe",
    "augmentation": "kerascnn.datasets.augmentation",
    "batches": "kerascnn.datasets.batches",
    "calibrate": "kerascnn.classification.evaluation",
    "callbacks": "kerascnn.training.callbacks",
    "datasets": "kerascnn.datasets",
    "layers": "kerascnn.layers",
    "load_model": "kerascnn.training.run_folder",
    "load_predictor": "kerascnn.serving.predictor",
    "load_weights": "kerascnn.pretrained",
    "models": "kerascnn.models",
}
__all__ = sorted([*LAZY, "evaluate", "export", "fit"])


def __getattr__(name):
    if name not in LAZY:
        raise AttributeError(f"module 'kerascnn' has no attribute {name!r}")
    module = importlib.import_module(LAZY[name])
    return getattr(module, name, module)


def __dir__():
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


# The one place that chooses between tasks: labels are classified, masks are segmented.
CLASSIFICATION, SEGMENTATION = "classification", "segmentation"


def fit(
    model, data, recipe=None, *, folder, loss=None, metrics=None, callbacks=(), resume=True, verbose="auto",
    metadata=None, conclude=None,
):  # fmt: skip
    """Train `model` in place, in a run folder, and return the Run; killed, the same call goes on where it stood.

        x, y = np.zeros((64, 28, 28, 1), np.uint8), np.arange(64) % 10
        model = kc.models.lenet5((28, 28, 1), 10)
        run = kc.fit(model, kc.datasets.from_arrays(x, y), kc.Recipe(epochs=2, batch_size=16), folder="runs/mine")
        run.history["val_loss"], run.best_epoch

    model: a built keras.Model: a builder's, Functional, Sequential or a subclass of these with its own train_step. It
    gets the weights of its best epoch. A compiled one keeps its loss, metrics and optimizer; another one is trained
    with the recipe's optimizer and, unless they are given, the loss and metrics that the data call for: labels
    cross-entropy on logits, masks soft Dice with cross-entropy. data: a Dataset; or a tf.data.Dataset of batches
    (images, labels) or (images, labels, sample weights), or a pair of such ones, training and validation. recipe: a
    Recipe. folder: of the run, which gets `model.keras`, `history.csv`, `learning_curve.png` and `recipe.json`.
    callbacks: Keras's; see callbacks.Resumable for those with a state. Of small images many steps run in one call, so
    their hooks of batches come once in 16 to 32 steps, unless the model is compiled. resume: False raises where the
    folder holds an unfinished run. verbose: as for model.fit. metadata: what recipe.json shall say besides, a dict for
    JSON; a resumed run must be given the same; `recipe` and `data` in it stand for what the run says of these.
    conclude(model) -> what it shall say of the trained model, a dict for JSON; see kc.calibrate.

    A folder with a finished run raises. Of a model that is compiled here, without a train_step of its own, statistics
    of batch normalization are measured once more for the weights that are kept, so it may score better than the history
    says of its epoch. More: kerascnn.training.fit.fit.
    """
    recipe = __getattr__("Recipe")() if recipe is None else recipe
    options = {"loss": loss, "metrics": metrics}
    if not getattr(model, "compiled", True) and isinstance(recipe, __getattr__("Recipe")):
        if loss is not None and recipe.label_smoothing:
            words = f"label_smoothing is {recipe.label_smoothing}, and the loss that is given is not told of it"
            raise _module("errors").UsageError(f"{words}; leave one of the two out", argument="label_smoothing")
        usual = _module(f"{_task(data)}.training").loss_and_metrics(recipe)
        options = {name: usual[name] if value is None else value for name, value in options.items()}
    return _module("training.fit").fit(
        model, data, recipe, folder=folder, **options, callbacks=callbacks, resume=resume, verbose=verbose,
        metadata=metadata, conclude=conclude,
    )  # fmt: skip


def evaluate(model, data, *, class_names=None):
    """The metrics of `model` on examples, a dict of plain numbers; writes nothing.

        kc.evaluate(model, data.test)["accuracy"]

    data: a split of a Dataset, or a tf.data.Dataset of batches (images, labels); with labels the metrics are those of
    a classifier (accuracy, error, cross_entropy, ece, per_class …), with masks of a segmentation network (dice, iou,
    image_dice). The output of the model is logits, taken as they are: without the temperature and the views that a run
    may have recorded. class_names: what per_class calls the classes of a classifier; default: 0, 1, 2 ….
    """
    if hasattr(data, "train"):
        words = f"data is the whole data set {data.name}; give one of its splits, as data.test"
        raise _module("errors").UsageError(words, argument="data")
    task = _task(data)
    options = {"class_names": class_names} if task == CLASSIFICATION else {}
    return _module(f"{task}.evaluation").evaluate(model, data, **options)


def export(model, folder, *, class_names=None, preprocessing=None, examples=None):
    """Write `model` as the next version of a SavedModel in `folder`, verified, and return that version's path.

        kc.export(model, "runs/mine", class_names=["cat", "dog"])  # runs/mine/1

    What the run in `folder` has recorded of how its network answers, its temperature and its views (`tta`), holds for
    `model`, too. model: a classifier, whose output is logits (B, classes), or a segmentation network, whose output is
    logits (B, H, W, 1 or 2). class_names: one text per class; default: 0, 1, 2 …. preprocessing: what raw images go
    through, of a classifier a function of TensorFlow ops from uint8 (B, H, W, C) to the model's input, of a
    segmentation network a kerascnn.segmentation.inference.Preprocessing; its name and first line of documentation are
    recorded in card.json. By default a classifier's are resized and cropped as the photos of the run in `folder` were,
    to 224x224 where there were none and the model takes any size, and a segmentation network's resized whatever their
    proportions. examples: raw images uint8 (N, H, W, C) on which the export is verified and a server warms up; by
    default random ones.

    Raises UsageError where names do not fit the logits, InputError where `folder` cannot be written to, RuntimeError
    where a program without Keras answers a probability that differs by more than 1e-5 on examples, 1e-4 on random
    images.
    """
    folder_of = _module("training.run_folder")
    masks = len(folder_of.main_head(folder_of.plain(model)).outputs[0].shape) == 4
    options = {"preprocessing": preprocessing, "examples": examples} | ({} if masks else {"class_names": class_names})
    if masks and class_names is not None:
        words = f"class_names is {class_names}, and the model answers with masks; leave it out"
        raise _module("errors").UsageError(words, argument="class_names")
    return _module(f"{SEGMENTATION if masks else CLASSIFICATION}.export").export(model, folder, **options)


def _module(name):
    return importlib.import_module(f"kerascnn.{name}")


def _task(data):
    """The task of a Dataset, of Examples, of a tf.data.Dataset or of a pair of these."""
    examples = getattr(data, "train", data[0] if isinstance(data, tuple) else data)
    element = getattr(examples, "element_spec", (None, None))
    labels = getattr(examples, "labels", element[1] if isinstance(element, tuple) and len(element) > 1 else None)
    if not hasattr(labels, "shape"):
        raise _module("errors").UsageError(
            f"data is {type(examples).__name__} without labels; give what kc.datasets.from_arrays(x, y) returns, or a "
            "tf.data.Dataset of batches (images, labels)",
            argument="data",
        )
    rank = labels.shape.rank if hasattr(labels.shape, "rank") else len(labels.shape)  # None where it is not known
    if rank == 3:
        words = f"data has labels of shape {tuple(labels.shape)}, neither labels (B,) nor masks (B, H, W, 1)"
        raise _module("errors").UsageError(f"{words}; add the last axis to masks", argument="data")
    return SEGMENTATION if rank == 4 else CLASSIFICATION
