"""From a volume to its mask: preparation, network, mirroring, threshold and post-processing, in TensorFlow ops.

`probabilities` and then `mask_of` are the one way to a mask: evaluation scores what they return, and the exported model
holds them.
"""

import dataclasses

import tensorflow as tf

from kerascnn.segmentation.losses import foreground_logit
from kerascnn.segmentation.postprocessing import (
    largest_component,
    surest_component,
    without_holes,
    without_small_components,
)
from kerascnn.tumors.preprocessing import preprocess_volume, restore_maps

SLICES_AT_ONCE = 8
SURE = 0.9  # probability from which a voxel counts for `surest`


@dataclasses.dataclass(frozen=True)
class MaskSettings:
    """What is chosen on validation patients once the network is trained."""

    threshold: float = 0.5
    "Probability from which a pixel belongs to the mask."
    mirror: bool = False
    "Whether probabilities are averaged with those of the slices seen in a mirror."
    largest: bool = False
    "Whether only the volume's largest component is kept."
    surest: bool = False
    "Whether only the component is kept that has the most voxels with a probability of at least SURE."
    fill: bool = False
    "Whether holes inside a slice are filled."
    minimum: int = 0
    "Voxels that a component has at least; smaller ones are removed."


def segment(network, volume, side, settings):
    """(probability float32 (S, H, W, 1), mask uint8 (S, H, W, 1) of 0 and 1) of one volume uint8 (S, H, W, C)."""
    probability = probabilities(network, volume, side, settings.mirror)
    return probability, mask_of(probability, settings)


def probabilities(network, volume, side, mirror):
    """The probability of tumor at every pixel: uint8 (S, H, W, C) -> float32 (S, H, W, 1), 0 outside the window."""
    prepared = preprocess_volume(volume, side)
    slices = tf.shape(prepared)[0]
    # A few slices at a time, so that memory does not grow with the volume.
    at_once = tf.clip_by_value(slices, 1, SLICES_AT_ONCE)
    padded = tf.pad(prepared, [[0, -slices % at_once], [0, 0], [0, 0], [0, 0]])
    maps = tf.map_fn(
        lambda images: network_probabilities(network, images, mirror),
        tf.reshape(padded, tf.stack([-1, at_once, side, side, tf.shape(prepared)[3]])),
        fn_output_signature=tf.TensorSpec([None, side, side, 1], tf.float32),
        parallel_iterations=1,
    )
    return restore_maps(tf.reshape(maps, [-1, side, side, 1])[:slices], volume)


def network_probabilities(network, images, mirror):
    """Prepared slices float32 (B, side, side, C) -> probability float32 (B, side, side, 1)."""
    seen = tf.sigmoid(foreground_logit(network(images, training=False)))
    if not mirror:
        return seen
    mirrored = tf.sigmoid(foreground_logit(network(images[:, :, ::-1], training=False)))
    return (seen + mirrored[:, :, ::-1]) / 2


def mask_of(probability, settings):
    """The mask of a volume's probabilities: float32 (S, H, W, 1) -> uint8 (S, H, W, 1) of 0 and 1."""
    mask = probability[..., 0] >= settings.threshold
    if settings.minimum:
        mask = without_small_components(mask, settings.minimum)
    if settings.largest:
        mask = largest_component(mask)
    if settings.surest:
        mask = surest_component(mask, probability[..., 0] >= SURE)
    if settings.fill:
        mask = without_holes(mask)
    return tf.cast(mask, tf.uint8)[..., tf.newaxis]
