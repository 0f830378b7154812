"""From a photo of any size to the pixels that a network takes: one way for training, evaluation and what is served."""

import dataclasses
import math
import numbers

from kerascnn.errors import UsageError

# What TensorFlow calls the kernels.
KERNELS = {"bilinear": "triangle", "bicubic": "keyscubic", "lanczos": "lanczos3"}
WIDEST = 3  # pixels that one of them sees on each side


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
        object.__setattr__(self, "image_size", tuple(map(int, size)))  # of NumPy's numbers, too
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
        scale = tf.reduce_max(size / self.crop_ratio / sides)
        # of the window that is wanted, with all that a kernel sees beyond it: of a panorama that is little
        start, margin = (sides - size / scale) * place, WIDEST * tf.maximum(1 / scale, 1.0) + 1
        first = tf.floor(tf.maximum(start - margin, 0.0))
        last = tf.math.ceil(tf.minimum(start + size / scale + margin, sides))
        (top, left), (bottom, right) = tf.unstack(tf.cast(first, tf.int32)), tf.unstack(tf.cast(last, tf.int32))
        window, scales = images[:, top:bottom, left:right], tf.stack([scale, scale])
        return resized(window, self.image_size, scales, scale * (first - start), self.interpolation)


def resized(images, size, scales, shift, interpolation):
    """uint8 (B, H, W, C) -> uint8 (B, *size, C), in which what lies at (y, x) comes to scales * (y, x) + shift.

    scales, shift: float32 (2,), in pixels from the upper left corner.
    """
    import tensorflow as tf

    def down(images, axis):
        """The images (B, H, W, C) with their columns resized as an axis of `size` says: (B, W, size, C)."""
        batch, height, width, channels = tf.unstack(tf.shape(images))
        columns = tf.raw_ops.ScaleAndTranslate(
            images=tf.reshape(images, [batch, height, 1, width * channels]),
            size=[size[axis], 1],
            scale=tf.stack([scales[axis], 1.0]),
            translation=tf.stack([shift[axis], 0.0]),
            kernel_type=KERNELS[interpolation],
            antialias=True,
        )
        return tf.transpose(tf.reshape(columns, [batch, size[axis], width, channels]), [0, 2, 1, 3])

    # twice down, as the operation is twice as slow across
    pixels = tf.ensure_shape(down(down(images, 0), 1), [None, *size, None])
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0.0, 255.0), tf.uint8)
