"""From a photo of any size to the pixels that a network takes: one way for training, evaluation and what is served."""

import dataclasses
import math
import numbers

from kerascnn.errors import UsageError

# What TensorFlow calls the kernels.
KERNELS = {"bilinear": "triangle", "bicubic": "keyscubic", "lanczos": "lanczos3"}


@dataclasses.dataclass(frozen=True)
class ResizeAndCrop:
    """Resizes images so that they just cover image_size / crop_ratio and takes image_size out of their middle.

    Proportions are kept. Where an image shrinks the kernel grows with it, so that every pixel counts: what Pillow's
    resize does, and torchvision's with antialias. Called with images uint8 (B, H, W, C) it gives uint8
    (B, *image_size, C); with `place` 0 their upper left end instead of their middle, with 1 their lower right one.

    image_size: (height, width) in pixels. crop_ratio: above 0, at most 1. interpolation: bilinear, bicubic or lanczos.
    Raises UsageError for any other value.
    """

    image_size: tuple[int, int]
    crop_ratio: float = 1.0
    interpolation: str = "bilinear"

    def __post_init__(self):
        size = self.image_size
        sides = size if isinstance(size, tuple | list) and len(size) == 2 else (0,)
        if not all(isinstance(side, numbers.Integral) and side >= 1 for side in sides):
            raise UsageError(f"image_size is {size}; give (height, width) in pixels", argument="image_size")
        if not 0 < self.crop_ratio <= 1:
            words = f"crop_ratio is {self.crop_ratio}; give a number above 0 and at most 1"
            raise UsageError(words, argument="crop_ratio")
        if self.interpolation not in KERNELS:
            words = f"interpolation is {self.interpolation!r}; choose one of {', '.join(KERNELS)}"
            raise UsageError(words, argument="interpolation")

    @property
    def shortest(self):
        """The pixels of the shorter side that an image needs so that it is not enlarged: what decode_image takes."""
        return math.ceil(max(self.image_size) / self.crop_ratio)

    def __call__(self, images, place=0.5):
        import tensorflow as tf

        size, sides = tf.constant(self.image_size, tf.float32), tf.cast(tf.shape(images)[1:3], tf.float32)
        scale = tf.repeat(tf.reduce_max(size / self.crop_ratio / sides), 2)
        # tf.image.resize would make the whole resized image first: 100 million pixels of one of 20,000x10
        pixels = tf.raw_ops.ScaleAndTranslate(
            images=tf.cast(images, tf.float32),
            size=self.image_size,
            scale=scale,
            translation=(size - scale * sides) * place,
            kernel_type=KERNELS[self.interpolation],
            antialias=True,
        )
        pixels = tf.ensure_shape(pixels, [None, *self.image_size, None])
        return tf.cast(tf.clip_by_value(tf.round(pixels), 0.0, 255.0), tf.uint8)
