"""Training networks that outline something in patients' slices: from a recipe to a folder with a trained model.

TensorFlow and Keras are imported inside the functions, after everything that can be checked without them.
"""

import dataclasses

from kerascnn.cli import app as cli
from kerascnn.errors import InputError, UsageError
from kerascnn.files import write_aside

# The networks whose width or depth can be chosen, and what this app takes for the width unless it is told.
VARIED = {"width": ("unet", "unet_buda"), "depth": ("unet",)}
WIDTH = 16


def train_network(app, recipe, data, parts, out, resume):
    """Train one network on the training patients of the Split `parts` of `data`, into the folder `out`.

    Raises what training.fit raises.
    """
    from kerascnn.segmentation.evaluation import Segmenter, choose_settings
    from kerascnn.segmentation.losses import MASK_LOSSES
    from kerascnn.segmentation.metrics import PooledDice
    from kerascnn.training.fit import fit

    examples, share = slice_examples(parts.train, recipe, recipe.tumor_draws)
    augment = augmentation(recipe)

    def conclude(model):
        draw_augmentation(examples, augment, out / "augmentation.png")
        segmenter = Segmenter(model)
        settings, tried = choose_settings([(segmenter, patient) for patient in parts.validation])
        return {"settings": dataclasses.asdict(settings), "settings_tried": tried}

    fit(
        lambda: network(recipe, len(data.channel_names)),
        examples,
        slice_examples(parts.validation, recipe, share=share)[0],
        recipe,
        out,
        loss=MASK_LOSSES[recipe.loss](),
        metrics=[PooledDice],
        augment=augment,
        metadata={"app": app, "data": data.metadata(), "split": parts.metadata()},
        conclude=conclude,
        resume=resume,
    )


def check(recipe, data_dir):
    """Raise UsageError for what no network of this kind can be trained with."""
    from kerascnn.tumors.patients import FOLDS, PARTS

    multiple = 2 ** max(4, recipe.depth or 0)
    faults = {
        "--members": None if 1 <= recipe.members <= PARTS else f"give 1 to {PARTS}",
        "--fold": None if 0 <= recipe.fold < FOLDS else f"choose one of {', '.join(map(str, range(FOLDS)))}",
        "--width": None if recipe.width is None or recipe.width >= 1 else "give at least 1",
        "--depth": None if recipe.depth is None or 1 <= recipe.depth <= 8 else "give 1 to 8",
        "--side": None
        if recipe.side >= 32 and recipe.side % multiple == 0
        else f"give a multiple of {multiple} from 32",
        "--zoom": None if 0 <= recipe.zoom < 1 else "give a fraction below 1",
        "--gamma": None if recipe.gamma >= 0 else "give at least 0",
        "--carve": None if 0 <= recipe.carve <= 1 else "give a share from 0 to 1",
        "--copy": None if 0 <= recipe.copy <= 1 else "give a share from 0 to 1",
        "--tumor-draws": None if recipe.tumor_draws >= 1 else "give at least 1",
        "--modalities": "name at least one"
        if not recipe.modalities
        else "it is for --data nifti, leave it out"
        if recipe.data != "nifti" and recipe.modalities != type(recipe)().modalities
        else None,
        "--label-smoothing": "it is for classes, not for masks; leave it out" if recipe.label_smoothing else None,
    }
    for flag, remedy in faults.items():
        if remedy:
            raise UsageError(f"{flag} is {getattr(recipe, flag[2:].replace('-', '_'))}; {remedy}")
    for name, models in VARIED.items():
        if getattr(recipe, name) is not None and recipe.model not in models:
            raise UsageError(f"{recipe.model} has no --{name}; leave it out, or choose {' or '.join(models)}")
    if recipe.model == "unet_2015" and recipe.side < 96:
        raise UsageError(f"--side is {recipe.side}; unet_2015 mirrors 94 pixels beyond each edge, give at least 96")
    if recipe.data == "nifti" and data_dir is None:
        raise UsageError("--data nifti has no folder; name one of volumes, a sub-folder per patient, with --data-dir")


def network(recipe, channels):
    """The network of a recipe, for slices of recipe.side."""
    from kerascnn.models import builder
    from kerascnn.models.unet import framed

    shape = (recipe.side, recipe.side, channels)
    if recipe.model == "unet_2015":
        return framed(shape)
    options = {"width": recipe.width or WIDTH} if recipe.model in VARIED["width"] else {}
    if recipe.depth is not None:
        options["depth"] = recipe.depth
    return builder(recipe.model)(shape, **options)


def augmentation(recipe):
    """The batch transform of a recipe; lengths are parts of the side, and elastic is Dong's alpha at a side of 240."""
    from kerascnn.datasets.augmentation import paired_distortion

    scale = recipe.side / 240
    same = {name: getattr(recipe, name) for name in ("mirror", "rotation", "zoom", "shear", "brightness", "contrast")}
    return paired_distortion(
        **same,
        shift=recipe.shift * recipe.side,
        # displacements go as alpha / sigma
        elastic=recipe.elastic * scale**2,
        sigma=24 * scale,
        gamma=recipe.gamma,
        copy=recipe.copy,
        carve=recipe.carve,
    )


def slice_examples(patients, recipe, tumor_draws=1, share=None):
    """(all slices of the patients as the network sees them, those with tumor `tumor_draws` times; tumor's share).

    Examples with images float32 (N, side, side, C) in [0, 1] and masks uint8 (N, side, side, 1), behind which the loss
    `border` finds its weights: float32 (N, side, side, 2), for tumor that has `share` of all pixels, in training its
    share of these slices.
    """
    import numpy as np

    from kerascnn.datasets import Examples
    from kerascnn.segmentation.weight_maps import border_weights
    from kerascnn.tumors.preprocessing import preprocess_masks, preprocess_volume

    images = np.concatenate([preprocess_volume(patient.images, recipe.side) for patient in patients])
    masks = np.concatenate([preprocess_masks(patient.masks, patient.images, recipe.side) for patient in patients])
    draws = np.where(masks.any((1, 2, 3)), tumor_draws, 1)
    share = masks.mean() if share is None else share
    if recipe.loss == "border":
        if not share:
            raise InputError("no training slice has tumor; --loss border weighs classes, choose another")
        masks = np.concatenate([masks, border_weights(masks, share)], -1)
    return Examples(images, masks).take(np.repeat(np.arange(len(images)), draws)), share


def draw_augmentation(examples, augment, path, count=12):
    """Draw distorted slices, with tumor where there are any, and the outlines of their masks to a PNG file."""
    import numpy as np
    import tensorflow as tf

    from kerascnn.segmentation.overlays import pair_sheet

    tumor = np.flatnonzero(examples.labels[..., 0].any((1, 2)))
    places = tumor if len(tumor) else np.arange(len(examples))
    shown = examples.take(places[:: max(1, len(places) // count)][:count])
    images, masks = augment(tf.constant(shown.images), tf.constant(shown.labels, tf.float32), tf.constant([0, 0]))
    write_aside(path, lambda aside: pair_sheet(images.numpy(), masks.numpy(), aside))


def load_data(name, data_dir, modalities):
    """The PatientDataset called `name`; nifti is the folder `data_dir`."""
    from kerascnn.tumors import data as sources

    data = sources.load(name, data_dir, modalities)
    cli.note(f"data: {data.description}")
    return data
