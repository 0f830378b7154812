"""Small images first: training that begins fast and ends on the size that counts."""

import dataclasses

import tensorflow as tf

from kerascnn.errors import UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class GrowingImages:
    """Resizes images to sizes that rise, each for an equal part of the epochs; to be the last of the augmentations.

        recipe = kc.Recipe(augmentations=[kc.augmentation.GrowingImages(sizes=(128, 160, 192))])

    The network must take any size, as globally pooled ones do, whatever size it was built for. Only training calls it,
    as AlternatingFlip. Bilinear, antialiased.
    Howard, "Training Imagenet in 3 hours for USD 25; and CIFAR10 for USD 0.26", fast.ai, 2018: progressive resizing.
    """

    sizes: tuple[int, ...]
    "Height and width in pixels, rising."

    by_epoch = True

    def __post_init__(self):
        sizes = list(self.sizes)
        if not sizes or not all(type(size) is int and size > 0 for size in sizes) or sizes != sorted(set(sizes)):
            raise UsageError(f"sizes is {self.sizes}; give rising numbers of pixels", argument="sizes")

    def __call__(self, images, labels, seed, *weights, epoch, epochs, **place):
        if labels.shape.rank == 4:
            raise UsageError("augmentations holds GrowingImages, and labels are masks; leave it out")
        part = tf.minimum(tf.cast(epoch, tf.int64) * len(self.sizes) // epochs, len(self.sizes) - 1)
        size = tf.gather(tf.constant(self.sizes), part)
        return tf.image.resize(images, tf.stack([size, size]), antialias=True), labels, *weights
