"""Training tumor networks, from a recipe to a run folder: one network, or an ensemble averaged into one model.

The networks of an ensemble have validation patients of their own, so that together they learn from nearly all patients,
and settings are chosen on several times as many as one network would leave. TensorFlow and Keras are imported inside
the functions, after everything that can be checked without them.
"""

import dataclasses
import logging

from kerascnn.errors import UsageError
from kerascnn.files import one_writer, write_aside, write_json
from kerascnn.training.recipe import as_json
from kerascnn.training.record import checked, read_record_if_any, record_file
from kerascnn.training.run_folder import check_same_run, check_unfinished
from kerascnn.tumors.patients import split
from kerascnn.tumors.recipes import APP, FOLDS, RUNS, VARIED

WIDTH = 16  # of a network whose recipe names none

logger = logging.getLogger(__name__)


def train(recipe, data, folder, callbacks=(), resume=False):
    """Train the network of a TumorRecipe, or its ensemble, on a PatientDataset, into `folder`.

    An ensemble's folder gets one for each network, network0 and so on, and model.keras and recipe.json of the average.
    callbacks: Keras callbacks for every network. Raises what training.fit raises, and UsageError where `folder` holds
    networks of another recipe or of other data.
    """
    check_new_run(folder, recipe.ensemble)
    if recipe.ensemble == 1:
        train_network(recipe, data, split(data.patients, recipe.fold), folder, callbacks, resume)
    else:
        train_ensemble(recipe, data, folder, callbacks, resume)


def check_new_run(folder, ensemble):
    """Raise UsageError where `folder` holds a finished run, or a started one of another number of networks."""
    check_unfinished(folder)
    fitting = {f"network{number}" for number in range(ensemble)} if ensemble > 1 else set()
    others = {path.name for path in folder.glob("network*")} - fitting
    if others or (ensemble > 1 and (folder / "checkpoint.npz").exists()):
        words = f"ensemble is {ensemble} and {folder} holds a run of another number of networks"
        raise UsageError(f"{words}; give its number or choose another folder", argument="ensemble")


def finished_run(folder, recipe, data=None, parts=None):
    """Whether `folder` holds a finished run. Raises UsageError where it is of another recipe, other data or Split."""
    record = read_record_if_any(folder)
    if record is None:
        return False
    checked(record, {"recipe": dict, "data": dict}, record_file(folder))
    check_same_run(folder, record["recipe"], as_json(recipe))
    if (data and record["data"] != data.metadata()) or (parts and record.get("split") != parts.metadata()):
        raise UsageError(f"folder {folder} was trained on other data; give the same or choose another folder")
    return True


def folds_of(recipe, folder):
    """{folder: recipe} of the five folds of patients in `folder`.

    Raises UsageError where the recipe names a fold, and where a finished fold is one of another recipe.
    """
    if recipe.fold:
        raise UsageError(f"fold is {recipe.fold}; leave it out, all folds are trained", argument="fold")
    folds = {folder / f"fold{fold}": dataclasses.replace(recipe, fold=fold) for fold in range(FOLDS)}
    for place, own in folds.items():
        finished_run(place, own)
    return folds


def train_network(recipe, data, parts, folder, callbacks=(), resume=False):
    """Train one network on the training patients of the Split `parts` of `data`, into `folder`."""
    import keras

    from kerascnn.segmentation.evaluation import Segmenter, choose_settings
    from kerascnn.segmentation.losses import SEGMENTATION_LOSSES
    from kerascnn.segmentation.metrics import PooledDice
    from kerascnn.training.fit import fit
    from kerascnn.training.free_memory import check_memory
    from kerascnn.tumors.preprocessing import PREPROCESSING
    from kerascnn.tumors.slices import augmentations, draw_augmentation, slice_examples

    examples, share = slice_examples(parts.train, recipe, recipe.foreground_oversampling)
    training = dataclasses.replace(recipe.training, augmentations=augmentations(recipe))

    def conclude(model):
        draw_augmentation(examples, training.augmentations, folder / "augmentation.png")
        segmenter = Segmenter(model, PREPROCESSING)
        settings, tried = choose_settings([(segmenter, patient) for patient in parts.validation])
        return {"settings": dataclasses.asdict(settings), "settings_tried": tried}

    resumed = (folder / "checkpoint.npz").is_file()
    check_memory(lambda: build_network(recipe, len(data.channel_names)), training, resumed)
    keras.utils.set_random_seed(training.seed)
    fit(
        build_network(recipe, len(data.channel_names)),
        (examples, slice_examples(parts.validation, recipe, share=share)[0]),
        training,
        folder=folder,
        loss=SEGMENTATION_LOSSES[recipe.loss](),
        metrics=[PooledDice()],
        metadata={"recipe": as_json(recipe), "app": APP, "data": data.metadata(), "split": parts.metadata()},
        conclude=conclude,
        callbacks=callbacks,
        resume=resume,
    )


def build_network(recipe, channels):
    """The network of a recipe, for slices of recipe.image_size."""
    from kerascnn.models import builder
    from kerascnn.models.unet import framed

    shape = (recipe.image_size, recipe.image_size, channels)
    if recipe.model == "unet_2015":
        return framed(shape)
    options = {"width": recipe.width or WIDTH} if recipe.model in VARIED["width"] else {}
    if recipe.depth is not None:
        options["depth"] = recipe.depth
    return builder(recipe.model)(shape, **options)


def train_ensemble(recipe, data, folder, callbacks, resume):
    """Train the networks of a recipe in `folder`/network0 …, those that are not there yet, and average them."""
    from kerascnn.saved_model.folding import averaged
    from kerascnn.training.checks import check_folder
    from kerascnn.training.fit import stopped_by_limits
    from kerascnn.training.run_folder import load_trained

    numbers = range(recipe.ensemble)
    folders = [folder / f"network{number}" for number in numbers]
    splits = [split(data.patients, recipe.fold, number) for number in numbers]
    check_folder(folder, any(place.is_dir() for place in folders), resume)
    with one_writer(folder), stopped_by_limits(recipe.training, folder):
        for number, place, parts in zip(numbers, folders, splits, strict=True):
            logger.info("network %d of %d", number + 1, recipe.ensemble)
            training = dataclasses.replace(recipe.training, seed=recipe.training.seed + number)
            own = dataclasses.replace(recipe, ensemble=1, training=training)
            if not finished_run(place, own, data, parts):
                train_network(own, data, parts, place, callbacks, (place / "checkpoint.npz").exists())
        models, records = zip(*(load_trained(place, RUNS) for place in folders), strict=True)
        record = ensemble_record(recipe, models, records, splits)
        write_aside(folder / "model.keras", averaged(models).save)
        write_json(folder / "recipe.json", record)


def ensemble_record(recipe, models, records, splits):
    """What recipe.json says of an ensemble of `models`, whose own recipe.json say `records`: JSON types.

    The settings are chosen on the validation patients of all, each seen by the network that was not trained on it.
    """
    from kerascnn.provenance import origin
    from kerascnn.segmentation.evaluation import Segmenter, choose_settings
    from kerascnn.tumors.preprocessing import PREPROCESSING

    unseen = [
        (segmenter, patient)
        for segmenter, parts in zip([Segmenter(model, PREPROCESSING) for model in models], splits, strict=True)
        for patient in parts.validation
    ]
    settings, tried = choose_settings(unseen)
    validation = [patient.name for _, patient in unseen]
    train = [patient.name for patient in splits[0].train if patient.name not in validation]
    peaks = [name for name in records[0] if name.startswith("peak_")]
    kept = ("split", "best_epoch", "validation", "settings", "training_seconds", *peaks)
    return {
        **{name: records[0][name] for name in ("app", "data")},
        "recipe": as_json(recipe),
        "split": {"train": train, "validation": validation, "test": [patient.name for patient in splits[0].test]},
        "complete": True,
        "networks": [{name: each.get(name) for name in kept} for each in records],
        "training_seconds": round(sum(each["training_seconds"] for each in records), 1),
        **{name: max(each.get(name) or 0 for each in records) or None for name in peaks},
        "settings": dataclasses.asdict(settings),
        "settings_tried": tried,
        **origin(),
    }
