"""What a volume goes through before a network where a task asks for nothing else: resized, and scaled to [0, 1]."""

import tensorflow as tf

from kerascnn.datasets.batches import scaled
from kerascnn.segmentation.inference import Preprocessing


def resize_volume(volume, image_size):
    """Resized to a square, whatever the proportions, and scaled to [0, 1]."""
    return scaled(resized(volume, (image_size, image_size)))


def resized(images, size):
    """uint8 (B, H, W, C) -> uint8 (B, *size, C), whatever the proportions.

    Means over areas where both sides shrink, else bilinear. tf.image.resize's antialias gives the same quality and
    takes four times as long to 224x224.
    """
    pixels = tf.cond(
        tf.reduce_all(tf.shape(images)[1:3] >= size),
        lambda: tf.image.resize(images, size, method="area"),
        lambda: tf.image.resize(images, size, method="bilinear"),
    )
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0.0, 255.0), tf.uint8)


def restore_size(probabilities, volume):
    """float32 (S, image_size, image_size, 1) -> (S, H, W, 1), bilinear. volume: the uint8 (S, H, W, C) it is from."""
    return tf.image.resize(probabilities, tf.shape(volume)[1:3], method="bilinear")


RESIZING = Preprocessing(resize_volume, restore_size)
