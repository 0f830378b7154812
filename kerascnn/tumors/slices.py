"""Patients' slices as examples for training: preprocessed, oversampled and augmented."""

import numpy as np

from kerascnn.datasets.augmentation import CarveMix, Distortion, Intensity, MiddleChannel
from kerascnn.datasets.batches import batches
from kerascnn.datasets.examples import Examples
from kerascnn.errors import InputError
from kerascnn.segmentation.overlays import TRUTH, slice_sheet
from kerascnn.segmentation.weight_maps import border_weights
from kerascnn.tumors.preprocessing import preprocess_masks, preprocess_volume


def slice_examples(patients, recipe, foreground_oversampling=1, share=None):
    """(all slices of the patients as the network sees them, those with tumor several times; tumor's share of pixels).

    Examples with images float32 (N, image_size, image_size, C) in [0, 1], masks uint8 (N, image_size, image_size, 1)
    and, for the loss `border`, weights float32 of that shape, for tumor that has `share` of all pixels: in training its
    share of these slices. Raises InputError where such weights are asked for and there is no tumor.
    """
    size = recipe.image_size
    images = np.concatenate([preprocess_volume(patient.images, size) for patient in patients])
    masks = np.concatenate([preprocess_masks(patient.masks, patient.images, size) for patient in patients])
    share = masks.mean() if share is None else share
    weights = None
    if recipe.loss == "border":
        if not share:
            raise InputError("no training slice has tumor; the loss border weighs classes, choose another")
        weights = border_weights(masks, share)
    repeats = np.where(masks.any((1, 2, 3)), foreground_oversampling, 1)
    return Examples(images, masks, weights).take(np.repeat(np.arange(len(images)), repeats)), share


def augmentations(recipe):
    """What Recipe.augmentations holds; lengths are parts of the size, and elastic is Dong's alpha at 240 pixels."""
    scale = recipe.image_size / 240
    distortion = Distortion(
        **{name: getattr(recipe, name) for name in ("horizontal_flip", "rotation", "zoom", "shear")},
        shift=recipe.shift * recipe.image_size,
        # displacements go as alpha / sigma
        elastic=recipe.elastic * scale**2,
        sigma=24 * scale,
    )
    shares = ((CarveMix, recipe.carvemix), (MiddleChannel, recipe.flair_only))
    intensity = Intensity(brightness=recipe.brightness, contrast=recipe.contrast, gamma=recipe.gamma)
    return distortion, *(kind(share=share) for kind, share in shares if share), intensity


def draw_augmentation(examples, augmentations, path):
    """Draw 16 augmented slices, with tumor where there are any, and the contours of their masks to a PNG file."""
    tumor = np.flatnonzero(examples.labels.any((1, 2, 3)))
    places = tumor if len(tumor) else np.arange(len(examples))
    shown = examples.take(places[:: max(1, len(places) // 16)][:16])
    ((images, masks, *_),) = batches(shown, len(shown), augmentations=augmentations)
    images, labels = (images.numpy() * 255).astype(np.uint8), [str(number) for number in range(1, len(shown) + 1)]
    slice_sheet(images, [(masks.numpy(), TRUTH)], labels, path)
