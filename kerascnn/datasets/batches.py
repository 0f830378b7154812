"""From examples to batches: the one place where uint8 becomes float32 in [0, 1].

Examples are decoded once and stay in memory as uint8. Order and augmentation are pure functions of (seed, epoch, step),
so a run that is killed and resumed sees the very same batches.

The pipelines run with fixed parallelism. tf.data's autotuner sleeps twice as long after every decision, and an iterator
that is let go sometimes waits for it to wake: measured with TensorFlow 2.21, 2.1 s after a run of 3 s, 20 s after one
of 22 s.
"""

import os

import tensorflow as tf

BATCH_PIXELS = 2**19  # of one channel, in a batch for evaluation


def training_batches(examples, batch_size, steps, seed, first_epoch, epochs, augment=None):
    """All batches of the epochs first_epoch … epochs - 1, one epoch after the other, as one tf.data.Dataset.

    Every epoch is a new order of all examples, of which the first `steps` batches are taken: (images float32
    (B, H, W, C) in [0, 1], labels int32 (B,) or masks float32 (B, H, W, 1)), and float32 weights (B,) or (B, H, W, 1)
    as a third element where the examples have them; steps is at most len(examples) // batch_size.
    augment(images, labels, seed) -> (images, labels), or augment(images, labels, seed, weights) -> (images, labels,
    weights), gets a seed of shape (2,) that is different at every step.
    """
    stored = [tf.constant(array) for array in arrays(examples)]

    def epoch_order(epoch):
        order = tf.random.experimental.stateless_shuffle(tf.range(len(examples)), seed=[seed, epoch])
        order = tf.reshape(order[: steps * batch_size], (steps, batch_size))
        step = epoch * steps + tf.range(steps, dtype=tf.int64)
        return tf.data.Dataset.from_tensor_slices((step, order))

    def batch(step, indices):
        x, y, *weights = as_batch(*(tf.gather(array, indices) for array in stored))
        if augment is not None:
            return augment(x, y, tf.stack([tf.constant(seed, tf.int64), step]), *weights)
        return x, y, *weights

    order = tf.data.Dataset.range(first_epoch, epochs).flat_map(epoch_order)
    return not_autotuned(order.map(batch, num_parallel_calls=os.cpu_count(), deterministic=True).prefetch(8))


def evaluation_batches(examples, most=500, preprocess=None):
    """Every example once, in order, the last batch smaller: elements as in training_batches.

    most: examples of a batch; large images come in smaller batches. preprocess: uint8 (B, H, W, C) -> float32 in
    [0, 1]; without it the images are only scaled.
    """
    height, width = examples.images.shape[1:3]
    batch_size = max(1, min(most, BATCH_PIXELS // (height * width)))
    batches = tf.data.Dataset.from_tensor_slices(arrays(examples)).batch(batch_size)
    batches = batches.map(lambda *batch: as_batch(*batch, preprocess=preprocess), num_parallel_calls=os.cpu_count())
    return not_autotuned(batches.cache().prefetch(2))


def arrays(examples):
    """(images, labels), or (images, labels, weights) where there are weights."""
    return (examples.images, examples.labels) + (() if examples.weights is None else (examples.weights,))


def as_batch(images, labels, *weights, preprocess=None):
    """What a network takes of stored images, labels or masks, and weights: masks are float32, labels as they are."""
    masks = len(labels.shape) == 4
    return (preprocess or scaled)(images), tf.cast(labels, tf.float32) if masks else labels, *weights


def not_autotuned(batches):
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def scaled(images):
    """uint8 0 … 255 -> float32 in [0, 1], any shape; what is float32 is preprocessed already."""
    return tf.cast(images, tf.float32) * (1 / 255) if images.dtype == tf.uint8 else images
