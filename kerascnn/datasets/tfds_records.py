"""Data sets of images and labels that TensorFlow Datasets knows by name, from the TFRecord files that it prepares."""

import difflib
import functools
from pathlib import Path

import numpy as np

from kerascnn.datasets.image_records import check_labels, records, split_up
from kerascnn.datasets.resizing import ResizeAndCrop
from kerascnn.datasets.tfds_builders import folder, prepared_builder
from kerascnn.datasets.tfds_images import check_reachable
from kerascnn.errors import InputError, UsageError

SPLITS = "train", "validation", "test"


def load(
    name, data_dir, image_size, *, crop_ratio=1.0, interpolation="bilinear", validation=0.1, test=0.1, seed=0
):  # fmt: skip
    """The Dataset that TFDS calls `name`, as food101 or imagenette/160px-v2; image_records says the other arguments.

    Where it has no labels for the test but a validation split, that is the test split, and the description says so.
    Raises UsageError for a name that TFDS does not know, or one of no images with labels; InputError where it cannot be
    downloaded or prepared, or where its files are damaged or no TFRecord files.
    """
    resize, root = ResizeAndCrop(image_size, crop_ratio, interpolation), folder(data_dir)
    manual = root / "downloads" / "manual"

    def check(builder):
        names = [Path(url).name for url in builder.url_infos]
        # of several archives one may be enough
        if names and not any((manual / name).exists() for name in names):
            check_reachable(root, manual, builder.url_infos)

    builder = prepared_builder(name, functools.partial(known_builder, name), root, manual, check)
    info = builder.info
    if info.file_format.value != "tfrecord":
        words = f"{name} is prepared in {builder.data_path} as {info.file_format.value}, which is not read"
        raise InputError(f"{words}; delete the folder and run again, or prepare it as tfrecord")
    if "train" not in info.splits:
        words = f"name is {name!r}, which has no split train, but {', '.join(info.splits)}"
        raise UsageError(f"{words}; choose one with training images", argument="name")
    keys = image_and_label(name, info)
    classes = info.features[keys[1]]
    splits = {split: split_records(info.splits[split], keys, resize) for split in SPLITS if split in info.splits}
    words = f"{info.full_name}, {sum(map(len, splits.values())):,} images in {classes.num_classes} classes"
    if "test" in splits and splits["test"].labels.max() < 0:
        del splits["test"]
        words += "; its test images have no labels"
    if "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
        words += "; its validation images are the test split"
    check_labels(splits, classes.num_classes)
    return split_up(splits, {"test": test, "validation": validation}, seed, {
        "name": name, "class_names": tuple(classes.names), "description": words,
        "licence": info.redistribution_info.license or "not stated",
    })  # fmt: skip


def known_builder(name, data_dir):
    """The TFDS builder called so. Raises UsageError where there is none, or none of images with labels."""
    import tensorflow_datasets as tfds

    from kerascnn.datasets import DATASETS

    dataset, _, config = name.partition(":")[0].partition("/")
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.registered.DatasetNotFoundError:
        near = difflib.get_close_matches(dataset, tfds.list_builders(with_community_datasets=False))
        words = f"name is {name!r}, which is no data set; choose one of {', '.join(DATASETS)}, or of TensorFlow"
        raise UsageError(f"{words} Datasets" + f", as {', '.join(near)}" * bool(near), argument="name") from None
    except AssertionError as error:
        reason = str(error).splitlines()[0].rpartition('": ')[2].rstrip(".")
        words = f"name is {name!r}, a version that is not there ({reason}); choose one that is"
        raise UsageError(words, argument="name") from None
    except ValueError:
        configs = getattr(tfds.builder_cls(dataset), "builder_configs", {})
        if not config or config in configs:
            raise  # damaged
        words = f"name is {name!r}, and {dataset} has no {config}; choose one of {', '.join(configs) or dataset}"
        raise UsageError(words, argument="name") from None
    image_and_label(name, builder.info)
    return builder


def image_and_label(name, info):
    """What a data set calls its images and their labels. Raises UsageError where it has not both."""
    import tensorflow_datasets as tfds

    features = dict(info.features)
    for image, label, *_ in (("image", "label"), info.supervised_keys or ("", "")):
        kinds = [features.get(key) if isinstance(key, str) else None for key in (image, label)]  # some have a dict
        known = all(map(isinstance, kinds, (tfds.features.Image, tfds.features.ClassLabel)))
        if known and np.dtype(kinds[0].np_dtype) == np.uint8:
            return image, label
    words = f"name is {name!r}, which has no image of 8 bits with a label, but {', '.join(sorted(features))}"
    raise UsageError(f"{words}; choose a data set with both", argument="name")


def split_records(split, keys, resize):
    """The ImageRecords of a split of TFDS. Raises InputError where there are fewer than its description says."""
    paths = [Path(path) for path in split.filepaths]
    found, _ = records(paths[0].parent, [path.name for path in paths], (*keys, None), resize)
    if len(found) != split.num_examples:
        words = f"{paths[0].parent} has {len(found):,} records of {split.name}, and not {split.num_examples:,}"
        raise InputError(f"{words}; delete the folder and run again")
    return found
