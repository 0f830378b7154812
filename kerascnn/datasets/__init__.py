"""Data sets, by name, from arrays, from folders of images or TFRecord files, split into training, validation and test.

An example is stored as its source gives it: image uint8 (H, W, C), label int32; scaling is the business of batches.py.
The validation examples are cut from the training examples with a seed; test examples are the source's own test split
wherever it has one.
"""

import importlib
import re

from kerascnn.datasets.arrays import from_arrays
from kerascnn.datasets.colours import colour_covariance
from kerascnn.datasets.examples import Dataset, Examples
from kerascnn.datasets.image_folder import image_folder
from kerascnn.datasets.image_records import image_records
from kerascnn.datasets.image_table import image_table
from kerascnn.errors import UsageError

DATASETS = {
    "mnist": "tfds_images",
    "fashion_mnist": "tfds_images",
    "cifar10": "tfds_images",
    "cifar100": "tfds_images",
    "synthetic": "synthetic",
}


TFDS_NAME = re.compile(r"[a-z]\w*(/[\w.+-]+)?(:\d+\.\d+\.\d+)?", re.ASCII)


def load(name, data_dir=None, *, image_size=None, **options):
    """The Dataset called `name`: mnist, fashion_mnist, cifar10, cifar100 or synthetic, or one of TensorFlow Datasets.

        data = kc.datasets.load("synthetic")
        len(data.train), data.train.image_shape, data.class_names[3]  # 640, (28, 28, 1), "3"

    Any data set of TFDS that has images with labels is streamed from the TFRecord files that TFDS has prepared, or
    downloads and prepares: kc.datasets.load("imagenette/160px-v2", image_size=(160, 160)). image_size and the options
    are those of image_records, without class_names. What has no labels for the test but a validation split is tested
    on that; a split that is not there is cut off those for training.
    data_dir: where TensorFlow Datasets keeps its files; None means TFDS_DATA_DIR or TFDS's own default.
    Raises UsageError for an unknown name, or one of no images with labels; InputError when files are neither there nor
    to be had, or damaged.
    """
    if name in DATASETS:
        for option, value in {"image_size": image_size, **options}.items():
            if value is not None:
                words = f"{option} is {value}, and images and splits of {name} are taken as they are; leave it out"
                raise UsageError(words, argument=option)
        return importlib.import_module(f"kerascnn.datasets.{DATASETS[name]}").load(name, data_dir)
    if image_size is None or not TFDS_NAME.fullmatch(name):
        words = f"name is {name!r}, which is no data set; choose one of {', '.join(DATASETS)}"
        raise UsageError(f"{words}, or of TensorFlow Datasets with an image_size", argument="name")
    return importlib.import_module("kerascnn.datasets.tfds_records").load(name, data_dir, image_size, **options)
