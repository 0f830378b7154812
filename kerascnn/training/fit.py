"""fit(): one training run, in one folder, that can be killed at any moment and resumed to the same weights.

What a folder holds: `checkpoint.npz` while the run lasts, `history.csv` from the first epoch on, `model.keras` and
`learning_curve.png` at the end, and `recipe.json` last of all: without it the run did not finish.
"""

import contextlib
import errno
import math
import shutil
from pathlib import Path

import keras
import tensorflow as tf

from kerascnn.datasets.image_folder import broken_files_named
from kerascnn.errors import InputError, TrainingStopped, UsageError
from kerascnn.files import one_writer, write_aside, writing_to
from kerascnn.training import batch_statistics
from kerascnn.training.callbacks import Resumable
from kerascnn.training.checkpoint import assign
from kerascnn.training.feed import Feed
from kerascnn.training.guard import FiniteLoss
from kerascnn.training.optimizers import create_optimizer
from kerascnn.training.precision import computing_in, deterministic_operations, half_precision, on_accelerator
from kerascnn.training.recipe import Recipe, as_json
from kerascnn.training.run import Run
from kerascnn.training.run_folder import check_logits, check_unfinished, plain

FREE_SPACE = "free some space and resume the run"
OUT_OF_MEMORY = ("OOM", "Out of memory", "Failed to allocate request")  # an operation's words, and XLA's on a GPU
AUXILIARY_WEIGHT = 0.3  # of the loss of a head on the way; Szegedy et al., 2014, arXiv:1409.4842, section 5
# what a compiled model has decided already
OF_OPTIMIZER = (
    "optimizer", "learning_rate", "momentum", "schedule", "warmup_epochs", "decay_every", "decay_factor",
    "weight_decay", "label_smoothing", "clip_norm", "ema", "accumulate",
)  # fmt: skip


def fit(
    model, data, recipe=None, *, folder, loss=None, metrics=(), callbacks=(), resume=True, verbose=0, metadata=None,
    conclude=None,
):  # fmt: skip
    """Train `model` in place and return the Run; the model has its best weights, and so has model.keras in `folder`.

    model: a built keras.Model, Functional, Sequential or a subclass of these with a train_step of its own. A compiled
    one keeps its loss, metrics and optimizer; one that is not is compiled for the run, with `loss`, a Keras loss on
    logits, and `metrics`, Keras metrics of `logits`, and is not compiled afterwards. A network with auxiliary heads
    trains on the sum of the losses of all heads, each auxiliary one weighed 0.3. Layers that are not trainable stay as
    they are. data: what Feed takes. recipe: a Recipe. callbacks: Keras's; they find in an epoch's logs what its row of
    the history says, and may keep state, see Resumable. resume: continue after the last finished epoch of the same run,
    where there is one; the result equals the uninterrupted run's, bit for bit with recipe.deterministic. verbose: as
    for model.fit. metadata: what recipe.json says besides and a resumed run must share, JSON types; under "recipe" the
    complete recipe of which `recipe` is the training part. conclude(model) -> what recipe.json says besides, JSON
    types: what is chosen for the trained model on validation examples.

    Best is the epoch with the lowest validation loss; without validation data the last one is kept. Of a model that is
    compiled for the run, statistics of batch normalization are measured once more for these weights.

    Raises UsageError when `folder` holds a finished run, or an unfinished one and resume is False, or one of another
    recipe, model or data, or another process trains into it, or where model, data and recipe do not fit; InputError
    when it cannot be written or is too full, or an image file cannot be read; TrainingStopped when the loss or weights
    are not finite or memory or disk run out. All of these leave the last checkpoint as it was.
    """
    recipe = Recipe() if recipe is None else recipe
    if not isinstance(recipe, Recipe):
        words = f"recipe is {type(recipe).__name__}; give a kc.Recipe"
        raise UsageError(f"{words}, and images and labels together as kc.datasets.from_arrays(x, y)", argument="recipe")
    check_compiled(model, recipe, loss, metrics)
    callbacks = [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else list(callbacks)
    if any(isinstance(callback, keras.callbacks.SwapEMAWeights) for callback in callbacks):
        words = "callbacks has SwapEMAWeights, and moving averages are validated and kept without it"
        raise UsageError(f"{words}; leave it out", argument="callbacks")
    folder, feed = Path(folder), Feed(data, recipe, model.steps_per_execution if model.compiled else None)
    check_fits(model, feed)
    check_folder(folder, (folder / "checkpoint.npz").exists(), resume)
    network = plain(model)
    policy = policy_of(model, recipe)
    compiled = model.compiled
    with one_writer(folder), stopped_by_limits(recipe), broken_files_named(feed.train, feed.validation):
        # another process may have ended its run here since the folder was looked at
        check_unfinished(folder)
        with deterministic_operations(model, recipe.deterministic):
            try:
                with computing_in(model, policy):
                    guard = None if compiled else compile_model(model, recipe, loss, metrics, feed)
                    if not model.optimizer.built:
                        model.optimizer.build(model.trainable_variables)
                    check_space(model, folder)
                    run = Run(folder, recipe, feed, guard)
                    resumable = Resumable(folder, [*run.stateful, run, *callbacks])
                    resumable.metadata = {"recipe": as_json(recipe), **feed.metadata, **(metadata or {})}
                    with run.saying_that_xla_compiles(model):
                        train(model, feed, resumable, verbose, heads_of(model) if guard else [])
                    assign(model.variables, run.best)
            finally:
                if not compiled:
                    model.compiled, model.optimizer = False, None
            if not compiled and not has_own_step(model):
                batch_statistics.measure(model, feed.undistorted())
        run.finish(network, resumable, conclude(model) if conclude else {})
    return run


def train(model, feed, resumable, verbose, heads):
    """Keras's fit, from the epoch on at which a resumed run stands."""
    batches = feed.training(resumable.epoch, heads)
    if has_own_step(model):
        build_metrics(model, batches)
    model.fit(
        batches,
        epochs=feed.recipe.epochs,
        initial_epoch=resumable.epoch,
        steps_per_epoch=None if feed.streamed else feed.steps,
        validation_data=feed.validating(heads),
        shuffle=False,
        verbose=verbose,
        callbacks=[resumable],
    )


def has_own_step(model):
    """Whether a model has a train_step of its own, which may see other images and scale no loss."""
    return type(model).train_step is not keras.Model.train_step


def policy_of(model, recipe):
    """The dtype policy of the training. Raises UsageError for half precision that the model's own step would spoil."""
    policy = half_precision() if recipe.precision == "auto" else recipe.precision
    scales = isinstance(getattr(model, "optimizer", None), keras.optimizers.LossScaleOptimizer)
    if policy != "mixed_float16" or scales or not has_own_step(model):
        return policy
    if recipe.precision == "auto":
        return "float32"
    words = "precision is mixed_float16, and the model's own train_step scales no loss"
    raise UsageError(f"{words}; compile it with a keras.optimizers.LossScaleOptimizer", argument="precision")


def heads_of(model):
    """The names of a network's outputs, where it has several."""
    return list(model.output) if len(model.outputs) > 1 else []


def compile_model(model, recipe, loss, metrics, feed):
    """Compile the model and return its FiniteLoss."""
    heads, metrics = heads_of(model), list(metrics)
    optimizer = create_optimizer(recipe, feed.steps)
    guard = FiniteLoss(loss, optimizer)
    model.compile(
        optimizer=optimizer,
        loss=dict.fromkeys(heads, guard) if heads else guard,
        loss_weights={head: 1.0 if head == "logits" else AUXILIARY_WEIGHT for head in heads} or None,
        metrics={"logits": metrics} if heads else metrics,
        steps_per_execution=feed.at_once,
        jit_compile=on_accelerator() and not recipe.deterministic,  # XLA has not all operations deterministic
    )
    return guard


def build_metrics(model, batches):
    """Build the compiled metrics: a train_step that does not update them leaves that, and then Keras's fit raises."""
    for images, *targets in batches.take(1):
        model.compute_metrics(images, targets[0], model(images), *targets[1:])
    model.reset_metrics()


def check_compiled(model, recipe, loss, metrics):
    """Raise UsageError for a model that cannot be compiled or trained like this."""
    if not getattr(model, "outputs", None):
        raise UsageError(
            f"model {model.name} has no input and output of its own; build it as keras.Model(inputs, outputs) or "
            "keras.Sequential with a keras.Input",
            argument="model",
        )
    given = {"loss": loss, "metrics": metrics} if model.compiled else {}
    given |= {name: getattr(recipe, name) for name in OF_OPTIMIZER if getattr(recipe, name) != getattr(Recipe, name)}
    for name, value in given.items() if model.compiled else ():
        if value:
            words = f"{name} is {value}, and the model is compiled with an optimizer and a loss of its own"
            raise UsageError(f"{words}; leave it out, or give a model that is not compiled", argument=name)
    if model.compiled:
        return
    check_logits(model)
    if not isinstance(loss, keras.losses.Loss):
        words = f"loss is {loss!r}; give a keras.losses.Loss on logits"
        raise UsageError(f"{words}, as SparseCategoricalCrossentropy(from_logits=True)", argument="loss")
    if len(model.outputs) > 1 and not isinstance(model.output, dict):
        words = f"model {model.name} has {len(model.outputs)} outputs without names"
        raise UsageError(f"{words}; name them in a dict, logits first, or compile the model", argument="model")


def check_fits(model, feed):
    """Raise UsageError where the model does not take the images or labels, or the recipe looks at what is not there."""
    shape = feed.image_shape
    wanted = tuple(model.inputs[0].shape[1:])
    if len(model.inputs) == 1 and shape and any(a and b and a != b for a, b in zip(wanted, shape, strict=False)):
        words = f"data has images of {'x'.join(map(str, shape))}, and the model takes {'x'.join(map(str, wanted))}"
        raise UsageError(f"{words}; build it for these, or resize them", argument="data")
    classes = model.outputs[0].shape[-1]
    if not model.compiled and feed.largest_label is not None and feed.largest_label >= classes:
        words = f"data has labels up to {feed.largest_label}, and the model has {classes} logits"
        raise UsageError(f"{words}; build it for all classes, and count labels from 0", argument="data")
    for name in ("early_stopping", "schedule"):
        if getattr(feed.recipe, name) not in (0, "constant", "cosine", "step") and feed.validation is None:
            words = f"{name} is {getattr(feed.recipe, name)}, which looks at the validation loss"
            raise UsageError(f"{words}; give validation data, or leave it out", argument=name)


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
        (folder / "write.test").unlink()


def check_space(model, folder):
    """Raise InputError unless two checkpoints (the last and the next) and the model fit on the disk."""
    weights = sum(math.prod(v.shape) for v in model.variables) * 4
    state = sum(math.prod(v.shape) for v in model.optimizer.variables) * 4
    needed, free = 2 * (2 * weights + state) + weights + 2**20, shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"{folder} has {free / 2**20:.0f} MiB free and training needs {needed / 2**20:.0f}; "
            "free some space or choose another folder"
        )


@contextlib.contextmanager
def stopped_by_limits(recipe):
    """Turn memory and disk running out into TrainingStopped with the way on."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise TrainingStopped(f"disk full ({error.filename}); {FREE_SPACE}") from None
    except tf.errors.ResourceExhaustedError as error:
        if "No space left" in str(error):
            raise TrainingStopped(f"disk full; {FREE_SPACE}") from None
        if not any(words in str(error) for words in OUT_OF_MEMORY):
            raise
        smaller = max(1, recipe.batch_size // 2)
        raise TrainingStopped(
            f"out of memory with a batch_size of {recipe.batch_size}; "
            f"try batch_size {smaller} and accumulate {2 * recipe.accumulate}"
        ) from None
