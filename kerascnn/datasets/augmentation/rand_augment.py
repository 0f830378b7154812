"""RandAugment: for each image, operations drawn from fourteen, all of one strength."""

import dataclasses
import math

import tensorflow as tf

from kerascnn.datasets.augmentation.distortion import sample
from kerascnn.errors import UsageError

STRONGEST = 10
LUMA = (0.299, 0.587, 0.114)  # of Pillow's conversion to grey, ITU-R 601-2


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandAugment:
    """Changes each image by operations of its own, one after the other.

        recipe = kc.Recipe(augmentations=[kc.augmentation.RandAugment(operations=2, magnitude=9)])

    Cubuk, Zoph, Shlens & Le, "RandAugment: Practical automated data augmentation with a reduced search space", 2019,
    arXiv:1909.13719, section 3: identity, autocontrast, equalize, rotate, solarize, color, posterize, contrast,
    brightness, sharpness, shear and translate along x and y, drawn uniformly for every image. The ranges are those of
    AutoAugment (Cubuk et al., 2018, arXiv:1805.09501, table 6), and signs are drawn. Differs from the paper's code,
    as torchvision's does: operations change nothing at magnitude 0 (but autocontrast and equalize, which have none) and
    most at 10, colours, contrast, brightness and
    sharpness by a factor of 1 - 0.9 or 1 + 0.9 there (in the paper's code from 0.1 to 1.9, solarize inverts less, and
    posterize keeps fewer bits); translation is a share of the image's side (150 of 331 pixels at most), and what comes
    from outside is black. Images of 1 or 3 channels; masks are not moved, and raise UsageError.
    """

    operations: int = 2
    "How many an image goes through: the paper's N."
    magnitude: float = 9
    "Their strength, from 0 to 10: the paper's M."

    def __post_init__(self):
        if not 0 <= self.magnitude <= STRONGEST:
            raise UsageError(f"magnitude is {self.magnitude}; give a number from 0 to {STRONGEST}")

    @tf.autograph.experimental.do_not_convert  # it would take half a minute to find nothing to convert
    def __call__(self, images, labels, seed, *weights):
        if len(labels.shape) == 4:
            raise UsageError("augmentations has RandAugment, which moves no masks with their images; leave it out")
        count = tf.shape(images)[:1]
        for own in tf.unstack(tf.random.split(tf.cast(seed, tf.int32), self.operations)):
            kind_seed, sign_seed = tf.unstack(tf.random.split(own, 2))
            kinds = tf.random.stateless_uniform(count, kind_seed, 0, len(OPERATIONS), tf.int32)
            positive = tf.random.stateless_uniform(count, sign_seed) < 0.5
            strength = tf.where(positive, 1.0, -1.0) * (self.magnitude / STRONGEST)
            images = each_changed(images, kinds, strength)
        return images, labels, *weights


def each_changed(images, kinds, strength):
    """images (B, H, W, C), each changed by the operation whose number in OPERATIONS it has in `kinds`, int32 (B,).

    strength: float32 (B,) in [-1, 1]. Images that share an operation go through it together.
    """
    number = len(OPERATIONS)
    parts = [tf.dynamic_partition(each, kinds, number) for each in (images, strength, tf.range(tf.shape(images)[0]))]
    changed = [
        tf.clip_by_value(change(part, own), 0.0, 1.0)
        for change, part, own in zip(OPERATIONS.values(), *parts[:2], strict=True)
    ]
    return tf.ensure_shape(tf.dynamic_stitch(parts[2], changed), images.shape)


def moved(images, matrix, offset=((0.0,), (0.0,))):
    """The images with 0 outside; a pixel comes from matrix @ its place from the middle + offset.

    matrix: rows y and x of columns y and x, each a number or (B,); offset: y and x in pixels, numbers or (B,).
    """
    height, width = images.shape[1:3]
    v = tf.range(height, dtype=tf.float32)[:, None] - (height - 1) / 2
    u = tf.range(width, dtype=tf.float32)[None, :] - (width - 1) / 2
    every = tf.ones((tf.shape(images)[0], 1, 1))
    (yy, yx), (xy, xx) = (
        [every * tf.reshape(part, (-1, 1, 1)) for part in map(tf.convert_to_tensor, row)] for row in matrix
    )
    dy, dx = (tf.reshape(tf.convert_to_tensor(part), (-1, 1, 1)) for part in offset)
    return sample(images, yy * v + yx * u + dy + (height - 1) / 2, xy * v + xx * u + dx + (width - 1) / 2)


def rotated(images, strength):
    angle = strength * math.radians(30)
    return moved(images, ((tf.cos(angle), tf.sin(angle)), (-tf.sin(angle), tf.cos(angle))))


def sheared(axis):
    def shear(images, strength):
        slant = 0.3 * strength
        return moved(images, ((1.0, slant), (0.0, 1.0)) if axis == 0 else ((1.0, 0.0), (slant, 1.0)))

    return shear


def translated(axis):
    def translate(images, strength):
        distance = strength * (150 / 331) * images.shape[1 + axis]
        still = tf.zeros_like(distance)
        return moved(images, ((1.0, 0.0), (0.0, 1.0)), (distance, still) if axis == 0 else (still, distance))

    return translate


def blended(without):
    """An operation as Pillow's ImageEnhance has them: from without(images) to the images, and as far beyond them.

    At full strength the factor is 0.1 or 1.9.
    """

    def blend(images, strength):
        factor = 1 + 0.9 * strength[:, None, None, None]
        plain = without(images)
        return plain + factor * (images - plain)

    return blend


def grey(images):
    """The images' luma in all channels; of one channel the images."""
    if images.shape[3] != 3:
        return images
    return tf.repeat(tf.tensordot(images, tf.constant(LUMA), 1)[..., None], 3, -1)


def mean_grey(images):
    return tf.reduce_mean(grey(images), (1, 2), keepdims=True)


def smoothed(images):
    """Pillow's filter SMOOTH: 3 by 3 pixels, the middle one five times as heavy; the outermost pixels stay."""
    height, width = images.shape[1:3]
    if min(height, width) < 3:
        return images
    windows = [images[:, i : height - 2 + i, j : width - 2 + j] for i in range(3) for j in range(3)]
    border = ((0, 0), (1, 1), (1, 1), (0, 0))
    inner = tf.pad((tf.add_n(windows) + 4 * windows[4]) / 13, border)
    return tf.where(tf.pad(tf.ones((1, height - 2, width - 2, 1), tf.bool), border), inner, images)


def autocontrasted(images, strength):
    """Each channel of each image stretched to [0, 1]; one of a single intensity stays."""
    low, high = (extreme(images, (1, 2), keepdims=True) for extreme in (tf.reduce_min, tf.reduce_max))
    return tf.where(high > low, tf.math.divide_no_nan(images - low, high - low), images)


def equalized(images, strength):
    """Each channel of each image with as flat a histogram of 256 intensities as may be, as Pillow's equalize makes it.

    A channel of a single intensity stays.
    """
    shape = tf.shape(images)
    rows = tf.reshape(tf.transpose(images, (0, 3, 1, 2)), (shape[0] * shape[3], -1))
    levels = tf.cast(tf.round(rows * 255), tf.int32)
    counts = tf.math.bincount(levels, minlength=256, maxlength=256, axis=-1)
    last = tf.reduce_max(levels, 1, keepdims=True)
    step = (tf.shape(rows)[1] - tf.gather(counts, last, batch_dims=1)) // 255
    table = tf.minimum((step // 2 + tf.cumsum(counts, 1, exclusive=True)) // tf.maximum(step, 1), 255)
    equal = tf.where(step > 0, tf.cast(tf.gather(table, levels, batch_dims=1), tf.float32) / 255, rows)
    return tf.transpose(tf.reshape(equal, tf.gather(shape, (0, 3, 1, 2))), (0, 2, 3, 1))


def posterized(images, strength):
    """Intensities cut to their upper bits: 8 of them, at full strength 4."""
    size = tf.pow(2.0, tf.round(4 * tf.abs(strength)))[:, None, None, None]
    return tf.floor(tf.round(images * 255) / size) * size / 255


def solarized(images, strength):
    """What is not darker than a threshold is inverted; that is 1 without strength, and 0 at full strength."""
    least = 1 - tf.abs(strength)[:, None, None, None]
    return tf.where((images >= least) & (strength[:, None, None, None] != 0), 1 - images, images)


OPERATIONS = {
    "identity": lambda images, strength: images,
    "autocontrast": autocontrasted,
    "equalize": equalized,
    "rotate": rotated,
    "solarize": solarized,
    "color": blended(grey),
    "posterize": posterized,
    "contrast": blended(mean_grey),
    "brightness": blended(tf.zeros_like),
    "sharpness": blended(smoothed),
    "shear_y": sheared(0),
    "shear_x": sheared(1),
    "translate_y": translated(0),
    "translate_x": translated(1),
}
