"""Test-time augmentation: the answer to an image is the mean of the network's answers to several views of it."""

import tensorflow as tf

from kerascnn.classification.crops import CROPS, averaged_over_crops


def averaged_over_views(network, tta):
    """images float32 (B, H, W, C) in [0, 1] -> logits (B, classes), the mean over the views that `tta` names.

    none: the image. flip: the image and its mirror image. flip_shift: these two, as heavy as the same two moved by a
    pixel up and left and by one down and right, with reflected borders (Jordan, 2024, arXiv:2404.00498, section 3.5).
    ten_crop, 144_crop: those of kerascnn.classification.crops, whose images are larger than the network's.
    """
    if tta in CROPS:
        return averaged_over_crops(network, tta)

    def logits(images):
        seen = shifted(images) if tta == "flip_shift" else [images]
        seen = [side for view in seen for side in (view, view[:, :, ::-1])] if tta != "none" else seen
        weights = [1 / 4] * 2 + [1 / 8] * 4 if tta == "flip_shift" else [1 / len(seen)] * len(seen)
        answers = tf.split(network(tf.concat(seen, 0), training=False), len(seen))
        return tf.add_n([weight * answer for weight, answer in zip(weights, answers, strict=True)])

    return logits


def shifted(images):
    """[the images, moved by one pixel up and left, by one down and right]."""
    height, width = images.shape[1:3]
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT")
    return [images, padded[:, 2:, 2:], padded[:, :height, :width]]
