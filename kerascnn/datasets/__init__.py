"""Data sets by name, as uint8 arrays, split into training, validation and test examples.

An example is stored as its source gives it: image uint8 (H, W, C), label int32; scaling is the business of batches.py.
The validation examples are cut from the training examples with a seed that never changes; test examples are the
source's own test split wherever it has one.
"""

import dataclasses
import hashlib
import importlib

import numpy as np

from kerascnn.errors import UsageError

DATASETS = {"mnist": "mnist", "fashion_mnist": "mnist", "synthetic": "synthetic"}


@dataclasses.dataclass(frozen=True)
class Examples:
    """Examples in memory.

    images: uint8 (N, H, W, C), or float32 in [0, 1] where they are preprocessed already. labels: int32 (N,), or masks
    (N, H, W, 1). weights: float32 (N,), or (N, H, W, 1) for every pixel; what the loss is multiplied by.
    """

    images: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None = None

    def __len__(self):
        return len(self.labels)

    def take(self, indices):
        weights = None if self.weights is None else self.weights[indices]
        return Examples(self.images[indices], self.labels[indices], weights)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """The three splits and what a model card has to say about them."""

    name: str
    train: Examples
    validation: Examples
    test: Examples
    class_names: tuple[str, ...]
    licence: str
    description: str

    def checksum(self):
        """sha256 over images and labels of all splits in order, as hex digits."""
        digest = hashlib.sha256()
        for examples in (self.train, self.validation, self.test):
            digest.update(np.ascontiguousarray(examples.images))
            digest.update(np.ascontiguousarray(examples.labels))
        return digest.hexdigest()

    def metadata(self):
        """What recipe.json and the model card say of the data, JSON types."""
        examples = {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}
        return {**source_metadata(self), "examples": examples}


def source_metadata(data):
    """What recipe.json says of every data set, of examples or of patients."""
    return {
        "name": data.name,
        "description": data.description,
        "licence": data.licence,
        "sha256": data.checksum(),
    }


def load(name, data_dir=None):
    """The Dataset called `name`, a key of DATASETS.

    data_dir: where TensorFlow Datasets keeps its files; None means TFDS_DATA_DIR or TFDS's own default.
    Raises UsageError for an unknown name, InputError when files are neither there nor to be had, or damaged.
    """
    if name not in DATASETS:
        raise UsageError(f"unknown data set {name!r}; choose one of {', '.join(DATASETS)}")
    return importlib.import_module(f"kerascnn.datasets.{DATASETS[name]}").load(name, data_dir)


def cut(examples, count):
    """(examples without, examples with) `count` of them drawn with a fixed seed; both keep their order."""
    drawn = np.zeros(len(examples), bool)
    drawn[np.random.default_rng(0).permutation(len(examples))[:count]] = True
    return examples.take(~drawn), examples.take(drawn)
