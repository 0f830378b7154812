"""fit(): one training run, in one folder, that can be killed at any moment and resumed to the same weights.

What a folder holds: `checkpoint.npz` while the run lasts, `history.csv` from the first epoch on, `model.keras` and
`learning_curve.png` at the end, and `recipe.json` last of all: without it the run did not finish.
"""

import contextlib
from pathlib import Path

import keras
import tensorflow as tf

from kerascnn.datasets.image_files import vanished_files_named
from kerascnn.errors import InputError, TrainingStopped, UsageError
from kerascnn.files import FULL, disk_full, one_writer
from kerascnn.training import batch_statistics
from kerascnn.training.callbacks import Resumable
from kerascnn.training.checkpoint import assign
from kerascnn.training.checks import (
    OF_OPTIMIZER,
    SAID_ALREADY,
    check_call,
    check_clock,
    check_decodes,
    check_finite,
    check_fits,
    check_folder,
    check_space,
    checked_metadata,
    dumped,
)
from kerascnn.training.feed import Feed, wrong_batches_named
from kerascnn.training.fused_normalization import fused_normalization
from kerascnn.training.guard import FiniteLoss
from kerascnn.training.optimizers import create_optimizer
from kerascnn.training.precision import (
    computing_in,
    deterministic_operations,
    has_own_step,
    on_accelerator,
    output_layers,
    policy_of,
    warn_without_onednn,
)
from kerascnn.training.recipe import Recipe, as_json
from kerascnn.training.run import Run
from kerascnn.training.run_folder import plain

FREE_SPACE = "free some space and resume the run"
OUT_OF_MEMORY = ("OOM", "Out of memory", "Failed to allocate request")  # an operation's words, and XLA's on a GPU
AUXILIARY_WEIGHT = 0.3  # of the loss of a head on the way; Szegedy et al., 2014, arXiv:1409.4842, section 5


def fit(
    model, data, recipe=None, *, folder, loss=None, metrics=(), callbacks=(), resume=True, verbose=0, metadata=None,
    conclude=None, network=None,
):  # fmt: skip
    """Train `model` in place and return the Run; the model has its best weights, and so has model.keras in `folder`.

    model: a built keras.Model, Functional, Sequential or a subclass of these with a train_step of its own. A compiled
    one keeps its loss, metrics and optimizer; one that is not is compiled for the run, with `loss`, a Keras loss on
    logits, and `metrics`, Keras metrics of `logits` (weights go to those with an attribute takes_weights), and is not
    compiled afterwards. A network with auxiliary heads trains on the sum of the losses of all heads, each auxiliary one
    weighed 0.3. Layers that are not trainable stay as they are. data: what Feed takes. recipe: a Recipe. callbacks:
    Keras's; they find in an epoch's logs what its row of the history says, and may keep state, see Resumable. resume:
    continue after the last finished epoch of the same run, where there is one; the result equals the uninterrupted
    run's, bit for bit with recipe.deterministic. verbose: as for model.fit. metadata: what recipe.json says besides and
    a resumed run must share, JSON types; under "recipe" the complete recipe of which `recipe` is the training part,
    under "data" what is said of the data. conclude(network) -> what recipe.json says besides, JSON types: what is
    chosen for the trained network on validation examples. network: the keras.Model that model.keras gets, where `model`
    is a part of it, as the head of a network whose other layers are frozen.

    Best is the epoch with the lowest validation loss; without validation data the last one is kept. Of a model that is
    compiled for the run, statistics of batch normalization are measured once more for these weights.

    Raises UsageError when `folder` holds a finished run, or an unfinished one and resume is False, or one of another
    recipe, model or data, or another process trains into it, or where model, data and recipe do not fit, the model has
    weights that are not finite, or metadata or conclude say what the run says itself; InputError when it cannot be
    written, is too full or gone, an image file cannot be read or none of a split decodes, or the clock is wrong by
    decades; TrainingStopped when the loss or weights are not finite or memory or disk run out. All of these leave the
    last checkpoint as it was.
    """
    network = plain(model if network is None else network)
    recipe = Recipe() if recipe is None else recipe
    callbacks = [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else list(callbacks or ())
    metrics = [metrics] if isinstance(metrics, keras.metrics.Metric) else list(metrics or ())
    check_call(model, recipe, loss, metrics, callbacks)
    metadata = checked_metadata(metadata)
    folder, feed = Path(folder), Feed(data, recipe, model.steps_per_execution if model.compiled else None)
    check_fits(model, feed)
    check_clock()
    if not (unfinished := (folder / "checkpoint.npz").exists()):
        check_finite(model)
    check_folder(folder, unfinished, resume)
    warn_without_onednn()
    policy = policy_of(model, recipe)
    compiled = model.compiled
    with (
        one_writer(folder),
        stopped_by_limits(recipe, folder, feed.streamed, compiled),
        vanished_files_named(feed.train, feed.validation),
    ):
        check_decodes(feed.train, feed.validation)
        with wrong_batches_named(), deterministic_operations(model, recipe.deterministic):
            try:
                with computing_in(model, policy), fused_normalization(model):
                    guard = None if compiled else compile_model(model, recipe, loss, metrics, feed)
                    check_space(model, folder)
                    run = Run(folder, recipe, feed, guard)
                    resumable = Resumable(folder, [*run.stateful, run, *callbacks])
                    resumable.shared = {**said_of(recipe, compiled), **feed.metadata, **metadata}
                    with run.saying_that_xla_compiles(model):
                        train(model, feed, resumable, verbose, heads_of(model) if guard else [])
                    assign(model.variables, run.best)
            finally:
                if not compiled:
                    model.compiled, model.optimizer, model.steps_per_execution = False, None, 1
            if not compiled and not has_own_step(model):
                batch_statistics.measure(model, feed.undistorted())
        run.finish(network, resumable, {"precision": policy, **(concluded(conclude, network) if conclude else {})})
    return run


def concluded(conclude, network):
    """What the user's function `conclude` returns.

    Raises UsageError where that is no dict of JSON types, or says what the run says.
    """
    found = conclude(network)
    try:
        dumped(found)
    except (TypeError, ValueError) as error:
        words = f"conclude returns no JSON ({error})"
        remedy = "return a dict of texts, finite numbers, lists and dicts, and resume the run"
        raise UsageError(f"{words}; {remedy}", argument="conclude") from None
    if taken := ((SAID_ALREADY | {"recipe", "data"}) - {"temperature"}) & found.keys():
        words = f"conclude returns {min(taken)!r}, which the run says itself"
        raise UsageError(f"{words}; choose another name, and resume the run", argument="conclude")
    return found


def said_of(recipe, compiled):
    """What recipe.json says of a Recipe and of how the model is compiled; see Resumable where it is compiled before."""
    if not compiled:
        return {"recipe": as_json(recipe), "compiled": None}
    return {"recipe": {name: part for name, part in as_json(recipe).items() if name not in OF_OPTIMIZER}}


def train(model, feed, resumable, verbose, heads):
    """Keras's fit, from the epoch on at which a resumed run stands."""
    batches = feed.training(resumable.epoch, heads)
    if has_own_step(model):
        build_metrics(model, batches)
    model.fit(
        batches,
        epochs=feed.recipe.epochs,
        initial_epoch=resumable.epoch,
        steps_per_epoch=feed.steps,
        validation_data=feed.validating(heads),
        shuffle=False,
        verbose=verbose,
        callbacks=[resumable],
    )


def heads_of(model):
    """The names of a network's outputs, where it has several."""
    return list(model.output) if len(model.outputs) > 1 else []


def compile_model(model, recipe, loss, metrics, feed):
    """Compile the model and return its FiniteLoss."""
    heads = heads_of(model)
    last = output_layers(model, weighed=True)
    optimizer = create_optimizer(recipe, feed.steps, [v.path for layer in last for v in layer.trainable_variables])
    guard = FiniteLoss(loss, optimizer)
    weighted = [metric for metric in metrics if getattr(metric, "takes_weights", False)]
    metrics = [metric for metric in metrics if metric not in weighted]
    model.compile(
        optimizer=optimizer,
        loss=dict.fromkeys(heads, guard) if heads else guard,
        loss_weights={head: 1.0 if head == "logits" else AUXILIARY_WEIGHT for head in heads} or None,
        metrics={"logits": metrics} if heads else metrics,
        weighted_metrics={"logits": weighted} if heads else weighted,
        steps_per_execution=feed.at_once,
        jit_compile=on_accelerator() and not recipe.deterministic,  # XLA has not all operations deterministic
    )
    return guard


def build_metrics(model, batches):
    """Build the compiled metrics: a train_step that does not update them leaves that, and then Keras's fit raises."""
    for images, *targets in batches.take(1):
        model.compute_metrics(images, targets[0], model(images), *targets[1:])
    model.reset_metrics()


@contextlib.contextmanager
def stopped_by_limits(recipe, folder, streamed=False, compiled=False):
    """Turn memory and disk running out into TrainingStopped with the way on, a `folder` that is gone into InputError.

    Whoever has moved the folder finds the last checkpoint in it. streamed: the batches are not the recipe's. compiled:
    the updates are not.
    """
    try:
        yield
    except (OSError, tf.errors.NotFoundError, tf.errors.FailedPreconditionError) as error:
        number = getattr(error, "errno", None)
        if number in FULL:
            raise TrainingStopped(f"disk full ({error.filename or folder}); {FREE_SPACE}") from None
        if not folder.is_dir():
            raise InputError(f"cannot write to {folder}, which is gone; put it back and resume the run") from None
        raise
    except tf.errors.ResourceExhaustedError as error:
        if disk_full(str(error)):
            raise TrainingStopped(f"disk full; {FREE_SPACE}") from None
        if not any(words in str(error) for words in OUT_OF_MEMORY):
            raise
        words = f"out of memory with a batch_size of {recipe.batch_size}"
        smaller = f"batch_size {recipe.batch_size // 2}"
        if streamed:
            words, remedy = "out of memory", "smaller batches, smaller images or a smaller network"
        elif recipe.batch_size == 1:
            remedy = "smaller images or a smaller network"
        else:
            remedy = smaller if compiled else f"{smaller} and accumulate {2 * recipe.accumulate}"
        raise TrainingStopped(f"{words}; try {remedy}") from None
