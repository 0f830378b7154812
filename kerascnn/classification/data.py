"""The images that classifiers are trained on: a data set by name, or a folder of photos."""

import logging
from pathlib import Path

from kerascnn.datasets import DATASETS, image_folder, load
from kerascnn.errors import UsageError

logger = logging.getLogger(__name__)

# What the folders of a data set's splits are called, by the argument of image_folder.
SPLITS = {"validation": ("validation", "valid", "val"), "test": ("test",)}


def load_images(data, image_size, crop_ratio=1.0, interpolation="bilinear", data_dir=None):
    """The Dataset `data`: a name of kerascnn.datasets.load, or a folder with a sub-folder of images per class.

    Where a folder has sub-folders called train and test, or validation, these are the splits, each with a sub-folder
    per class; a split that it has not is cut off. image_size: pixels, height and width of the images of a folder;
    crop_ratio, interpolation: as image_folder takes them. data_dir: where TensorFlow Datasets keeps its files.
    Raises UsageError where `data` is neither, and what image_folder and load raise.
    """
    folder = Path(data)
    if data in DATASETS:
        found = load(data, data_dir)
    elif folder.is_dir():
        options = {"crop_ratio": crop_ratio, "interpolation": interpolation}
        train = folder / "train"
        if train.is_dir():
            splits = {
                split: folder / name for split, names in SPLITS.items() for name in names if (folder / name).is_dir()
            }
            found = image_folder(train, (image_size, image_size), **options, **splits)
        else:
            found = image_folder(folder, (image_size, image_size), **options)
    else:
        words = f"data is {data!r}, neither a folder nor a data set; choose one of {', '.join(DATASETS)}"
        raise UsageError(f"{words}, or name a folder with a sub-folder per class", argument="data")
    logger.info("data: %s", found.description)
    return found
