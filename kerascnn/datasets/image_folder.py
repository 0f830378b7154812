"""Photos in folders, one a class."""

import dataclasses
import logging
import numbers
import os
from pathlib import Path

import numpy as np

from kerascnn.datasets.examples import Dataset, cut_missing
from kerascnn.datasets.groups import check_groups, grouped
from kerascnn.datasets.image_files import ImageFiles
from kerascnn.datasets.resizing import ResizeAndCrop
from kerascnn.errors import InputError, UsageError, printable, shortened
from kerascnn.files import shown

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp")
UNREAD = (".heic", ".heif", ".avif", ".tif", ".tiff", ".gif", ".jp2", ".jxl")

logger = logging.getLogger(__name__)


def image_folder(
    folder, image_size, *, crop_ratio=1.0, interpolation="bilinear", validation=0.1, test=0.1, seed=0, group_by=""
):  # fmt: skip
    """A Dataset of the images in the sub-folders of `folder`, each of which is a class.

        data = kc.datasets.image_folder("photos", image_size=(224, 224))

    PNG, JPEG, WebP and BMP files are listed at once and read when a batch needs them, so that any number of them fits.
    Files may differ in size and proportions: each is resized until it covers image_size (H, W) divided by crop_ratio,
    with interpolation bilinear, bicubic or lanczos, and cut in the middle; kerascnn.export puts the same into the
    SavedModel. Grey images become RGB. A file that does not decode, or has more pixels than decode_image takes, keeps
    its place with the weight 0, and a warning names it; one of HEIC, AVIF, TIFF, GIF and JPEG 2000 or XL files, which
    are not read, says their number.
    class_names are the names of the sub-folders in order. validation, test: the share of the files that is cut off, of
    each class alike, drawn with `seed`; 0 for none, or another folder with sub-folders of the same names. group_by: a
    regular expression that is searched in the path of a file below `folder`, or below that of its split; files in which
    its first group, or all of it, is the same stay in one split. Raises InputError where a folder is not there or
    cannot be read, or the name of a class cannot be printed; UsageError where it has no classes or other ones than
    `folder`, for an image_size, crop_ratio or interpolation that is none, or where group_by is no expression, is not
    found in a file's path, or finds the same in two splits that are given.
    """
    resize = ResizeAndCrop(image_size, crop_ratio, interpolation)
    classes = class_folders(folder, "folder")
    if len(classes) == 1:
        words = f"folder {folder} has one class, {classes[0]}"
        raise UsageError(f"{words}; put the images of each class into a sub-folder of its own")
    splits = {"train": listed(folder, classes, resize)}
    shares = {"test": test, "validation": validation}
    for name, share in shares.items():
        if share is None or isinstance(share, numbers.Real):
            continue
        if others := set(class_folders(share, name)) ^ set(classes):
            has, has_not = (folder, share) if min(others) in classes else (share, folder)
            words = f"{name} is {share}, and {has} has the class {min(others)}, which {has_not} has not"
            raise UsageError(f"{words}; give folders of the same classes, if need be an empty one")
        splits[name] = listed(share, classes, resize)
    groups = grouped(np.concatenate([split.names for split in splits.values()]), group_by)
    if groups is not None:
        ends = np.cumsum([len(split) for split in splits.values()])[:-1]
        parts = zip(splits.items(), np.split(groups, ends), strict=True)
        splits = {name: dataclasses.replace(split, groups=part) for (name, split), part in parts}
        check_groups(splits, group_by)
    splits = cut_missing(splits, shares, seed, classes)
    warn_of_levels(splits["train"].names)
    name, licence = Path(folder).resolve().name, "not stated"
    count = sum(map(len, filter(None, splits.values())))
    description = f"{count:,} image files in {len(classes)} classes, resized to {image_size[0]}x{image_size[1]}"
    return Dataset(name, **splits, class_names=tuple(classes), licence=licence, description=description, resize=resize)


def class_folders(folder, argument):
    """The names of the folders in `folder`, in order.

    Raises InputError where it is none, UsageError where it is empty.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir() and shown(entry.name))
    except OSError as error:
        raise InputError(f"cannot read {folder} ({error.strerror}); check the path") from None
    if not names:
        words = f"{argument} {folder} has no sub-folders; put the images of each class into one of its own"
        raise UsageError(words)
    if damaged := next((name for name in names if printable(name) != name), None):
        words = f"the name of the folder {printable(os.path.join(folder, damaged))} cannot be printed"
        raise InputError(f"{words}; give it one in UTF-8")
    return names


def warn_of_levels(names):
    """Log a warning where the folders of classes look as if the classes lay in them, one level below."""
    parts = [name.split(os.sep) for name in names]
    if min(map(len, parts)) > 2:
        classes_in = {}
        for above, below, *_ in parts:
            classes_in.setdefault(below, set()).add(above)
        below, above = max(classes_in.items(), key=lambda item: len(item[1]))
        if len(classes_in) > 1 and len(above) > 1:
            words = "the classes are %s, and each has a folder %s; if that is the class, give a folder of such folders"
            logger.warning(words, shortened(", ".join(sorted(above))), below)


def warn_of_unread(paths, place):
    """Log a warning where there are paths of image files whose formats are not read; place: what names them."""
    if paths:
        kinds = ", ".join(sorted({os.path.splitext(path)[1].lower() for path in paths}))
        words = "%d files of %s (%s) are left out, the first is %s; convert them to JPEG"
        logger.warning(words, len(paths), place, kinds, min(paths))


def raise_unreadable(error):
    """For os.walk, which leaves a folder out that it cannot read."""
    raise InputError(f"cannot read {error.filename} ({error.strerror}); make it readable, or move it away") from None


def listed(folder, classes, resize):
    """The ImageFiles of a folder, class by class, each in the order of its names."""
    names, labels, unread = [], [], []
    roots = {os.path.realpath(os.path.join(folder, name)) for name in ("", *classes)}
    for label, name in enumerate(classes):
        found, seen = [], roots - {os.path.realpath(os.path.join(folder, name))}
        for place, folders, files in os.walk(os.path.join(folder, name), onerror=raise_unreadable, followlinks=True):
            if (real := os.path.realpath(place)) in seen:  # a link to a folder above, or to another class
                folders.clear()
                continue
            seen.add(real)
            # what is linked comes last, and so is found where it is
            linked = {each: os.path.islink(os.path.join(place, each)) for each in folders}
            folders[:] = sorted(filter(shown, folders), key=lambda each: (linked[each], each))
            paths = [os.path.join(place, file) for file in filter(shown, files)]
            unread += [path for path in paths if path.lower().endswith(UNREAD)]
            found += [os.path.relpath(path, folder) for path in paths if path.lower().endswith(SUFFIXES)]
        found.sort()
        names += found
        labels += [label] * len(found)
    warn_of_unread(unread, folder)
    if not names:
        raise InputError(f"no PNG, JPEG, WebP or BMP file in the sub-folders of {folder}; check the path")
    if closed := [path for name in names if not os.access(path := os.path.join(folder, name), os.R_OK)]:
        words = f"cannot read {len(closed)} of the files in {folder}, the first is {printable(closed[0])}"
        raise InputError(f"{words}; make them readable, or move them away")
    return ImageFiles(Path(folder), np.array(names), np.array(labels, np.int32), resize, unread=tuple(sorted(unread)))
