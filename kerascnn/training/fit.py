"""fit(): one training run, in one folder, that can be killed at any moment and resumed to the same weights.

What a folder holds: `checkpoint.npz` while the run lasts, `history.csv` from the first epoch on, `model.keras` and
`learning_curve.png` at the end, and `recipe.json` last of all: without it the run did not finish.
"""

import contextlib
import dataclasses
import errno
import logging
import math
import shutil

import keras
import tensorflow as tf

from kerascnn.datasets.batches import evaluation_batches, training_batches
from kerascnn.errors import InputError, TrainingStopped, UsageError
from kerascnn.files import one_writer, write_aside, writing_to
from kerascnn.training import batch_statistics
from kerascnn.training.checkpoint import Run, assign
from kerascnn.training.guard import FiniteLoss
from kerascnn.training.optimizers import create_optimizer
from kerascnn.training.run_folder import check_unfinished

logger = logging.getLogger(__name__)

FREE_SPACE = "free some space and resume the run"
OUT_OF_MEMORY = ("OOM", "Out of memory", "Failed to allocate request")  # an operation's words, and XLA's on a GPU
AUXILIARY_WEIGHT = 0.3  # of the loss of a head on the way; Szegedy et al., 2014, arXiv:1409.4842, section 5


def fit(
    build, train, validation, recipe, folder, loss, metrics=(), *, augment=None, metadata=None, conclude=None,
    callbacks=(), resume=False,
):  # fmt: skip
    """Train the model that build() returns; leaves it, with its best weights, in `folder` and returns it.

    build: called without arguments once seeds and precision are set. train, validation: Examples. recipe: a
    Recipe. loss: a Keras loss on logits; metrics: functions that each return a fresh Keras metric, of `logits`.
    A network with auxiliary heads trains on the sum of the losses of all heads, each auxiliary one weighed 0.3.
    augment: a batch transform as training_batches takes it. metadata: what else recipe.json says and a resumed run must
    share (app, data set, checksum …), JSON types; under "recipe" the complete recipe of which `recipe` is the training
    part. conclude(model) -> what recipe.json says besides, JSON types: what is chosen for the trained model on
    validation examples. callbacks: Keras's; they are called after the run's own, see Run. resume: continue after the
    last finished epoch of the same run; the result equals the uninterrupted run's, bit for bit with
    recipe.deterministic.

    Raises UsageError when `folder` holds a finished run, or an unfinished one and resume is False, or one of another
    recipe, or another process trains into it; InputError when it cannot be written or is too full; TrainingStopped when
    the loss or weights are not finite or memory or disk run out. All of these leave the last checkpoint as it was.
    """
    metadata = {"recipe": dataclasses.asdict(recipe), **(metadata or {})}
    checkpoint = folder / "checkpoint.npz"
    check_folder(folder, checkpoint.exists(), resume)
    set_up(recipe)
    model = build()
    steps, at_once = epoch_steps(len(train), recipe.batch_size, train.images[0].size)
    heads = list(model.output) if isinstance(model.output, dict) else []
    guard = compile_model(model, heads, recipe, loss, metrics, steps, at_once)
    if type(model).train_step is not keras.Model.train_step:
        build_metrics(model, for_each_head(evaluation_batches(train.take(slice(2))), heads))
    check_space(model, folder)
    run = Run(folder, checkpoint, recipe, metadata, steps, guard)
    run.set_model(model)
    logs = [keras.callbacks.TensorBoard(folder / "logs")] if recipe.tensorboard else []
    with one_writer(folder), stopped_by_limits(recipe):
        # another process may have ended its run here since the folder was looked at
        check_unfinished(folder)
        if checkpoint.exists():
            run.restore()
        elif resume:
            logger.warning("%s holds no unfinished run to resume; starting one", folder)
        if not run.ended:
            batches = training_batches(
                train, recipe.batch_size, steps, recipe.seed, len(run.history), recipe.epochs, augment
            )
            model.fit(
                for_each_head(batches, heads),
                epochs=recipe.epochs,
                initial_epoch=len(run.history),
                steps_per_epoch=steps,
                validation_data=for_each_head(evaluation_batches(validation), heads),
                shuffle=False,
                verbose=0,
                callbacks=[*run.stateful, *logs, run, *callbacks],
            )
        trained = build()
        assign(trained.variables, run.best)
        batch_statistics.measure(trained, train, recipe.seed)
        run.finish(trained, conclude(trained) if conclude else {})
    return trained


def compile_model(model, heads, recipe, loss, metrics, steps, at_once):
    """Compile the model and return its FiniteLoss. heads: the names of its outputs, where it has several."""
    optimizer = create_optimizer(recipe, steps)
    guard = FiniteLoss(loss, optimizer)
    measured = [metric() for metric in metrics]
    model.compile(
        optimizer=optimizer,
        loss=dict.fromkeys(heads, guard) if heads else guard,
        loss_weights={head: 1.0 if head == "logits" else AUXILIARY_WEIGHT for head in heads} or None,
        metrics={"logits": measured} if heads else measured,
        steps_per_execution=at_once,
        jit_compile=on_accelerator() and not recipe.deterministic,  # XLA has not all operations deterministic
    )
    model.optimizer.build(model.trainable_variables)
    return guard


def build_metrics(model, batches):
    """Build the compiled metrics: a train_step that does not update them leaves that, and then Keras's fit raises."""
    for images, *targets in batches.take(1):
        model.compute_metrics(images, targets[0], model(images), *targets[1:])
    model.reset_metrics()


def for_each_head(batches, heads):
    """Batches with labels and weights repeated for every head of a network that has several, as Keras asks."""
    return batches.map(lambda x, *rest: (x, *(dict.fromkeys(heads, part) for part in rest))) if heads else batches


def set_up(recipe):
    """Seeds, determinism and precision, before any variable exists."""
    keras.utils.set_random_seed(recipe.seed)
    keras.config.set_dtype_policy(half_precision() if recipe.precision == "auto" else recipe.precision)
    if recipe.deterministic:
        tf.config.experimental.enable_op_determinism()


def on_accelerator():
    """Whether Keras computes on a GPU or TPU; XLA compilation pays there and costs on a CPU."""
    return not all(device.startswith("cpu") for device in keras.distribution.list_devices())


def half_precision():
    """The policy that precision="auto" stands for: half precision where the GPU has units for it, else float32."""
    if not on_accelerator():
        return "float32"
    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    capability = min((detail.get("compute_capability", (0, 0)) for detail in details), default=(8, 0))
    if capability >= (8, 0):
        return "mixed_bfloat16"
    return "mixed_float16" if capability >= (7, 0) else "float32"


def epoch_steps(examples, batch_size, image_size):
    """(steps of an epoch, steps the compiled function runs at once).

    Running many steps in one call is what makes small networks fast: the host's work between two calls costs as much
    as a LeNet-5 step. Keras runs whole calls only, so the epoch is cut to a multiple; the count between 16 and 32 that
    cuts least is taken. Large batches gain nothing from it, and would show progress too rarely.
    """
    steps = examples // batch_size
    if steps == 0:
        raise UsageError(
            f"batch_size is {batch_size}, more than the {examples} training examples; choose a smaller one",
            argument="batch_size",
        )
    at_once = min(range(16, 33), key=lambda n: (steps % n, -n)) if batch_size * image_size < 500_000 else 1
    at_once = min(at_once, steps)
    return steps - steps % at_once, at_once


def check_folder(folder, unfinished, resume):
    """Raise for what training here would destroy, and for a folder that cannot be written, before any work is done.

    unfinished: whether `folder` holds a part of a run.
    """
    check_unfinished(folder)
    if unfinished and not resume:
        raise UsageError(f"{folder} holds an unfinished run; resume it, or choose another folder")
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
