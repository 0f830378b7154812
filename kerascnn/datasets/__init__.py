"""Data sets, by name, from arrays or from folders of images, split into training, validation and test examples.

An example is stored as its source gives it: image uint8 (H, W, C), label int32; scaling is the business of batches.py.
The validation examples are cut from the training examples with a seed; test examples are the source's own test split
wherever it has one.
"""

import importlib

from kerascnn.datasets.arrays import from_arrays
from kerascnn.datasets.colours import colour_covariance
from kerascnn.datasets.examples import Dataset, Examples
from kerascnn.datasets.image_folder import image_folder
from kerascnn.datasets.image_table import image_table
from kerascnn.errors import UsageError

DATASETS = {
    "mnist": "tfds_images",
    "fashion_mnist": "tfds_images",
    "cifar10": "tfds_images",
    "cifar100": "tfds_images",
    "synthetic": "synthetic",
}


def load(name, data_dir=None):
    """The Dataset called `name`: mnist, fashion_mnist, cifar10, cifar100 or synthetic.

        data = kc.datasets.load("synthetic")
        len(data.train), data.train.image_shape, data.class_names[3]  # 640, (28, 28, 1), "3"

    data_dir: where TensorFlow Datasets keeps its files; None means TFDS_DATA_DIR or TFDS's own default.
    Raises UsageError for an unknown name, InputError when files are neither there nor to be had, or damaged.
    """
    if name not in DATASETS:
        raise UsageError(f"name is {name!r}, which is no data set; choose one of {', '.join(DATASETS)}")
    return importlib.import_module(f"kerascnn.datasets.{DATASETS[name]}").load(name, data_dir)
