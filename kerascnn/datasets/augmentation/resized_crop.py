"""Random parts of images, resized to one size: of batches, and of photos as they are read."""

import dataclasses
import math

import tensorflow as tf

from kerascnn.datasets.augmentation.distortion import resampled
from kerascnn.datasets.resizing import resized
from kerascnn.errors import UsageError

TRIES = 10  # for a box that lies inside the image
LEAST_RATIO = 3 / 4  # of width to height; the largest is its inverse


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomResizedCrop:
    """Cuts a part of random area and proportions out of each image and resizes it, bilinearly.

        recipe = kc.Recipe(augmentations=[kc.augmentation.RandomResizedCrop(least_area=0.25)])

    Szegedy et al., "Going Deeper with Convolutions", 2014, arXiv:1409.4842, section 6: an area from 8% to all of the
    image's, drawn uniformly, and a ratio of width to height from 3/4 to 4/3, drawn here uniformly in its logarithm, as
    torchvision's RandomResizedCrop does. Where ten boxes drawn do not fit into the image, the largest one in its middle
    is taken. Masks and weights of pixels move with their images; masks stay 0 or 1.
    """

    least_area: float = 0.08
    "The smallest share of the image's area, above 0, at most 1."
    size: tuple[int, int] | None = None
    "Height and width in pixels of the result; default: those of the images."

    def __post_init__(self):
        if not 0 < self.least_area <= 1:
            raise UsageError(f"least_area is {self.least_area}; give a share above 0 and at most 1")

    def __call__(self, images, labels, seed, *weights):
        height, width = images.shape[1:3]
        boxes = random_boxes(tf.shape(images)[0], height, width, self.least_area, seed)
        y, x = (
            places(boxes[:, axis, None], boxes[:, 2 + axis, None], size)
            for axis, size in enumerate(self.size or (height, width))
        )
        y, x = y[:, :, None], x[:, None, :]
        return resampled(y + tf.zeros_like(x), x + tf.zeros_like(y), images, labels, *weights)


@dataclasses.dataclass(frozen=True)
class RandomPart:
    """As RandomResizedCrop, before photos are resized, with the kernels of ResizeAndCrop.

    Called with images uint8 (B, H, W, C), which it cuts alike, and a seed int (2,), it gives uint8 (B, *image_size, C).
    """

    image_size: tuple[int, int]
    least_area: float
    interpolation: str = "bilinear"

    @property
    def shortest(self):
        """The pixels of the shorter side of an image of which no part is enlarged: what decode_image takes."""
        return math.ceil(max(self.image_size) / math.sqrt(self.least_area * LEAST_RATIO))

    def __call__(self, images, seed):
        height, width = tf.unstack(tf.shape(images)[1:3])
        box = tf.cast(random_boxes(1, height, width, self.least_area, seed)[0], tf.int32)
        top, left, rows, columns = tf.unstack(box)
        scales = tf.constant(self.image_size, tf.float32) / tf.cast(box[2:], tf.float32)
        part = images[:, top : top + rows, left : left + columns]
        return resized(part, self.image_size, scales, tf.zeros(2), self.interpolation)


def places(start, side, size):
    """Where the middles of `size` pixels lie that fill the pixels start … start + side - 1, each (B, 1): (B, size)."""
    spread = start + (tf.range(size, dtype=tf.float32) + 0.5) * side / size - 0.5
    return tf.clip_by_value(spread, start, start + side - 1)


def random_boxes(count, height, width, least_area, seed):
    """Top, left, height and width in pixels of a box in each of `count` images, whole numbers: float32 (count, 4)."""
    seeds = tf.unstack(tf.random.split(tf.cast(seed, tf.int32), 3))
    height, width = (tf.cast(side, tf.float32) for side in (height, width))
    area = tf.random.stateless_uniform((count, TRIES), seeds[0], least_area, 1.0) * (height * width)
    most = -math.log(LEAST_RATIO)
    ratio = tf.exp(tf.random.stateless_uniform((count, TRIES), seeds[1], -most, most))
    sides = tf.round(tf.stack([tf.sqrt(area / ratio), tf.sqrt(area * ratio)], -1))
    # the last one always fits: all of the image, or as much of its middle as has allowed proportions
    whole = tf.minimum((height, width), tf.round(tf.stack([width, height]) / LEAST_RATIO))
    sides = tf.concat([sides, tf.ones([count, 1, 2]) * whole], 1)
    fits = tf.reduce_all((sides >= 1) & (sides <= (height, width)), -1)
    chosen = tf.argmax(tf.cast(fits, tf.int32), 1)
    sides = tf.gather(sides, chosen, axis=1, batch_dims=1)
    free = (height, width) - sides
    place = tf.floor(tf.random.stateless_uniform((count, 2), seeds[2]) * (free + 1))
    middle = tf.floor(free / 2)
    start = tf.where((chosen == TRIES)[:, None], middle, tf.minimum(place, free))
    return tf.concat([start, sides], 1)
