"""The images that classifiers are trained on: a data set by name, or a folder of photos or TFRecord files."""

import dataclasses
import logging
from pathlib import Path

import numpy as np

from kerascnn.classification.recipes import SIZES, ImageRecipe
from kerascnn.datasets import DATASETS, TFDS_NAME, image_folder, image_records, image_table, load
from kerascnn.datasets.examples import Examples
from kerascnn.datasets.image_folder import ImageFiles
from kerascnn.datasets.image_records import record_files
from kerascnn.datasets.image_table import SPLITS
from kerascnn.errors import InputError, UsageError
from kerascnn.files import shown
from kerascnn.training.record import section

logger = logging.getLogger(__name__)

OTHERS = "or name a folder with a sub-folder per class or with TFRecord files, or a CSV file"
# of an ImageRecipe, for load_images
FIELDS = ("data", *SIZES, "group_by", "validation")


def check_data(data):
    """Raise UsageError unless `data` is, or could be, a name of kerascnn.datasets.load, a folder or a CSV file.

    Which names TensorFlow Datasets knows is not known before TensorFlow is loaded.
    """
    if data not in DATASETS and not is_path(data) and (Path(data).exists() or not TFDS_NAME.fullmatch(data)):
        words = f"data is {data!r}, neither a folder nor a data set; choose one of {', '.join(DATASETS)}"
        raise UsageError(f"{words}, or of TensorFlow Datasets, {OTHERS}", argument="data")


def check_sizes(recipe):
    """Raise UsageError where an ImageRecipe wants sizes of a data set whose images are taken as they are."""
    for name in SIZES:
        value = getattr(recipe, name)
        if recipe.data in DATASETS and value not in (None, getattr(ImageRecipe, name)):
            words = f"{name} is {value}, and images of {recipe.data} are taken as they are"
            raise UsageError(f"{words}; leave it out, or name a folder of photos with --data", argument=name)


def check_photos(data):
    """Raise UsageError unless `data` is a folder of photos or a CSV file."""
    if not is_path(str(data)):
        words = f"photos is {str(data)!r}, neither a folder nor a CSV file"
        raise UsageError(f"{words}; name a folder with a sub-folder per class, or a CSV file")
    if is_records(data):
        words = f"photos is {str(data)!r}, a folder of TFRecord files, whose images are no files of their own"
        raise UsageError(f"{words}; name a folder with a sub-folder per class, or a CSV file")


def is_path(data):
    return Path(data).is_dir() or is_table(data)


def is_records(data):
    return Path(data).is_dir() and bool(record_files(data))


def is_table(data):
    return data.lower().endswith(".csv") and Path(data).is_file()


def resolved(data):
    """The whole path of a folder or a CSV file; what is a name as it is."""
    return str(Path(data).resolve()) if data not in DATASETS and is_path(data) else data


def load_images(data, image_size, *, train_size=0, validation=True, data_dir=None, **options):
    """The Dataset `data`: a name of kerascnn.datasets.load, a folder with a sub-folder of images per class, or a table.

    A folder may hold TFRecord files instead, as image_records takes them.
    Where a folder has a sub-folder called train, and others are called validation or test alone, these are the splits,
    each with a sub-folder per class; a split that it has not is cut off. image_size: pixels, height and width of the
    images of a folder or of TFRecord files; train_size: what they have in batches for training instead, 0 for the same.
    options: crop_ratio, interpolation and group_by, as image_folder takes them. validation: False leaves the images of
    that split among those for training. data_dir: where TensorFlow Datasets keeps its files. Raises UsageError where
    `data` is none of these, and what image_folder, image_records, image_table and load raise.
    """
    check_data(data)
    in_files = data not in DATASETS and is_path(data) and not is_records(data)
    if (group_by := options.get("group_by")) and not in_files:
        words = f"group_by is {group_by!r}, and {data} has no files of its images"
        raise UsageError(f"{words}; leave it out", argument="group_by")
    sides, kept = (image_size, image_size), {} if validation else {"validation": 0}
    if data in DATASETS:
        found = load(data, data_dir) if validation else with_validation_in_train(load(data, data_dir))
    elif in_files:
        found = photos(data, sides, **options, **kept)
    else:
        found = streamed_records(data, sides, data_dir, **options, **kept)
    if train_size and data not in DATASETS:
        found = dataclasses.replace(
            found, train=dataclasses.replace(found.train, training_size=(train_size, train_size))
        )
    logger.info("data: %s", found.description)
    return found


def photos(data, image_size, **options):
    """The Dataset of a table, or of a folder of photos or one with a folder for each split."""
    if is_table(data):
        return image_table(data, image_size, **options)
    splits = split_folders(Path(data))
    if "validation" in options and "validation" in splits:
        words = f"validation is False, and {splits['validation']} is a folder for it"
        remedy = f"leave it out, or move these photos into {splits['train']}"
        raise UsageError(f"{words}; {remedy}", argument="validation")
    return image_folder(splits.pop("train"), image_size, **options, **splits)


def streamed_records(data, image_size, data_dir, group_by="", **options):
    """The Dataset of a folder of TFRecord files, or of a name that TensorFlow Datasets may know."""
    if is_path(data):
        return image_records(data, image_size, **options)
    try:
        return load(data, data_dir, image_size=image_size, **options)
    except UsageError as error:
        if error.argument != "name":
            raise
        raise UsageError(f"data{str(error).removeprefix('name')}, {OTHERS}", argument="data") from None


def with_validation_in_train(data):
    """A Dataset of Examples without a validation split."""
    images, labels = (
        np.concatenate([getattr(split, part) for split in (data.train, data.validation)])
        for part in ("images", "labels")
    )
    return dataclasses.replace(data, train=Examples(images, labels), validation=None)


def split_folders(folder):
    """{"train": the folder itself}, or {split: its folder} where its sub-folders are called as splits are.

    Raises UsageError where two of them are of one split, others stand beside two splits, or none is for training.
    """
    names = sorted(place.name for place in folder.iterdir() if place.is_dir() and shown(place.name))
    of_splits = [name for name in names if name.lower() in SPLITS]
    splits = {SPLITS[name.lower()]: folder / name for name in of_splits}
    others = sorted(set(names) - set(of_splits))
    if len(splits) > 1 and "train" not in splits and not others:
        words = f"data is {folder}, which has {' and '.join(of_splits)} and no folder train"
        raise UsageError(f"{words}; add it", argument="data")
    if "train" not in splits or (others and len(splits) == 1):  # trains are a class of vehicles, too
        return {"train": folder}
    if others:
        words = f"data is {folder}, which has {others[0]} beside {', '.join(of_splits)}"
        raise UsageError(f"{words}; move it elsewhere", argument="data")
    if len(splits) < len(names):
        words = f"data is {folder}, which has two folders of one split; keep one of {', '.join(names)}"
        raise UsageError(words, argument="data")
    return splits


def split_names(data):
    """{split: the names of its files or records} of a Dataset of photos for recipe.json, {} of any other."""
    parts = {"validation": data.validation, "test": data.test}
    return {split: part.names.tolist() for split, part in parts.items() if isinstance(part, ImageFiles)}


def load_tested(record, data_dir=None):
    """The Dataset that a run was trained on, by its recipe.json; photos are split as they were then.

    Raises InputError where the folder is gone, and what load_images raises.
    """
    said = record["recipe"]
    recipe = {name: getattr(ImageRecipe, name) if said.get(name) is None else said[name] for name in FIELDS}
    split = section(record, "split")
    if Path(recipe["data"]).is_absolute() and not Path(recipe["data"]).exists():
        raise InputError(f"no {recipe['data']}, which the model was trained on; put it back")
    try:
        data = load_images(**recipe, data_dir=data_dir)
    except UsageError as error:
        if error.argument != "group_by" or not split:
            raise
        # a photo of no group has come since, and the split is known
        data = load_images(**recipe | {"group_by": ""}, data_dir=data_dir)
    return as_split(data, split)


def as_split(data, names):
    """A Dataset of photos split as split_names says of an earlier one; what has come since is for training.

    Or in no split, where it lies in a folder for validation or the test.
    """
    own = {split: part for split in ("validation", "test") if names.get(split) and (part := getattr(data, split))}
    if not own:
        return data
    parts = [part for part in (data.train, data.validation, data.test) if part]
    changed = {split: renamed(part, names[split], parts) for split, part in own.items()}
    taken = {name for part in changed.values() if part.root == data.train.root for name in part.names.tolist()}
    left = [name for part in parts if part.root == data.train.root for name in part.names if name not in taken]
    return dataclasses.replace(data, train=renamed(data.train, left, parts), **changed)


def renamed(files, names, parts):
    """ImageFiles of these names, whose labels are among `parts`. Raises InputError where a file is gone."""
    within = [part for part in parts if part.root == files.root]
    known = {name: label for part in within for name, label in zip(part.names.tolist(), part.labels, strict=True)}
    if gone := next((name for name in names if name not in known), None):
        words = f"cannot read {files.root / gone}, which was there before"
        raise InputError(f"{words}; restore it and run again")
    labels = np.array([known[name] for name in names], np.int32)
    return dataclasses.replace(files, names=np.array(names), labels=labels, groups=None)
