"""What Recipe.augmentations holds: random changes of whole batches, as pure functions of images, labels and a seed.

Each is called as augmentation(images, labels, seed, *weights) and returns (images, labels, *weights): images float32
(B, H, W, C) in [0, 1] with known H, W, C; labels int32 (B,), or masks float32 (B, H, W, 1); seed int (2,), another one
at every step; weights where the examples have them. A function of one's own serves as well, and so does a random layer
of Keras, see `as_augmentation`.

Affine and elastic distortions are one displacement field, so every image is sampled once, bilinearly. The elastic field
is Simard, Steinkraus & Platt, "Best Practices for Convolutional Neural Networks Applied to Visual Document Analysis",
2003, section 2: uniform noise in [-1, 1] smoothed by a Gaussian of `sigma` pixels and multiplied by `alpha`.
Written in TensorFlow ops because it runs inside tf.data; a warp of keras.ops would be drawn with unseeded state there.
"""

import dataclasses
import logging
import math

import keras
import numpy as np
import tensorflow as tf

from kerascnn.errors import UsageError

logger = logging.getLogger(__name__)

# Random layers of Keras 3.15 that draw from a generator of their own, whatever seed they are given.
SEEDLESS = ("AugMix", "RandAugment", "RandomColorJitter")


class StepSeed(keras.random.SeedGenerator):
    """A SeedGenerator without state: what it gives follows from `seed`, int (2,), and how often it was asked."""

    def __init__(self, seed):
        self.seed, self.asked = seed, 0

    def next(self, ordered=True):
        self.asked += 1
        return tf.random.experimental.stateless_fold_in(self.seed, self.asked)


def unfolded(augmentations):
    """The augmentations, with the layers of a keras.Sequential or a Pipeline in its place."""
    for augmentation in augmentations:
        within = isinstance(augmentation, keras.Sequential | keras.layers.Pipeline)
        yield from unfolded(augmentation.layers) if within else [augmentation]


def as_augmentation(augmentation):
    """The augmentation itself, or the function that a random layer of Keras becomes: masks move with their images.

    Raises UsageError for a layer made for images of another range than [0, 1], and for one that mixes labels, too.
    """
    if not isinstance(augmentation, keras.layers.Layer):
        return augmentation
    layer, name = augmentation, type(augmentation).__name__
    if name in ("CutMix", "MixUp"):
        raise UsageError(
            f"augmentations has {name}, which needs one-hot labels; leave it out", argument="augmentations"
        )
    if tuple(getattr(layer, "value_range", (0, 1))) != (0, 1):
        words = f"augmentations has a {name} with value_range {tuple(layer.value_range)}, and images are in [0, 1]"
        raise UsageError(f"{words}; give it value_range=(0, 1)", argument="augmentations")
    if name in SEEDLESS or not hasattr(layer, "get_random_transformation"):
        logger.warning("%s draws without the recipe's seed: a resumed training sees other images", name)

        def of_images(images, labels, seed, *weights):
            if len(labels.shape) == 4:
                words = f"augmentations has {name}, which does not move masks with their images"
                raise UsageError(f"{words}; leave it out", argument="augmentations")
            return layer(images, training=True), labels, *weights

        return of_images

    def augment(images, labels, seed, *weights):
        transformation = layer.get_random_transformation(images, training=True, seed=StepSeed(tf.cast(seed, tf.int32)))
        moved = layer.transform_images(images, transformation, training=True)
        if len(labels.shape) != 4:
            return moved, labels, *weights
        return moved, *(layer.transform_segmentation_masks(each, transformation) for each in (labels, *weights))

    return augment


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distortion:
    """Moves pixels: each image draws its own values, uniformly from -limit to +limit; outside the image is 0.

        recipe = kc.Recipe(augmentations=[kc.augmentation.Distortion(rotation=10, horizontal_flip=True)])

    Masks and weights of pixels, float32 (B, H, W, 1), move with their images; masks stay 0 or 1.
    """

    shift: float = 0.0
    "Pixels along both axes."
    rotation: float = 0.0
    "Degrees."
    zoom: float = 0.0
    "A fraction: 0.1 is 0.9 to 1.1 times as large."
    shear: float = 0.0
    "A fraction."
    elastic: float = 0.0
    "Simard's alpha, in pixels."
    sigma: float = 4.0
    "Of the elastic distortion, in pixels."
    horizontal_flip: bool = False
    "Whether half of the images are flipped left to right."

    def __call__(self, images, labels, seed, *weights):
        y, x = grid(images, seed, (self.shift, self.rotation, self.zoom, self.shear), self.elastic, self.sigma)
        if self.horizontal_flip:
            own = tf.random.experimental.stateless_fold_in(seed, 0)
            flipped = tf.random.stateless_uniform((tf.shape(images)[0], 1, 1), own) < 0.5
            x = tf.where(flipped, images.shape[2] - 1 - x, x)
        if len(labels.shape) != 4:
            return sample(images, y, x), labels, *weights
        # one lookup for all of them
        moved = sample(tf.concat([images, labels, *weights], -1), y, x)
        images, masks, *weights = tf.split(moved, [images.shape[3]] + [1] * (1 + len(weights)), -1)
        return images, tf.cast(masks >= 0.5, tf.float32), *weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class Intensity:
    """Changes each channel of each image: raised to a power, multiplied, and shifted; clipped to [0, 1]."""

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
    """Makes all channels the middle one in some images, as for patients of whom only that sequence was taken."""

    share: float
    "Of the images."

    def __call__(self, images, labels, seed, *weights):
        alike = tf.random.stateless_uniform((tf.shape(images)[0], 1, 1, 1), seed) < self.share
        channels = images.shape[3]
        middle = images[..., channels // 2 : channels // 2 + 1]
        return tf.where(alike, tf.repeat(middle, channels, -1), images), labels, *weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class CarveMix:
    """Gives some images the tumor of the next one of the batch, with what is around it.

    Zhang et al., "CarveMix: A Simple Data Augmentation Method for Brain Lesion Segmentation", 2021, arXiv:2108.06883:
    inside a region around the tumor, as wide as is drawn, image, mask and weights are the other's. Differs from the
    paper: the region is where the blurred mask exceeds a drawn part of its maximum, in place of a distance from the
    tumor; its edge is soft, nothing is put beside the head, and slices take the place of volumes.
    """

    share: float
    "Of the images."

    def __call__(self, images, masks, seed, *weights):
        height, width = images.shape[1:3]
        rows, columns = (blur_matrix(size, size / 24) for size in (height, width))

        def blurred(x):
            return tf.einsum("hi,bijc,wj->bhwc", rows, x, columns)

        seeds = tf.random.split(tf.cast(seed, tf.int32), 2)
        shape = (tf.shape(images)[0], 1, 1, 1)
        chosen = tf.random.stateless_uniform(shape, seeds[0]) < self.share
        least = tf.random.stateless_uniform(shape, seeds[1], 0.05, 0.5)
        head = blurred(tf.reduce_mean(images, -1, keepdims=True)) > 0.1
        near = blurred(tf.roll(masks, -1, 0))
        near /= tf.maximum(tf.reduce_max(near, (1, 2, 3), keepdims=True), 1e-6)
        region = tf.clip_by_value((near - least) / 0.1 + 0.5, 0.0, 1.0)
        mixing = region * tf.cast(chosen & head, tf.float32)
        mixed = images + mixing * (tf.roll(images, -1, 0) - images)
        return mixed, *(tf.where(mixing >= 0.5, tf.roll(each, -1, 0), each) for each in (masks, *weights))


def grid(images, seed, limits, elastic, sigma):
    """Where each pixel of the distorted images lies in the source: y and x, float32 (B, H, W)."""
    count, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    seeds = tf.random.split(tf.cast(seed, tf.int32), 2)
    y, x = affine_grid(count, height, width, limits, seeds[0])
    if elastic:
        field = elastic_field(count, height, width, elastic, sigma, seeds[1])
        y, x = y + field[0], x + field[1]
    return y, x


def affine_grid(count, height, width, limits, seed):
    """Where each pixel of the result lies in the source: y and x, float32 (count, height, width)."""
    shift, rotation, zoom, shear = limits
    low = tf.constant([-shift, -shift, -math.radians(rotation), -zoom, -zoom, -shear])
    draw = tf.random.stateless_uniform((count, 6), seed, -1.0, 1.0) * -low
    dy, dx, angle, zoom_y, zoom_x, slant = (draw[:, i, None, None] for i in range(6))
    v = tf.range(height, dtype=tf.float32)[:, None] - (height - 1) / 2
    u = tf.range(width, dtype=tf.float32)[None, :] - (width - 1) / 2
    scale_y, scale_x = 1 / (1 + zoom_y), 1 / (1 + zoom_x)
    sine, cosine = tf.sin(angle), tf.cos(angle)
    y = scale_y * (cosine * v + sine * u) + dy + (height - 1) / 2
    x = scale_x * (cosine * u - sine * v + slant * v) + dx + (width - 1) / 2
    return y, x


def elastic_field(count, height, width, alpha, sigma, seed):
    """Displacements in pixels, float32 (2, count, height, width), smooth over `sigma` pixels."""
    noise = tf.random.stateless_uniform((2, count, height, width), seed, -1.0, 1.0)
    rows, columns = blur_matrix(height, sigma), blur_matrix(width, sigma)
    return alpha * tf.einsum("hi,kbij,wj->kbhw", rows, noise, columns)


def blur_matrix(size, sigma):
    """The Gaussian blur of a line of `size` pixels, zero outside, as a matrix float32 (size, size)."""
    distance = np.arange(size)[:, None] - np.arange(size)[None, :]
    return (np.exp(-(distance**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))).astype(np.float32)


def sample(images, y, x):
    """images (B, H, W, C) at the places y, x (B, H', W') in pixels, bilinear, 0 outside -> (B, H', W', C).

    The four neighbours of every pixel are laid side by side first, so that one lookup fetches them all.
    """
    height, width, channels = images.shape[1:]
    framed = tf.pad(images, ((0, 0), (1, 2), (1, 2), (0, 0)))
    corners = [framed[:, i : i + height + 2, j : j + width + 2] for i in (0, 1) for j in (0, 1)]
    neighbours = tf.reshape(tf.concat(corners, -1), (-1, 4 * channels))
    y = tf.clip_by_value(y, -1.0, float(height)) + 1
    x = tf.clip_by_value(x, -1.0, float(width)) + 1
    top, left = tf.floor(y), tf.floor(x)
    image = tf.range(tf.shape(images)[0])[:, None, None] * ((height + 2) * (width + 2))
    index = image + tf.cast(top, tf.int32) * (width + 2) + tf.cast(left, tf.int32)
    near = tf.reshape(tf.gather(neighbours, index), tf.concat([tf.shape(index), (4, channels)], 0))
    down, right = (y - top)[..., None], (x - left)[..., None]
    upper = near[..., 0, :] + right * (near[..., 1, :] - near[..., 0, :])
    lower = near[..., 2, :] + right * (near[..., 3, :] - near[..., 2, :])
    return upper + down * (lower - upper)
