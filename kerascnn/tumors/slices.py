"""Patients' slices as examples for training: preprocessed, oversampled and augmented."""

import numpy as np

from kerascnn.datasets.augmentation import CarveMix, Distortion, Intensity, SingleChannel
from kerascnn.datasets.batches import batches
from kerascnn.datasets.examples import Examples
from kerascnn.errors import InputError
from kerascnn.segmentation.overlays import TRUTH, slice_sheet
from kerascnn.segmentation.weight_maps import border_weights
from kerascnn.training.free_memory import free_memory, gib
from kerascnn.tumors.preprocessing import preprocess_masks, preprocess_volume


def slice_examples(patients, recipe, foreground_oversampling=1, share=None):
    """(all slices of the patients as the network sees them, those with tumor several times; tumor's share of pixels).

    Examples with images float32 (N, image_size, image_size, C) in [0, 1], masks uint8 (N, image_size, image_size, 1)
    and, for the loss `border`, weights float32 of that shape, for tumor that has `share` of all pixels: in training its
    share of these slices. Raises InputError where such weights are asked for and there is no tumor, or memory does not
    hold the slices.
    """
    size = recipe.image_size
    # the slices, all of them at once, those with tumor again, and TensorFlow's
    needed = 4 * 4 * size**2 * patients[0].images.shape[-1] * sum(map(len, patients))
    if (free := free_memory()) is not None and needed > free:
        words = f"slices of {len(patients)} patients take about {gib(needed)}, and {gib(free)} are free"
        raise InputError(f"{words}; give a smaller image_size or fewer patients")
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
    asked, sequences = [distortion], [name.lower() for name in recipe.modalities]
    if recipe.carvemix:
        asked.append(CarveMix(share=recipe.carvemix))
    if recipe.flair_only and "flair" in sequences:
        asked.append(SingleChannel(share=recipe.flair_only, channel=sequences.index("flair")))
    return *asked, Intensity(brightness=recipe.brightness, contrast=recipe.contrast, gamma=recipe.gamma)


def draw_augmentation(examples, augmentations, path):
    """Draw 16 augmented slices, with tumor where there are any, and the contours of their masks to a PNG file."""
    tumor = np.flatnonzero(examples.labels.any((1, 2, 3)))
    places = tumor if len(tumor) else np.arange(len(examples))
    shown = examples.take(places[:: max(1, len(places) // 16)][:16])
    ((images, masks, *_),) = batches(shown, len(shown), augmentations=augmentations)
    images, labels = (images.numpy() * 255).astype(np.uint8), [str(number) for number in range(1, len(shown) + 1)]
    slice_sheet(images, [(masks.numpy(), TRUTH)], labels, path)
