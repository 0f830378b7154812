"""Random distortions of whole batches, as pure functions of (images, labels, seed), and of weights where there are any.

Affine and elastic distortions are one displacement field, so every image is sampled once, bilinearly. The elastic field
is Simard, Steinkraus & Platt, "Best Practices for Convolutional Neural Networks Applied to Visual Document Analysis",
2003, section 2: uniform noise in [-1, 1] smoothed by a Gaussian of `sigma` pixels and multiplied by `alpha`.
Written in TensorFlow ops because it runs inside tf.data; a warp of keras.ops would be drawn with unseeded state there.
"""

import math

import numpy as np
import tensorflow as tf


def distortion(shift=0.0, rotation=0.0, zoom=0.0, shear=0.0, elastic=0.0):
    """augment(images, labels, seed, *weights) -> (images, labels, *weights), or None when nothing is to be distorted.

    Each image draws its own values, uniformly from -limit to +limit: shift in pixels along both axes, rotation in
    degrees, zoom and shear as fractions (zoom 0.1: 0.9 to 1.1 times as large). elastic is Simard's alpha in pixels,
    with a sigma of 4. Outside the image is 0. images float32 (B, H, W, C) in [0, 1] with known H, W, C; seed int (2,).
    """
    if not any((shift, rotation, zoom, shear, elastic)):
        return None

    def augment(images, labels, seed, *weights):
        y, x = grid(images, seed, (shift, rotation, zoom, shear), elastic, sigma=4.0)
        return sample(images, y, x), labels, *weights

    return augment


def paired_distortion(
    horizontal_flip=False, shift=0.0, rotation=0.0, zoom=0.0, shear=0.0, elastic=0.0, sigma=24.0, brightness=0.0,
    contrast=0.0, gamma=0.0, middle_channel=0.0, carvemix=0.0,
):  # fmt: skip
    """augment(images, masks, seed, *weights) -> (images, masks, *weights): all move alike, images change in intensity.

    Limits as in `distortion`. horizontal_flip: half of the images are flipped. brightness and contrast: to each channel
    of each image a value of up to `brightness` is added, after it is raised to a power between 1 / (1 + gamma) and
    1 + gamma and multiplied by up to 1 ± contrast. middle_channel: the share of images in which all channels are the
    middle one. carvemix: the share of images that get the foreground of another one of the batch, see `carvemixed`.
    masks float32 (B, H, W, 1) stay 0 or 1; weights, if any, float32 (B, H, W, 1), are sampled like an image.
    """

    def augment(images, masks, seed, *weights):
        seeds = tf.random.split(tf.cast(seed, tf.int32), 5)
        y, x = grid(images, seeds[0], (shift, rotation, zoom, shear), elastic, sigma)
        if horizontal_flip:
            flipped = tf.random.stateless_uniform((tf.shape(images)[0], 1, 1), seeds[1]) < 0.5
            x = tf.where(flipped, images.shape[2] - 1 - x, x)
        channels = images.shape[3]
        # one lookup for all of them
        moved = sample(tf.concat([images, masks, *weights], -1), y, x)
        pixels, masks, *weights = tf.split(moved, [channels] + [1] * (1 + len(weights)), -1)
        if carvemix:
            pixels, masks, *weights = carvemixed(pixels, masks, carvemix, seeds[4], *weights)
        if middle_channel:
            alike = tf.random.stateless_uniform((tf.shape(images)[0], 1, 1, 1), seeds[3]) < middle_channel
            middle = pixels[..., channels // 2 : channels // 2 + 1]
            pixels = tf.where(alike, tf.repeat(middle, channels, -1), pixels)
        draw = tf.random.stateless_uniform((3, tf.shape(images)[0], 1, 1, channels), seeds[2], -1.0, 1.0)
        powers = tf.pow(tf.maximum(pixels, 1e-6), tf.pow(1 + gamma, draw[2])) if gamma else pixels
        intensities = tf.clip_by_value(powers * (1 + contrast * draw[0]) + brightness * draw[1], 0.0, 1.0)
        return intensities, tf.cast(masks >= 0.5, tf.float32), *weights

    return augment


def carvemixed(images, masks, share, seed, *weights):
    """(images, masks, *weights): `share` of the images have the tumor of the next of the batch, with what is around it.

    CarveMix (Zhang et al., "CarveMix: A Simple Data Augmentation Method for Brain Lesion Segmentation", 2021,
    arXiv:2108.06883): inside a region around the tumor, as wide as is drawn, image, mask and weights are the other's.
    Differs from the paper: the region is where the blurred mask exceeds a drawn part of its maximum, in place of a
    distance from the tumor; its edge is soft, nothing is put beside the head, and slices take the place of volumes.
    images float32 (B, H, W, C) in [0, 1]; masks float32 (B, H, W, 1), 0 to 1; weights, if any, float32 (B, H, W, 1);
    seed int32 (2,).
    """
    height, width = images.shape[1:3]
    rows, columns = (blur_matrix(size, size / 24) for size in (height, width))

    def blurred(x):
        return tf.einsum("hi,bijc,wj->bhwc", rows, x, columns)

    seeds = tf.random.split(seed, 2)
    shape = (tf.shape(images)[0], 1, 1, 1)
    chosen = tf.random.stateless_uniform(shape, seeds[0]) < share
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
