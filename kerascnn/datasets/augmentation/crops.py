"""Augmentations that move or hide whole pixels; masks and weights of pixels move with their images."""

import dataclasses
from typing import Literal

import tensorflow as tf

from kerascnn.datasets.augmentation.mixing import rectangle
from kerascnn.errors import UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomCrop:
    """Pads images on all sides and cuts a window out at a random place.

        recipe = kc.Recipe(augmentations=[kc.augmentation.RandomCrop(padding=4)])

    He et al., "Deep Residual Learning for Image Recognition", 2015, arXiv:1512.03385, section 4.2. With a size and no
    padding it is that of Krizhevsky, Sutskever & Hinton, "ImageNet Classification with Deep Convolutional Neural
    Networks", 2012, section 4.1: 224x224 of images of 256x256. kc.fit takes a size for photos that are larger in
    training, and for networks that are built for any size.
    """

    padding: int = 0
    "Pixels on each side."
    fill: Literal["constant", "reflect"] = "constant"
    "The border is 0, as in the first paper, or the image's own pixels."
    size: tuple[int, int] | None = None
    "Height and width in pixels of what is cut out; default: those of the images."

    def __call__(self, images, labels, seed, *weights):
        height, width = images.shape[1:3]
        if self.fill == "reflect" and self.padding >= min(height, width):
            words = f"padding is {self.padding}, and images of {height}x{width} have fewer pixels to reflect"
            raise UsageError(f"{words}; give a smaller one")
        rows, columns = self.size or (height, width)
        most = [side + 2 * self.padding - cut for side, cut in ((height, rows), (width, columns))]
        if min(most) < 0:
            words = f"size is {rows}x{columns}, and images are of {height}x{width}"
            raise UsageError(f"{words}; give a smaller one, or more padding")
        places = [
            tf.random.stateless_uniform((tf.shape(images)[0], 1), own, 0, last + 1, tf.int32) + tf.range(side)
            for own, last, side in zip(
                tf.unstack(tf.random.split(tf.cast(seed, tf.int32), 2)), most, (rows, columns), strict=True
            )
        ]

        def cropped(part):
            around = [[0, 0], [self.padding] * 2, [self.padding] * 2, [0, 0]]
            padded = tf.pad(part, around, mode=self.fill)
            return tf.gather(tf.gather(padded, places[0], axis=1, batch_dims=1), places[1], axis=2, batch_dims=1)

        return of_pixels(cropped, images, labels, *weights)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HorizontalFlip:
    """Flips half of the images left to right.

        recipe = kc.Recipe(augmentations=[kc.augmentation.HorizontalFlip()])

    Masks and weights of pixels are flipped with their images.
    """

    def __call__(self, images, labels, seed, *weights):
        flipped = tf.random.stateless_uniform((tf.shape(images)[0], 1, 1, 1), seed) < 0.5
        return of_pixels(lambda part: tf.where(flipped, part[:, :, ::-1], part), images, labels, *weights)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlternatingFlip:
    """Flips each image left to right in every second epoch; which half of them begins flipped is drawn.

        recipe = kc.Recipe(augmentations=[kc.augmentation.AlternatingFlip()])

    Every two epochs show each image both ways, where a coin shows half of them one way twice. Only training calls
    it, with more than other augmentations get: `seed` is the same at every step, epoch int () counts from 0 to
    `epochs` - 1, examples int (B,) says which of `count` each image is.
    Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, arXiv:2404.00498, section 3.6.
    """

    by_epoch = True

    def __call__(self, images, labels, seed, *weights, epoch, examples, count, **place):
        first = tf.gather(tf.random.stateless_uniform((count,), seed) < 0.5, examples)
        flipped = tf.reshape(first == (epoch % 2 == 0), (-1, 1, 1, 1))
        return of_pixels(lambda part: tf.where(flipped, part[:, :, ::-1], part), images, labels, *weights)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cutout:
    """Sets a square of each image to 0; it may lie beyond the border in part.

        recipe = kc.Recipe(augmentations=[kc.augmentation.Cutout(size=8)])

    DeVries & Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017, arXiv:1708.04552.
    Differs from the paper: 0 is black, where the paper's images are normalized before, and 0 is their mean.
    """

    size: int
    "Pixels along a side."

    def __call__(self, images, labels, seed, *weights):
        count, (height, width) = tf.shape(images)[0], images.shape[1:3]
        middle = tf.random.stateless_uniform((count, 2), seed) * (height, width)
        # on the grid of pixels, so that every square has as many
        middle = tf.floor(middle) + 0.5 * (self.size % 2)
        hidden = rectangle(middle, tf.fill([count, 2], float(self.size)), height, width)
        return tf.where(hidden, 0.0, images), labels, *weights


def of_pixels(change, images, *parts):
    """The images changed, and so each of the parts that is of pixels (B, H, W, 1); the others as they are."""
    return change(images), *(change(part) if len(part.shape) == 4 else part for part in parts)
