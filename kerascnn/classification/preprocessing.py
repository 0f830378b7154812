"""What an image goes through before a classifier where a task asks for nothing else: resized, and scaled to [0, 1]."""

import tensorflow as tf

from kerascnn.datasets.batches import scaled
from kerascnn.decoding import in_colour, resized


def resizing(input_shape):
    """The function uint8 (B, H, W, 1, 3 or 4) -> float32 (B, *input_shape) in [0, 1] of a network's (h, w, 1 or 3)."""
    *size, channels = input_shape

    def resize(images):
        """Resized, whatever the proportions, and scaled to [0, 1]; grey is repeated, colour becomes luma."""
        images = in_colour(images)
        if channels == 1:
            images = tf.image.rgb_to_grayscale(images)
        return scaled(resized(images, size))

    return resize
