"""Keras's random layers as functions of a batch and a seed."""

import inspect
import logging

import keras
import tensorflow as tf

from kerascnn.errors import UsageError

logger = logging.getLogger(__name__)

# Random layers of Keras 3.15 that draw from a generator of their own, whatever seed they are given.
SEEDLESS = ("AugMix", "RandAugment", "RandomColorJitter")
DRAW_NOTHING = ("Normalization", "Rescaling")


class StepSeed(keras.random.SeedGenerator):
    """A SeedGenerator without state: what it gives follows from `seed`, int (2,), and how often it was asked."""

    def __init__(self, seed):
        self.seed, self.asked = seed, 0

    def next(self, ordered=True):
        self.asked += 1
        return tf.random.experimental.stateless_fold_in(self.seed, self.asked)


def unfolded(augmentations):
    """The augmentations, with the layers of a keras.Sequential or a Pipeline in its place."""
    if callable(augmentations):
        words = f"augmentations is {augmentations!r}"
        raise UsageError(f"{words}; give it in a list", argument="augmentations")
    for augmentation in augmentations:
        within = isinstance(augmentation, keras.Sequential | keras.layers.Pipeline)
        yield from unfolded(augmentation.layers) if within else [augmentation]


def as_augmentation(augmentation):
    """The augmentation itself, or the function that a random layer of Keras becomes: masks move with their images.

    Raises UsageError for a layer made for images of another range than [0, 1], for one that mixes labels, too, and for
    a function of other arguments.
    """
    if not isinstance(augmentation, keras.layers.Layer):
        check_arguments(augmentation)
        return augmentation
    layer, name = augmentation, type(augmentation).__name__
    if name in ("CutMix", "MixUp"):
        raise UsageError(
            f"augmentations has {name}, which needs one-hot labels; take kc.augmentation.{name}",
            argument="augmentations",
        )
    if tuple(getattr(layer, "value_range", (0, 1))) != (0, 1):
        words = f"augmentations has a {name} with value_range {tuple(layer.value_range)}, and images are in [0, 1]"
        raise UsageError(f"{words}; give it value_range=(0, 1)", argument="augmentations")
    if name in SEEDLESS or not hasattr(layer, "get_random_transformation"):
        if name not in DRAW_NOTHING:
            logger.warning("%s draws without the recipe's seed: a resumed training sees other images", name)

        def of_images(images, labels, seed, *weights):
            if len(labels.shape) == 4:
                words = f"augmentations has {name}, which does not move masks with their images"
                raise UsageError(f"{words}; leave it out", argument="augmentations")
            return tf.cast(layer(images, training=True), images.dtype), labels, *weights

        return of_images

    def augment(images, labels, seed, *weights):
        # StepSeed folds by 1, 2, …, and so are the seeds made of the augmentations behind this one
        own = tf.random.experimental.stateless_fold_in(tf.cast(seed, tf.int32), -2)
        drawn = layer.get_random_transformation(images, training=True, seed=StepSeed(own))

        def transformation():
            """What is drawn; where RandomElasticTransform leaves drawing to each call, every call draws the same."""
            return {**drawn, "seed": StepSeed(own)} if isinstance(drawn, dict) and "seed" in drawn else drawn

        moved = tf.cast(layer.transform_images(images, transformation(), training=True), images.dtype)
        if len(labels.shape) != 4:
            return moved, labels, *weights
        return moved, *(masks_moved(layer, each, transformation()) for each in (labels, *weights))

    return augment


def masks_moved(layer, masks, transformation):
    """Masks or weights of pixels moved as their images are."""
    if not isinstance(layer, keras.layers.RandomElasticTransform):
        return tf.cast(layer.transform_segmentation_masks(masks, transformation), masks.dtype)
    most = tf.maximum(tf.reduce_max(masks), 1.0)  # it cuts them at 1
    return tf.cast(layer.transform_segmentation_masks(masks / most, transformation), masks.dtype) * most


def check_arguments(augmentation, *weights):
    """Raise UsageError where a function cannot be called with images, labels, a seed and, if given, weights."""
    if getattr(augmentation, "by_epoch", False):
        return
    try:
        inspect.signature(augmentation).bind("images", "labels", "seed", *weights)
    except TypeError as error:
        name = getattr(augmentation, "__name__", type(augmentation).__name__)
        words = f"augmentations has {name}, which does not take (images, labels, seed, *weights): {error}"
        raise UsageError(f"{words}; give it these arguments", argument="augmentations") from None
