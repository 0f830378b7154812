"""A patient's slices to what a network sees, and its probabilities back onto the slices; in TensorFlow ops.

Magnetic resonance has no unit: the same tissue is bright in one examination and dark in the next. So the intensities of
a whole volume are read together, per sequence, and a single image is a volume of one slice. Training, evaluation,
`predict` and the exported model all go through `preprocess_volume`.
"""

import tensorflow as tf

from kerascnn.segmentation.inference import Preprocessing

# The smallest window, as a part of the slice's longer side: heads of the LGG data fill 0.75 to 1 of it, and a window of
# nearly one size keeps scale what it is in training even where a slice shows little of the head.
LEAST_WINDOW = 0.875
# Most of a head is healthy tissue, whose intensity in FLAIR differs less between patients as a part of the median over
# the head than as a part of a high percentile, which is the skin's fat; tumors are brighter than the median.
BRIGHTEST = 3.0


def preprocess_volume(volume, image_size):
    """One volume: uint8 (S, H, W, C) -> float32 (S, image_size, image_size, C) in [0, 1], any S, H and W of at least 1.

    A square window around the head (see `window`), reduced or enlarged to `image_size` pixels; what lies outside the
    slice is 0. Each channel is divided by BRIGHTEST times its volume's median over the head, and clipped at 1.
    """
    intensities = tf.cast(tf.ensure_shape(volume, [None, None, None, None]), tf.float32)
    head = foreground(intensities)
    top, left, size = window(head)
    normalized = intensities / (BRIGHTEST * tf.maximum(percentile(volume, head, 0.5), 1.0))
    cropped = crop(tf.minimum(normalized, 1.0), top, left, size)
    # rounding in the mean over an area may reach over 1
    return tf.minimum(tf.image.resize(cropped, (image_size, image_size), method="area"), 1.0)


def preprocess_masks(masks, volume, image_size):
    """The masks of a volume in its window: uint8 (S, H, W, 1) -> uint8 (S, image_size, image_size, 1), of 0 and 1.

    A pixel is 1 where at least half of it was. volume: the uint8 (S, H, W, C) that the masks belong to.
    """
    top, left, size = window(foreground(tf.cast(volume, tf.float32)))
    shares = tf.image.resize(crop(masks, top, left, size), (image_size, image_size), method="area")
    return tf.cast(shares >= 0.5, tf.uint8)


def restore_probabilities(probabilities, volume):
    """Back from the window onto the slices: float32 (S, image_size, image_size, 1) -> (S, H, W, 1), 0 outside of it.

    volume: the uint8 (S, H, W, C) that was preprocessed.
    """
    height, width = tf.shape(volume)[1], tf.shape(volume)[2]
    top, left, size = window(foreground(tf.cast(volume, tf.float32)))
    large = tf.image.resize(probabilities, tf.stack([size, size]), method="bilinear")
    return crop(large, -top, -left, height, width)


PREPROCESSING = Preprocessing(preprocess_volume, restore_probabilities)


def foreground(intensities):
    """Where the head is: float32 (S, H, W, C) in 0 to 255 -> bool (S, H, W).

    The mean channel is above a quarter of its 99.5th percentile, which noise beside the head is not and a few bright
    pixels do not change.
    """
    mean = tf.reduce_mean(intensities, -1)
    whole = tf.cast(tf.round(mean), tf.uint8)[..., tf.newaxis]
    return mean > 0.25 * percentile(whole, tf.ones_like(mean, tf.bool), 0.995)[0]


def window(head):
    """Top, left and size in pixels of the square that is analysed, three int32 scalars; it may reach over the edges.

    Its middle is that of the head's bounding box over all slices; it is as large as that box, and at least
    LEAST_WINDOW of the slice's longer side. head: bool (S, H, W).
    """
    height, width = tf.shape(head)[1], tf.shape(head)[2]
    first_row, last_row = extent(tf.reduce_mean(tf.cast(tf.reduce_any(head, 0), tf.float32), 1))
    first_column, last_column = extent(tf.reduce_mean(tf.cast(tf.reduce_any(head, 0), tf.float32), 0))
    least = tf.cast(tf.math.ceil(LEAST_WINDOW * tf.cast(tf.maximum(height, width), tf.float32)), tf.int32)
    size = tf.reduce_max([least, last_row - first_row, last_column - first_column])
    return (first_row + last_row - size) // 2, (first_column + last_column - size) // 2, size


def extent(filled):
    """First line of which more than 2 % is head, and the first after the last such; the whole when there is none.

    filled: float32 (N,), the share of each line that is head.
    """
    lines = tf.cast(tf.where(filled > 0.02)[:, 0], tf.int32)
    return tf.cond(tf.size(lines) > 0, lambda: (lines[0], lines[-1] + 1), lambda: (tf.constant(0), tf.size(filled)))


def percentile(volume, head, share):
    """The intensity that `share` of the head's pixels do not exceed, per channel: float32 (C,), 0 without a head."""
    channels = tf.shape(volume)[3]
    # all channels at once, the intensities of each after those of the one before
    shifted = tf.boolean_mask(tf.cast(volume, tf.int32), head) + 256 * tf.range(channels)
    counts = tf.math.bincount(tf.reshape(shifted, [-1]), minlength=256 * channels, maxlength=256 * channels)
    counts = tf.reshape(counts, [channels, 256])
    below = tf.cast(tf.cumsum(counts, axis=1), tf.float32)
    return tf.reduce_sum(tf.cast(below < share * below[:, -1:], tf.float32), 1)


def crop(images, top, left, height, width=None):
    """The part of (S, H, W, C) that begins at top, left, with 0 where it reaches over the edges."""
    width = height if width is None else width
    rows, columns = tf.shape(images)[1], tf.shape(images)[2]
    before = tf.maximum([-top, -left], 0)
    after = tf.maximum([top + height - rows, left + width - columns], 0)
    padded = tf.pad(images, [[0, 0], [before[0], after[0]], [before[1], after[1]], [0, 0]])
    top, left = top + before[0], left + before[1]
    return padded[:, top : top + height, left : left + width]
