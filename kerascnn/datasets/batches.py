"""From examples to batches: the one place where uint8 becomes float32 in [0, 1].

Examples lie in memory as uint8, or are read from files as they are needed. Order and augmentation are pure functions of
(seed, epoch, step), so a run that is killed and resumed sees the very same batches.

The pipelines run with fixed parallelism. tf.data's autotuner sleeps twice as long after every decision, and an iterator
that is let go sometimes waits for it to wake: measured with TensorFlow 2.21, 2.1 s after a run of 3 s, 20 s after one
of 22 s.
"""

import contextlib
import logging
import math
import os
import time

import numpy as np
import tensorflow as tf

from kerascnn.datasets.augmentation import as_augmentation, unfolded
from kerascnn.datasets.augmentation.keras_layers import check_arguments
from kerascnn.datasets.examples import check_seed, check_split
from kerascnn.datasets.image_files import ImageFiles
from kerascnn.errors import InputError, UsageError

BATCH_PIXELS = 2**19  # of one channel, in a batch for evaluation
AHEAD = 2**29  # bytes of batches that are made at once, and of those that wait, at least two
WAITING = 8  # batches at most
TOLD_EVERY = 10  # seconds

logger = logging.getLogger(__name__)


def batches(
    examples, batch_size, *, seed=0, epochs=1, first_epoch=0, augmentations=(), steps=None, alike=False
):  # fmt: skip
    """The batches of the epochs first_epoch … epochs - 1, one epoch after the other, as one tf.data.Dataset.

        batches = kc.batches(data.train, 128, seed=0, epochs=5)
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(batches, epochs=5, steps_per_epoch=len(data.train) // 128, shuffle=False)

    Every epoch is a new order of all examples, of which the first `steps` batches are taken, by default as many as are
    full; model.fit's steps_per_epoch is the same number. alike: all classes are shown equally often, those of few
    examples more than once an epoch. A batch is (images float32 (B, H, W, C) in [0, 1], labels int32 (B,), mixed ones
    float32 (B, classes) or masks float32 (B, H, W, 1)), with float32 weights (B,) or (B, H, W, 1) as a third element
    where the examples have them. augmentations: what Recipe.augmentations holds; each is called with a seed of shape
    (2,) that is different at every step.
    Raises UsageError where batch_size is not one of 1 to all examples, steps not one of 1 to all full batches, or
    examples are none.
    """
    check_split(examples)
    examples = examples.in_training() if isinstance(examples, ImageFiles) else examples
    full, load = full_batches(len(examples), batch_size), examples.loader()
    if steps is not None and not 1 <= steps <= full:
        words = f"steps is {steps}, and {len(examples)} examples fill {full} batches of {batch_size}"
        raise UsageError(f"{words}; give 1 to {full}", argument="steps")
    steps = steps or full
    augment = [as_augmentation(augmentation) for augmentation in unfolded(augmentations)]
    check_seed(seed)
    if alike and examples.labels.ndim > 1:
        raise UsageError("alike is True, and the examples have masks; leave it out", argument="alike")

    def epoch_order(epoch):
        order = tf.random.experimental.stateless_shuffle(tf.range(len(examples)), seed=[seed, epoch])
        order = classes_alike(order, examples.labels, [seed, epoch]) if alike else order
        order = tf.reshape(order[: steps * batch_size], (steps, batch_size))
        step = epoch * steps + tf.range(steps, dtype=tf.int64)
        return tf.data.Dataset.from_tensor_slices((step, order))

    def batch(step, indices):
        seed_of_step = tf.stack([tf.constant(seed, tf.int64), step])
        place = {"epoch": step // steps, "epochs": epochs, "examples": indices, "count": len(examples)}
        return augmented(as_batch(*load(indices, seed_of_step)), augment, seed_of_step, place)

    # where every epoch is done, one more: Keras looks at a batch before it finds that there is nothing to train
    order = tf.data.Dataset.range(first_epoch, max(epochs, first_epoch + 1)).flat_map(epoch_order)
    encoded = encoded_bytes(examples)
    at_once, waiting = batches_ahead(batch_size, examples.image_shape, encoded)
    with errors_as_raised():
        made = order.map(batch, num_parallel_calls=at_once, deterministic=True)
    return not_autotuned(made.prefetch(waiting), threads=at_once if encoded else 0)


def encoded_bytes(examples):
    """The bytes that a file of ImageFiles has on average, by a hundred of them; 0 of what lies in memory."""
    if not isinstance(examples, ImageFiles) or not len(examples):
        return 0
    some = examples.take(np.linspace(0, len(examples) - 1, min(100, len(examples))).astype(int))
    try:
        return int(np.mean(list(some.sizes())))
    except InputError:  # what is gone is named when it is read
        return 0


def batches_ahead(batch_size, image_shape, encoded=0):
    """(how many batches of images (H, W, C) are made at once, how many made ones wait for the training).

    encoded: bytes of an image's file.
    """
    fitting = AHEAD // (batch_size * (4 * math.prod(image_shape) + encoded))
    return max(2, min(calls_at_once(encoded), fitting)), max(2, min(WAITING, fitting))


def calls_at_once(encoded):
    """How many batches are made at once: of files twice as many as there are cores.

    Whatever makes one waits while TensorFlow's threads resize its images. With threads of their own, see
    not_autotuned, an eighth more small photos a second are ready: benchmarks/image_folder.py.
    """
    return os.cpu_count() * (2 if encoded else 1)


@contextlib.contextmanager
def errors_as_raised():
    """Let a UsageError out as it is; AutoGraph, which traces what maps a data set, puts its own lines around it."""
    try:
        yield
    except Exception as error:
        cause = error
        while cause is not None and not isinstance(cause, UsageError):
            cause = cause.__context__
        if cause is None:
            raise
        raise cause from None


def classes_alike(order, labels, seed):
    """As many places of examples as `order` has, int32 (N,), in which every class occurs equally often, shuffled.

    order: places of all examples, shuffled. A class with fewer than its share is gone through again and again, one with
    more gives as many as are wanted, the first of `order`. labels: int (N,).
    """
    counts = np.bincount(labels)
    present, starts = np.flatnonzero(counts), np.cumsum(counts) - counts
    by_class = tf.gather(order, tf.argsort(tf.gather(labels, order), stable=True))
    turn = np.arange(len(labels))
    label, rank = present[turn % len(present)], turn // len(present)
    places = tf.gather(by_class, starts[label] + rank % counts[label])
    own = tf.random.experimental.stateless_fold_in(tf.cast(seed, tf.int64), 1)
    return tf.random.experimental.stateless_shuffle(places, seed=own)


def augmented(parts, augmentations, seed_of_step, place):
    """What functions, as as_augmentation gives them, make of a batch (images, labels, *weights).

    seed_of_step: the seed and the number of the step, int64 (2,). place: what those that are called by epoch get
    besides: epoch int (), epochs int, examples int (B,), count int.
    """
    for number, augment in enumerate(augmentations):
        by_epoch = getattr(augment, "by_epoch", False)
        own = seed_of_step * [1, 0] if by_epoch else seed_of_step
        own = tf.random.experimental.stateless_fold_in(own, number) if number else own
        images, labels, *weights = parts
        check_arguments(augment, *weights)
        changed = augment(images, labels, own, *weights, **(place if by_epoch else {}))
        if not isinstance(changed, tuple | list) or len(changed) != len(parts):
            words = f"augmentations[{number}] returns {type(changed).__name__} of a batch"
            raise UsageError(f"{words}; let it return (images, labels, *weights)", argument="augmentations")
        parts = changed
    return parts


def full_batches(examples, batch_size):
    """How many batches so many examples fill. Raises UsageError where it is none."""
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise UsageError(f"batch_size is {batch_size}; give a whole number of at least 1", argument="batch_size")
    if batch_size > examples:
        raise UsageError(
            f"batch_size is {batch_size}, more than the {examples} training examples; choose a smaller one",
            argument="batch_size",
        )
    return examples // batch_size


def evaluation_batches(examples, most=500, preprocess=None, least=1):
    """Every example once, in order, the last batch smaller: elements as those of `batches`.

    examples: Examples or ImageFiles; a tf.data.Dataset of batches is taken as it is. most: examples of a batch; large
    images come in smaller batches, of `least` at least. preprocess: uint8 (B, H, W, C) -> float32 in [0, 1]; without it
    the images are only scaled.
    """
    if isinstance(examples, tf.data.Dataset):
        return examples
    batch_size, encoded = min(most, BATCH_PIXELS // math.prod(examples.image_shape[:2])), encoded_bytes(examples)
    at_once = calls_at_once(encoded)
    if encoded:
        batch_size = min(batch_size, max(8, AHEAD // (at_once * encoded)))
    batch_size = max(least, batch_size)
    load = examples.loader()
    order = tf.data.Dataset.range(len(examples)).batch(batch_size)
    parts = order.map(lambda indices: as_batch(*load(indices), preprocess=preprocess), num_parallel_calls=at_once)
    return not_autotuned(parts.prefetch(2), threads=at_once if encoded else 0)


def as_graph(call, batch, *others):
    """`call` as a graph, which forgets what each layer answers once the next one has it; eagerly Keras keeps all of it.

    batch, others: what tf.TensorSpec says of its arguments, of a batch of images as that of a tf.data.Dataset does.
    """

    def of_any_size(spec):
        return spec if spec.shape.rank is None else tf.TensorSpec([None, *spec.shape[1:]], spec.dtype)

    # not called as a tf.function, which warns where it is made anew time after time
    return tf.function(call).get_concrete_function(tf.nest.map_structure(of_any_size, batch), *others)


def told(batches, count):
    """The batches (images, labels, *weights), and every ten seconds a line that says how many images of `count`."""
    seen, last = 0, time.monotonic()
    for batch in batches:
        yield batch
        seen += len(batch[1])
        if (now := time.monotonic()) > last + TOLD_EVERY:
            logger.info("%s of %s images", f"{seen:,}", f"{count:,}")
            last = now


def counted_images(images, labels, *weights):
    """Those images of a batch whose weight, where it is one an image, is above 0: files that decode, among others."""
    return images if not weights or len(weights[0].shape) > 1 else tf.boolean_mask(images, weights[0] > 0)


def as_batch(images, labels, *weights, preprocess=None):
    """What a network takes of stored images, labels or masks, and weights: masks are float32, labels as they are."""
    if len(labels.shape) < 4:
        return (preprocess or scaled)(images), labels, *weights
    masks = tf.cast(labels, tf.float32)
    # what weighs an image weighs each of its pixels, and is augmented with them
    weights = [tf.reshape(w, (-1, 1, 1, 1)) * tf.ones_like(masks) if len(w.shape) == 1 else w for w in weights]
    return (preprocess or scaled)(images), masks, *weights


def not_autotuned(dataset, threads=0):
    """The tf.data.Dataset with fixed parallelism; threads: those of its own, by default none."""
    options = tf.data.Options()
    options.autotune.enabled = False
    if threads:
        options.threading.private_threadpool_size = threads
    return dataset.with_options(options)


def scaled(images):
    """uint8 0 … 255 -> float32 in [0, 1], any shape; what is float32 is preprocessed already."""
    return tf.cast(images, tf.float32) * (1 / 255) if images.dtype == tf.uint8 else images
