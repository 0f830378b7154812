"""Photos whose labels stand in a CSV file."""

import csv
import os
import re
from pathlib import Path

import numpy as np

from kerascnn.datasets.examples import Dataset, cut_missing
from kerascnn.datasets.groups import check_groups, grouped
from kerascnn.datasets.image_files import ImageFiles
from kerascnn.datasets.image_folder import UNREAD, warn_of_unread
from kerascnn.datasets.resizing import ResizeAndCrop
from kerascnn.errors import InputError, UsageError, printable
from kerascnn.files import reading_from

# What a table's column `split` may say, and what folders of splits are called; an empty field is of those that are cut.
SPLITS = {
    **dict.fromkeys(("train", "training", ""), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("validation", "valid", "val"), "validation"),
}


def split_in(name):
    """The split that the name of a file or folder has among its words, as train-00000-of-00010 or test_set; or None."""
    return next((SPLITS[word] for word in re.split(r"[-_.]", name.lower()) if word and word in SPLITS), None)


def image_table(
    file, image_size, *, crop_ratio=1.0, interpolation="bilinear", validation=0.1, test=0.1, seed=0, group_by=""
):  # fmt: skip
    """A Dataset of the images that a CSV file names, with its columns `file` and `label`, and perhaps `split`.

        data = kc.datasets.image_table("labels.csv", image_size=(224, 224))

    file: paths in it are below its own folder, or absolute. A split, train, validation or test, is of the images that
    the column says; one that it does not name is cut off those for training, as image_folder does it, which says the
    other arguments and which formats are left out, and validation=0 leaves those that it calls so among these.
    class_names are the labels in order.
    Raises InputError where a file is not there, UsageError for a table without these columns, with one class, with a
    file that it names twice, or with another split.
    """
    resize, root = ResizeAndCrop(image_size, crop_ratio, interpolation), Path(file).parent
    rows = read_rows(file)
    classes = sorted({row["label"] for row in rows})
    if len(classes) == 1:
        raise UsageError(f"file {file} has one class, {classes[0]}; name the images of each class")
    unread = tuple(sorted(str(root / row["file"]) for row in rows if row["file"].lower().endswith(UNREAD)))
    warn_of_unread(unread, file)
    rows = [row for row in rows if not row["file"].lower().endswith(UNREAD)]
    if not rows:
        raise InputError(f"file {file} names no PNG, JPEG, WebP or BMP file; convert its images")
    number = {name: i for i, name in enumerate(classes)}
    names, labels = np.array([row["file"] for row in rows]), [number[row["label"]] for row in rows]
    groups = grouped(names, group_by)
    every = ImageFiles(root, names, np.array(labels, np.int32), resize, groups=groups, unread=unread)
    said = np.array([SPLITS[row["split"]] for row in rows])
    if not validation:
        said[said == "validation"] = "train"
    splits = {name: every.take(said == name) for name in np.unique(said)}
    check_groups(splits, group_by)
    if "train" not in splits:
        raise UsageError(f"file {file} has no image for training; leave the field split of some empty")
    splits = cut_missing(splits, {"test": test, "validation": validation}, seed, classes)
    description = f"{len(rows):,} image files in {len(classes)} classes, resized to {image_size[0]}x{image_size[1]}"
    return Dataset(
        Path(file).stem, **splits, class_names=tuple(classes), licence="not stated", description=description,
        resize=resize,
    )  # fmt: skip


def read_rows(file):
    """[{"file": …, "label": …, "split": …}] of a CSV file, checked."""
    try:
        with reading_from(file), open(file, encoding="utf-8-sig", newline="") as content:
            table = csv.DictReader(content, strict=True)
            # a row may have several lines, and between rows there may be empty ones
            rows, columns = [(table.line_num, row) for row in table], table.fieldnames or []
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} is no CSV file in UTF-8 ({error}); write it again") from None
    if missing := [name for name in ("file", "label") if name not in columns]:
        words = f"file {file} has no column {missing[0]}, but {', '.join(map(str, columns)) or 'none'}"
        raise UsageError(f"{words}; head its columns file,label or file,label,split")
    if not rows:
        raise UsageError(f"file {file} has no row; name an image and its label in each")
    found = {}
    for line, row in rows:
        row |= {name: (row.get(name) or "").strip() for name in ("file", "label", "split")}
        if not (row["file"] and row["label"]):
            raise UsageError(f"file {file} has no file or no label in line {line}; give both")
        if printable(row["label"]) != row["label"]:
            words = f"file {file} has the label {printable(row['label'])} in line {line}, which cannot be printed"
            raise UsageError(f"{words}; write another one")
        if row["split"] not in SPLITS:
            words = f"file {file} has the split {row['split']!r} in line {line}"
            raise UsageError(f"{words}; write train, validation or test, or nothing")
        place = Path(file).parent / row["file"]
        if (before := found.setdefault(os.path.abspath(place), line)) != line:
            raise UsageError(f"file {file} has {row['file']} in lines {before} and {line}; name it once")
        if not os.path.isfile(place):
            raise InputError(f"no file {place}, which line {line} of {file} names; check the path")
    return [row for _, row in rows]
