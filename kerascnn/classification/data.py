"""The images that classifiers are trained on: a data set by name, or a folder of photos or TFRecord files."""

import dataclasses
import logging
from pathlib import Path

import numpy as np

from kerascnn.classification.recipes import SIZES
from kerascnn.datasets import DATASETS, TFDS_NAME, image_folder, image_records, image_table, load
from kerascnn.datasets.examples import Examples
from kerascnn.datasets.image_folder import SUFFIXES, UNREAD, raise_unreadable
from kerascnn.datasets.image_records import record_files
from kerascnn.datasets.image_table import SPLITS, split_in
from kerascnn.errors import UsageError
from kerascnn.files import shown

logger = logging.getLogger(__name__)

OTHERS = "or name a folder with a sub-folder per class or with TFRecord files, or a CSV file"
# of an ImageRecipe, for load_images
FIELDS = ("data", *SIZES, "random_resized_crop", "group_by", "validation")


def check_data(data):
    """Raise UsageError unless `data` is, or could be, a name of kerascnn.datasets.load, a folder or a CSV file.

    Which names TensorFlow Datasets knows is not known before TensorFlow is loaded.
    """
    taken = Path(data).exists() and not is_prepared(data)
    if data not in DATASETS and not is_path(data) and (taken or not TFDS_NAME.fullmatch(data)):
        words = f"data is {data!r}, neither a folder nor a data set; choose one of {', '.join(DATASETS)}"
        raise UsageError(f"{words}, or of TensorFlow Datasets, {OTHERS}", argument="data")


def check_asked(recipe, out, flags=None):
    """Raise UsageError for an ImageRecipe of which a field says nothing, or whose data are none or would hold `out`.

    Images of most data sets are taken as they are. flags: what the user gave; a size there is an error even where it is
    the usual one.
    """
    recipe.check_asked()
    check_data(recipe.data)
    check_outside(out, recipe.data)
    for name in SIZES:
        value = getattr(recipe, name)
        given = getattr(flags, name, None) is not None or value != getattr(type(recipe), name)
        if given and recipe.data in DATASETS:
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


def check_outside(out, data):
    """Raise UsageError where the folder `out` lies in the folder of photos `data`, and would be taken for a class."""
    of_classes = data not in DATASETS and Path(data).is_dir() and not is_prepared(str(data)) and not is_records(data)
    if of_classes and Path(out).resolve().is_relative_to(Path(data).resolve()):
        words = f"out is {out}, which lies in {data}, where folders are classes"
        raise UsageError(f"{words}; name one elsewhere", argument="out")


def is_path(data):
    return bool(data) and Path(data).is_dir() and not is_prepared(data) or is_table(data)


def is_prepared(data):
    """Whether it is the folder in which TensorFlow Datasets keeps the data set of that name: its data_dir is here."""
    return TFDS_NAME.fullmatch(data) is not None and any(Path(data).glob("[0-9]*.[0-9]*.[0-9]*/dataset_info.json"))


def is_records(data):
    return Path(data).is_dir() and bool(record_files(data))


def is_table(data):
    return data.lower().endswith(".csv") and Path(data).is_file()


def resolved(data):
    """The whole path of a folder or a CSV file, which may be a link; what is a name as it is."""
    if data in DATASETS or not is_path(data):
        return data
    path = Path(data).absolute()
    # where the system finds it: abspath does not look whether a folder before `..` is a link
    return str(path.resolve() if ".." in path.parts else path)


def load_images(
    data, image_size, *, train_size=0, random_resized_crop=0.0, validation=True, data_dir=None, **options
):  # fmt: skip
    """The Dataset `data`: a name of kerascnn.datasets.load, a folder with a sub-folder of images per class, or a table.

    A folder may hold TFRecord files instead, as image_records takes them.
    Where a folder has a sub-folder called train, and others are called validation or test alone, these are the splits,
    each with a sub-folder per class; a split that it has not is cut off. image_size: pixels, height and width of the
    images of a folder or of TFRecord files; train_size: what they have in batches for training instead, 0 for the same.
    random_resized_crop: of a folder or of TFRecord files, batches for training have parts of this share of the area at
    least, cut out as RandomResizedCrop does it, before anything is resized; 0 for none.
    options: crop_ratio, interpolation and group_by, as image_folder takes them. validation: False leaves the images of
    that split among those for training. data_dir: where TensorFlow Datasets keeps its files. Raises UsageError where
    `data` is none of these, and what image_folder, image_records, image_table and load raise.
    """
    check_data(data)
    in_files = data not in DATASETS and is_path(data) and not is_records(data)
    if (group_by := options.get("group_by")) and not in_files:
        words = f"group_by is {group_by!r}, and {data} has no files of its images"
        raise UsageError(f"{words}; leave it out", argument="group_by")
    if data in DATASETS and Path(data).is_dir():
        logger.warning("data is the data set %s; write ./%s for the folder here", data, data)
    sides, kept = (image_size, image_size), {} if validation else {"validation": 0}
    if data in DATASETS:
        found = load(data, data_dir) if validation else with_validation_in_train(load(data, data_dir))
    elif in_files:
        found = photos(data, sides, **options, **kept)
    else:
        found = streamed_records(data, sides, data_dir, **options, **kept)
    if data not in DATASETS:
        resize = training_resize(found.resize, train_size, random_resized_crop)
        found = dataclasses.replace(found, train=dataclasses.replace(found.train, training_resize=resize))
    logger.info("data: %s", found.description)
    return found


def training_resize(resize, train_size, random_resized_crop):
    """What photos go through in training in place of the ResizeAndCrop; None for that itself."""
    if random_resized_crop:
        from kerascnn.datasets.augmentation.resized_crop import RandomPart

        return RandomPart(resize.image_size, random_resized_crop, resize.interpolation)
    # of larger images no border is cut off: the augmentation chooses the window
    return dataclasses.replace(resize, image_size=(train_size,) * 2, crop_ratio=1.0) if train_size else None


def photos(data, image_size, **options):
    """The Dataset of a table, or of a folder of photos or one with a folder for each split."""
    if is_table(data):
        return image_table(data, image_size, **options)
    splits = split_folders(Path(data))
    if "validation" in options and "validation" in splits:
        words = f"validation is False, and {splits['validation']} is a folder for it"
        remedy = f"leave it out, or move these photos into {splits['train']}"
        raise UsageError(f"{words}; {remedy}", argument="validation")
    found = image_folder(splits.pop("train"), image_size, **options, **splits)
    return dataclasses.replace(found, name=Path(data).resolve().name)


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

    Such a one beside others is a class, as trains among vehicles, where photos lie in it. Raises UsageError where two
    of them are of one split, others stand beside them, or none is for training.
    """
    names = sorted(place.name for place in folder.iterdir() if place.is_dir() and shown(place.name))
    exactly, called = {name: SPLITS.get(name.lower()) for name in names}, {name: split_in(name) for name in names}
    if len({*called.values()} - {None}) < 2:  # one word alone may be a class, as train_station
        called = exactly
    if None in exactly.values():
        called = {name: None if holds_photos(folder / name) else split for name, split in called.items()}
    of_splits = [name for name, split in called.items() if split]
    if not of_splits:
        return {"train": folder}
    splits = {called[name]: folder / name for name in of_splits}
    if others := [name for name in names if name not in of_splits]:
        words = f"folder {folder} has {others[0]} beside {', '.join(of_splits)}"
        raise UsageError(f"{words}; move it elsewhere, or give {of_splits[0]} another name")
    if "train" not in splits:
        raise UsageError(f"folder {folder} has {' and '.join(of_splits)} and no folder train; add it")
    if len(splits) < len(names):
        raise UsageError(f"folder {folder} has two folders of one split; keep one of {', '.join(names)}")
    return splits


def holds_photos(folder):
    """Whether files of photos lie in a folder itself, and no folders."""
    try:
        places = [place for place in folder.iterdir() if shown(place.name)]
    except OSError as error:
        raise_unreadable(error)
    photos = any(place.name.lower().endswith(SUFFIXES + UNREAD) for place in places if place.is_file())
    return photos and not any(place.is_dir() for place in places)
