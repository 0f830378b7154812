"""Ten crops and 144: views that are cut from a photo of more pixels than the network takes.

A network's photos lie in two forms: as the network takes them, and larger, as `resize_for_crops` gives them.
"""

import dataclasses
import math
from typing import NamedTuple

import tensorflow as tf

from kerascnn.datasets.resizing import ResizeAndCrop


class Crops(NamedTuple):
    """scales: the sides of windows for a network of 224 pixels. windows: how many are taken of a photo at each scale.

    whole: whether the window itself, resized, is a view beside its crops.
    """

    scales: tuple[int, ...]
    windows: int
    whole: bool


CROPS = {
    "ten_crop": Crops((256,), windows=1, whole=False),
    "144_crop": Crops((256, 288, 320, 352), windows=3, whole=True),
}


@dataclasses.dataclass(frozen=True)
class ThreeWindows:
    """What `resize` cuts from the start, the middle and the end of an image's longer side, one below the other.

    From uint8 (B, H, W, C) to uint8 (B, *image_size, C).
    """

    resize: ResizeAndCrop

    @property
    def image_size(self):
        height, width = self.resize.image_size
        return 3 * height, width

    @property
    def shortest(self):
        return self.resize.shortest

    def __call__(self, images):
        return tf.concat([self.resize(images, place) for place in (0.0, 0.5, 1.0)], 1)


def resize_for_crops(tta, resize):
    """From photos to the largest windows that the crops of `tta` need; resize: the ResizeAndCrop of single views."""
    crops = CROPS[tta]
    larger = ResizeAndCrop(in_proportion(resize.image_size, crops.scales[-1], 224), 1.0, resize.interpolation)
    return ThreeWindows(larger) if crops.windows == 3 else larger


def averaged_over_crops(network, tta):
    """images float32 (B, H, W, C), as resize_for_crops gives them, in [0, 1] -> logits (B, classes).

    These are the logarithm of the mean of the probabilities, which is what both papers average. The views of one window
    are asked together, one window after the other: those of a batch would take gigabytes.
    """
    crops = CROPS[tta]

    def answer(window):
        seen = tf.concat(views(window[tf.newaxis], crops), 0)
        return log_mean(tf.nn.log_softmax(network(seen, training=False)), 0)

    def logits(images):
        height, width, channels = images.shape[1:]
        windows = tf.reshape(images, (-1, height // crops.windows, width, channels))
        answers = tf.map_fn(answer, windows, parallel_iterations=1, fn_output_signature=tf.float32)
        return log_mean(tf.reshape(answers, (-1, crops.windows, answers.shape[-1])), 1)

    return logits


def views(windows, crops):
    """The views of windows (B, H, W, C), which are of the last of crops.scales: a list of (B, h, w, C).

    The four corners and the middle, and their mirror images (Krizhevsky et al., 2012, section 4.1); for each scale, and
    with the whole window (Szegedy et al., 2014, arXiv:1409.4842, section 7). Windows of a smaller scale are resized
    from the largest, where the paper resizes the photo again.
    """
    stored = windows.shape[1:3]
    height, width = in_proportion(stored, 224, crops.scales[-1])
    found = []
    for scale in crops.scales:
        sides = in_proportion((height, width), scale, 224)
        window = windows if sides == tuple(stored) else tf.image.resize(windows, sides, antialias=True)
        down, right = sides[0] - height, sides[1] - width
        places = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
        found += [window[:, top : top + height, left : left + width] for top, left in places]
        if crops.whole:
            found.append(tf.image.resize(window, (height, width), antialias=True))
    return [side for view in found for side in (view, view[:, :, ::-1])]


def in_proportion(size, new, old):
    """Sides in pixels that are to `size` as `new` is to `old`."""
    return tuple(round(side * new / old) for side in size)


def log_mean(logarithms, axis):
    """The logarithm of the mean, over an axis, of what these are logarithms of."""
    return tf.reduce_logsumexp(logarithms, axis) - math.log(logarithms.shape[axis])
