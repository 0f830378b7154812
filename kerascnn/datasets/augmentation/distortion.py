"""Affine and elastic distortions as one displacement field, so that every image is sampled once, bilinearly.

The elastic field is Simard, Steinkraus & Platt, "Best Practices for Convolutional Neural Networks Applied to Visual
Document Analysis", 2003, section 2: uniform noise in [-1, 1] smoothed by a Gaussian of `sigma` pixels and multiplied by
`alpha`.
"""

import dataclasses
import math

import numpy as np
import tensorflow as tf


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
        return resampled(y, x, images, labels, *weights)


def resampled(y, x, images, labels, *weights):
    """The images at the places y, x (B, H', W') in pixels; masks and weights of pixels with them, masks of 0 and 1."""
    if len(labels.shape) != 4:
        return sample(images, y, x), labels, *weights
    # one lookup for all of them
    moved = sample(tf.concat([images, labels, *weights], -1), y, x)
    images, masks, *weights = tf.split(moved, [images.shape[3]] + [1] * (1 + len(weights)), -1)
    return images, tf.cast(masks >= 0.5, tf.float32), *weights


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
