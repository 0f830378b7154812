"""Changes of intensities that leave every pixel where it is."""

import dataclasses

import numpy as np
import tensorflow as tf

from kerascnn.errors import UsageError


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
class ColourNoise:
    """Shifts all pixels of an image along the principal components of the colours.

        colours = kc.datasets.colour_covariance(data.train)
        recipe = kc.Recipe(augmentations=[kc.augmentation.ColourNoise(std=0.1, covariance=colours)])

    Krizhevsky, Sutskever & Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012, section
    4.1: what is added is the sum of the eigenvectors, each times its eigenvalue and a normal variable that is drawn
    once an image. The paper does not say the range of its pixels; here it is [0, 1], to which the result is clipped.
    """

    std: float
    "Standard deviation of the normal variables; 0.1 in the paper."
    covariance: tuple[tuple[float, ...], ...]
    "Of the C channels of the pixels of the training images, C x C, as kc.datasets.colour_covariance measures it."

    def __post_init__(self):
        covariance = np.asarray(self.covariance, np.float64)
        if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
            words = f"covariance has the shape {covariance.shape}"
            raise UsageError(f"{words}; give what kc.datasets.colour_covariance measures")
        object.__setattr__(self, "covariance", tuple(map(tuple, covariance.tolist())))

    def __call__(self, images, labels, seed, *weights):
        eigenvalues, eigenvectors = np.linalg.eigh(self.covariance)
        drawn = tf.random.stateless_normal((tf.shape(images)[0], len(eigenvalues)), seed, stddev=self.std)
        noise = drawn @ tf.constant((eigenvectors * eigenvalues).T, tf.float32)
        return tf.clip_by_value(images + noise[:, None, None], 0.0, 1.0), labels, *weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class SingleChannel:
    """Makes all channels the same one in some images.

        recipe = kc.Recipe(augmentations=[kc.augmentation.SingleChannel(share=0.2, channel=1)])

    So are the scans of patients of whom only that sequence was taken.
    """

    share: float
    "Of the images."
    channel: int
    "Which one, from 0."

    def __call__(self, images, labels, seed, *weights):
        alike = tf.random.stateless_uniform((tf.shape(images)[0], 1, 1, 1), seed) < self.share
        single = images[..., self.channel : self.channel + 1]
        return tf.where(alike, tf.repeat(single, images.shape[3], -1), images), labels, *weights
