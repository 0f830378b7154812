"""Augmentations that give an image something of the next one of its batch, and its label with it."""

import dataclasses

import tensorflow as tf

from kerascnn.datasets.augmentation.distortion import blur_matrix
from kerascnn.errors import UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class CarveMix:
    """Gives some images the tumor of the next one of the batch, with what is around it.

        recipe = kc.Recipe(augmentations=[kc.augmentation.CarveMix(share=0.5)])

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixUp:
    """Blends each image with the next one of its batch, and their labels and weights as much.

        recipe = kc.Recipe(augmentations=[kc.augmentation.MixUp(alpha=0.2, num_classes=10)])

    Zhang, Cisse, Dauphin & Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", 2018, arXiv:1710.09412, equation 1.
    Differs from the paper: every image draws a share of its own, not every batch.
    """

    alpha: float
    "Shares are drawn from Beta(alpha, alpha)."
    num_classes: int
    "Labels become float32 (B, num_classes)."

    def __post_init__(self):
        check_alpha(self.alpha)

    def __call__(self, images, labels, seed, *weights):
        labels = one_hot(labels, self.num_classes)
        share = beta(tf.shape(images)[:1], self.alpha, seed) * counted(*weights)
        mixed = images + share[:, None, None, None] * (tf.roll(images, -1, 0) - images)
        return mixed, *blended(share, labels, *weights)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CutMix:
    """Puts a rectangle of the next image of the batch into each image; labels and weights are blended by its area.

        recipe = kc.Recipe(augmentations=[kc.augmentation.CutMix(alpha=1.0, num_classes=10)])

    Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", 2019,
    arXiv:1905.04899, section 3.1: the rectangle has the image's proportions, a share of its area from
    Beta(alpha, alpha), and its middle anywhere; what lies beyond the image is cut off. Differs from the paper: every
    image draws a rectangle of its own, not every batch.
    """

    alpha: float
    "1 draws shares uniformly."
    num_classes: int
    "Labels become float32 (B, num_classes)."

    def __post_init__(self):
        check_alpha(self.alpha)

    def __call__(self, images, labels, seed, *weights):
        labels = one_hot(labels, self.num_classes)
        seeds = tf.random.split(tf.cast(seed, tf.int32), 2)
        count, (height, width) = tf.shape(images)[0], images.shape[1:3]
        side = tf.sqrt(beta([count], self.alpha, seeds[0]))
        middle = tf.random.stateless_uniform((count, 2), seeds[1])
        side *= counted(*weights)
        inside = rectangle(middle * (height, width), side[:, None] * (height, width), height, width)
        share = tf.reduce_mean(tf.cast(inside, tf.float32), (1, 2, 3))
        mixed = tf.where(inside, tf.roll(images, -1, 0), images)
        return mixed, *blended(share, labels, *weights)


def check_alpha(alpha):
    """Raise UsageError for what no share can be drawn with: below 0.05 two gamma variables may be too small for it."""
    if not 0.05 <= alpha <= 100:
        raise UsageError(f"alpha is {alpha}; give a number from 0.05 to 100")


def one_hot(labels, num_classes):
    """int32 (B,) -> float32 (B, num_classes); labels that are mixed already stay. Raises UsageError for masks."""
    if len(labels.shape) > 2:
        raise UsageError("augmentations mixes classes, and the examples have masks; leave it out")
    return labels if len(labels.shape) == 2 else tf.one_hot(labels, num_classes)


def beta(shape, alpha, seed):
    """Draws from Beta(alpha, alpha), float32: of two gamma variables, the part that is the first."""
    first, other = (
        tf.random.stateless_gamma(shape, own, alpha) for own in tf.unstack(tf.random.split(tf.cast(seed, tf.int32), 2))
    )
    return first / (first + other)


def blended(share, labels, *weights):
    """[labels (B, classes), and weights (B,) if any], each with a share, float32 (B,), of the next of the batch.

    The loss of both together is as it would be alone: a label counts as much as its share times its own weight, so that
    a class that weighs more does so in a mixture, too.
    """
    own, other = 1 - share, share
    if weights:
        own, other = own * weights[0], other * tf.roll(weights[0], -1, 0)
    mixed = own[:, None] * labels + other[:, None] * tf.roll(labels, -1, 0)
    return [tf.math.divide_no_nan(mixed, (own + other)[:, None]), *([own + other] if weights else [])]


def counted(weights=None):
    """1 where an image and the next one of its batch have weights (B,) above 0, else 0, float32: what may be mixed."""
    if weights is None:
        return 1.0
    both = (weights > 0) & (tf.roll(weights, -1, 0) > 0)
    return tf.cast(both, tf.float32)


def rectangle(middle, sides, height, width):
    """Where pixels lie inside a rectangle for each image: bool (B, height, width, 1). middle, sides: (B, 2), pixels."""
    near = [
        tf.abs(tf.range(size, dtype=tf.float32) + 0.5 - middle[:, axis, None]) <= sides[:, axis, None] / 2
        for axis, size in enumerate((height, width))
    ]
    return (near[0][:, :, None] & near[1][:, None, :])[..., None]
