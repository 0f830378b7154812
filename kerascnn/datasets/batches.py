"""From examples to batches: the one place where uint8 becomes float32 in [0, 1].

Examples are decoded once and stay in memory as uint8. Order and augmentation are pure functions of (seed, epoch, step),
so a run that is killed and resumed sees the very same batches.

The pipelines run with fixed parallelism. tf.data's autotuner sleeps twice as long after every decision, and an iterator
that is let go sometimes waits for it to wake: measured with TensorFlow 2.21, 2.1 s after a run of 3 s, 20 s after one
of 22 s.
"""

import os

import tensorflow as tf

BATCH_PIXELS = 2**19  # of one colour, in a batch for evaluation


def training_batches(examples, batch_size, steps, seed, first_epoch, epochs, augment=None):
    """All batches of the epochs first_epoch … epochs - 1, one epoch after the other, as one tf.data.Dataset.

    Every epoch is a new order of all examples, of which the first `steps` batches are taken: (images float32
    (B, H, W, C) in [0, 1], labels int32 (B,) or masks float32 (B, H, W, 1)); steps is at most
    len(examples) // batch_size. augment(images, labels, seed) -> (images, labels) gets a seed of shape (2,) that is
    different at every step.
    """
    images, labels = tf.constant(examples.images), tf.constant(examples.labels)

    def epoch_order(epoch):
        order = tf.random.experimental.stateless_shuffle(tf.range(len(examples)), seed=[seed, epoch])
        order = tf.reshape(order[: steps * batch_size], (steps, batch_size))
        step = epoch * steps + tf.range(steps, dtype=tf.int64)
        return tf.data.Dataset.from_tensor_slices((step, order))

    def batch(step, indices):
        x, y = scaled(tf.gather(images, indices)), as_target(tf.gather(labels, indices))
        if augment is not None:
            x, y = augment(x, y, tf.stack([tf.constant(seed, tf.int64), step]))
        return x, y

    order = tf.data.Dataset.range(first_epoch, epochs).flat_map(epoch_order)
    return not_autotuned(order.map(batch, num_parallel_calls=os.cpu_count(), deterministic=True).prefetch(8))


def evaluation_batches(examples, most=500, prepare=None):
    """Every example once, in order, the last batch smaller: (images float32 in [0, 1], labels int32 or masks float32).

    most: examples of a batch; large images come in smaller batches. prepare: a function of preparation.py, uint8 ->
    float32 in [0, 1]; without it the images are only scaled.
    """
    height, width = examples.images.shape[1:3]
    batch_size = max(1, min(most, BATCH_PIXELS // (height * width)))
    batches = tf.data.Dataset.from_tensor_slices((examples.images, examples.labels)).batch(batch_size)
    batches = batches.map(lambda x, y: ((prepare or scaled)(x), as_target(y)), num_parallel_calls=os.cpu_count())
    return not_autotuned(batches.cache().prefetch(2))


def not_autotuned(batches):
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def scaled(images):
    """uint8 0 … 255 -> float32 in [0, 1], any shape; what is float32 is prepared already."""
    return tf.cast(images, tf.float32) * (1 / 255) if images.dtype == tf.uint8 else images


def as_target(labels):
    """Labels as they are, masks as float32."""
    return tf.cast(labels, tf.float32) if len(labels.shape) == 4 else labels
