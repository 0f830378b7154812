"""Changes of intensities that leave every pixel where it is."""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True, kw_only=True)
class Intensity:
    """Changes each channel of each image: raised to a power, multiplied, and shifted.

        recipe = kc.Recipe(augmentations=[kc.augmentation.Intensity(brightness=0.1)])

    Every channel draws its own values, uniformly; the result is clipped to [0, 1].
    """

    brightness: float = 0.0
    "What is added at most, or taken away."
    contrast: float = 0.0
    "A fraction: 0.1 multiplies by 0.9 to 1.1."
    gamma: float = 0.0
    "Powers are between 1 / (1 + gamma) and 1 + gamma."

    def __call__(self, images, labels, seed, *weights):
        shape = (3, tf.shape(images)[0], 1, 1, images.shape[3])
        draw = tf.random.stateless_uniform(shape, seed, -1.0, 1.0)
        if self.gamma:
            images = tf.pow(tf.maximum(images, 1e-6), tf.pow(1 + self.gamma, draw[2]))
        images = images * (1 + self.contrast * draw[0]) + self.brightness * draw[1]
        return tf.clip_by_value(images, 0.0, 1.0), labels, *weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class MiddleChannel:
    """Makes all channels the middle one in some images.

        recipe = kc.Recipe(augmentations=[kc.augmentation.MiddleChannel(share=0.2)])

    So are the scans of patients of whom only that sequence was taken.
    """

    share: float
    "Of the images."

    def __call__(self, images, labels, seed, *weights):
        alike = tf.random.stateless_uniform((tf.shape(images)[0], 1, 1, 1), seed) < self.share
        channels = images.shape[3]
        middle = images[..., channels // 2 : channels // 2 + 1]
        return tf.where(alike, tf.repeat(middle, channels, -1), images), labels, *weights
