"""From a volume to its mask: preprocessing, network, flip TTA, threshold and post-processing, in TensorFlow ops.

`volume_probabilities` and then `postprocess` are the one way to a mask: evaluation scores what they return, and the
exported model holds them.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from kerascnn.images import MOST_VOXELS
from kerascnn.segmentation.losses import foreground_logit
from kerascnn.segmentation.postprocessing import (
    largest_component,
    most_confident_component,
    without_holes,
    without_small_components,
)
from kerascnn.training.recipe import check_fields

SLICES_AT_ONCE = 8
CONFIDENT = 0.9  # probability from which a voxel counts for `most_confident_component`


class Preprocessing(NamedTuple):
    """What stands between a volume and the network: two functions of a module, in TensorFlow ops."""

    preprocess: Callable
    "preprocess(volume, image_size): uint8 (S, H, W, C) -> float32 (S, image_size, image_size, C) in [0, 1]."
    restore: Callable
    "restore(probabilities, volume): float32 (S, image_size, image_size, 1) -> (S, H, W, 1), back onto the slices."


@dataclasses.dataclass(frozen=True)
class MaskSettings:
    """What is chosen on validation patients once the network is trained."""

    threshold: float = 0.5
    "Probability from which a pixel belongs to the mask."
    flip_tta: bool = False
    "Whether probabilities are averaged with those of the horizontally flipped slices."
    largest_component: bool = False
    "Whether only the volume's largest component is kept."
    most_confident_component: bool = False
    "Whether only the component is kept that has the most voxels with a probability of at least CONFIDENT."
    fill_holes: bool = False
    "Whether holes inside a slice are filled."
    minimum_component_size: int = 0
    "Voxels that a component has at least; smaller ones are removed."

    def __post_init__(self):
        """Raise UsageError for a value of another type or range."""
        check_fields(self, {"threshold": (0, 1), "minimum_component_size": (0, MOST_VOXELS)})


def segment(network, preprocessing, volume, settings):
    """(probabilities float32 (S, H, W, 1), mask uint8 (S, H, W, 1) of 0 and 1) of one volume uint8 (S, H, W, C)."""
    probabilities = volume_probabilities(network, preprocessing, volume, settings.flip_tta)
    return probabilities, postprocess(probabilities, settings)


def volume_probabilities(network, preprocessing, volume, flip_tta):
    """The probability of the foreground at every pixel: uint8 (S, H, W, C) -> float32 (S, H, W, 1)."""
    image_size = network.input_shape[1]
    images = preprocessing.preprocess(volume, image_size)
    slices = tf.shape(images)[0]
    # A few slices at a time, so that memory does not grow with the volume.
    at_once = tf.clip_by_value(slices, 1, SLICES_AT_ONCE)
    padded = tf.pad(images, [[0, -slices % at_once], [0, 0], [0, 0], [0, 0]])
    probabilities = tf.map_fn(
        lambda images: network_probabilities(network, images, flip_tta),
        tf.reshape(padded, tf.stack([-1, at_once, image_size, image_size, tf.shape(images)[3]])),
        fn_output_signature=tf.TensorSpec([None, image_size, image_size, 1], tf.float32),
        parallel_iterations=1,
    )
    return preprocessing.restore(tf.reshape(probabilities, [-1, image_size, image_size, 1])[:slices], volume)


def network_probabilities(network, images, flip_tta):
    """Preprocessed slices float32 (B, H, W, C) -> probabilities float32 (B, H, W, 1)."""
    plain = tf.sigmoid(foreground_logit(network(images, training=False)))
    if not flip_tta:
        return plain
    flipped = tf.sigmoid(foreground_logit(network(images[:, :, ::-1], training=False)))
    return (plain + flipped[:, :, ::-1]) / 2


def postprocess(probabilities, settings):
    """The mask of a volume's probabilities: float32 (S, H, W, 1) -> uint8 (S, H, W, 1) of 0 and 1."""
    mask = probabilities[..., 0] >= settings.threshold
    if settings.minimum_component_size:
        mask = without_small_components(mask, settings.minimum_component_size)
    if settings.largest_component:
        mask = largest_component(mask)
    if settings.most_confident_component:
        mask = most_confident_component(mask, probabilities[..., 0] >= CONFIDENT)
    if settings.fill_holes:
        mask = without_holes(mask)
    return tf.cast(mask, tf.uint8)[..., tf.newaxis]
