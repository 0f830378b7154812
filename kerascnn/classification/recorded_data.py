"""The images that a run was trained on, found again by its recipe.json."""

import dataclasses
import itertools
import os
from pathlib import Path

import numpy as np

from kerascnn.classification.data import FIELDS, is_path, is_table, load_images
from kerascnn.classification.recipes import ImageRecipe
from kerascnn.datasets.image_files import ImageFiles
from kerascnn.errors import InputError, UsageError
from kerascnn.training.record import section


def split_names(data, source):
    """{split: the paths of its files or records} of a Dataset of photos for recipe.json, {} of any other.

    source: what load_images made it of; paths are below that folder, or the one of that file.
    """
    parts = {"validation": data.validation, "test": data.test}
    return {split: paths(part, source) for split, part in parts.items() if isinstance(part, ImageFiles)}


def paths(part, source):
    """The paths of ImageFiles below the folder of `source`, see split_names."""
    below = os.path.relpath(part.root, base_of(source)) if is_path(source) else "."
    return part.names.tolist() if below == "." else [f"{below}/{name}" for name in part.names]


def base_of(source):
    """The folder `source`, or that of a CSV file."""
    return os.path.dirname(source) if is_table(source) else source


def below_source(part, source):
    """ImageFiles with names as `paths` gives them, by which those of all splits are told apart; all else as it is."""
    if type(part) is not ImageFiles or not is_path(source):
        return part
    return dataclasses.replace(part, root=Path(base_of(source)), names=np.array(paths(part, source)))


def load_tested(record, data_dir=None):
    """The Dataset that a run was trained on, by its recipe.json; photos are split as they were then.

    Raises InputError where the folder is gone, UsageError where data_dir has no such data set, and what load_images
    raises.
    """
    said = record["recipe"]
    recipe = {name: getattr(ImageRecipe, name) if said.get(name) is None else said[name] for name in FIELDS}
    split = section(record, "split")
    if Path(recipe["data"]).is_absolute() and not Path(recipe["data"]).exists():
        raise InputError(f"no {recipe['data']}, which the model was trained on; put it back")
    try:
        data = load_images(**recipe, data_dir=data_dir)
    except UsageError as error:
        if error.argument == "data":
            words = f"data_dir is {data_dir}, and has no {recipe['data']}, which the model was trained on"
            raise UsageError(f"{words}; give the folder that it lies in", argument="data_dir") from None
        if error.argument not in ("group_by", "validation") or not split:
            raise
        # a photo of no group, or a folder for validation, has come since, and the split is known
        data = load_images(**recipe | {"group_by": "", "validation": True}, data_dir=data_dir)
    return as_split(data, split, recipe["data"])


def as_split(data, names, source):
    """A Dataset of photos split as split_names says of an earlier one; what has come since is for training.

    Or in no split, where it lies in a folder for validation or the test; a table or TFRecord files cannot say that.
    Raises InputError where a file is gone.
    """
    names = {split: own for split, own in names.items() if own}
    if not names:
        return data
    parts = [part for part in (data.train, data.validation, data.test) if part]
    known = {path: (part, i) for part in parts for i, path in enumerate(paths(part, source))}
    if gone := next((path for own in names.values() for path in own if path not in known), None):
        place = Path(source, gone) if Path(source).is_dir() else data.train.root / gone
        raise InputError(f"cannot read {place}, which was there before; restore it and run again")
    taken = set(itertools.chain(*names.values()))
    left = [path for path, (part, _) in known.items() if part.root == data.train.root and path not in taken]
    splits = {split: chosen(known, own) for split, own in {**names, "train": left}.items() if own}
    return dataclasses.replace(data, **{"validation": None, "test": None} | splits)


def chosen(known, wanted):
    """The ImageFiles of these paths, all below one root. known: {path: (the ImageFiles that it is of, its place)}."""
    found = [known[path] for path in wanted]
    names, labels = (np.array([getattr(part, each)[i] for part, i in found]) for each in ("names", "labels"))
    return dataclasses.replace(found[0][0], names=names, labels=labels, groups=None)
