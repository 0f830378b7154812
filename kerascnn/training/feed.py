"""What a training is fed with: Examples in memory, image files, or somebody's own tf.data.Dataset of batches."""

import contextlib
import dataclasses
import hashlib
import logging
import math
import re

import keras
import numpy as np
import tensorflow as tf

from kerascnn.datasets.batches import batches, counted_images, evaluation_batches, full_batches
from kerascnn.datasets.examples import Dataset
from kerascnn.datasets.image_files import ImageFiles
from kerascnn.errors import UsageError

logger = logging.getLogger(__name__)

STATISTICS_IMAGES, STATISTICS_BATCH = 5000, 250


class Feed:
    """The batches of a training with a Recipe.

    data: a Dataset, of which `train` and `validation` are used; a pair of these two alone; or a tf.data.Dataset of
    batches, or a pair of such ones, which every epoch goes through once, as they are. A batch is (images, labels) or
    (images, labels, sample weights). validation may be None. at_once: the steps_per_execution of a compiled model.

    image_shape: (H, W, C) or None; largest_label: of both, as far as they are no tf.data.Dataset, None of masks.
    """

    def __init__(self, data, recipe, at_once=None):
        self.recipe, self.metadata = recipe, {}
        if isinstance(data, Dataset):
            self.metadata = {"data": data.metadata()}
            data = data.train, data.validation
        if isinstance(data, tuple) and len(data) != 2:
            raise UsageError(f"data has {len(data)} parts; give two, training and validation", argument="data")
        self.train, self.validation = data if isinstance(data, tuple) else (data, None)
        self.streamed = isinstance(self.train, tf.data.Dataset)
        for part in (self.train,) if self.validation is None else (self.train, self.validation):
            if isinstance(part, tf.data.Dataset):
                check_streamed(part)
            elif not hasattr(part, "loader"):
                words = f"data is {type(part).__name__}; give what kc.datasets.from_arrays(x, y) returns"
                raise UsageError(f"{words}, or a tf.data.Dataset of batches (images, labels)", argument="data")
        if self.streamed:
            self.check_epochs()
            self.steps, self.at_once = int(self.train.cardinality()), at_once or 1
            if self.steps % self.at_once:
                words = f"data has {self.steps} batches, no multiple of the model's {at_once} steps_per_execution"
                whole = self.steps - self.steps % at_once
                remedy = f"give .take({whole})" if whole else "compile the model with fewer"
                raise UsageError(f"{words}; {remedy}", argument="data")
            self.metadata = {"data": {"name": "tf.data.Dataset", "batches": self.steps}}
            first = keras.tree.flatten(next(iter(self.train))[0])
            self.batch_size = len(first[0])
            warn_of_intensities(first)
            images = self.train.element_spec[0]
            self.image_shape, self.largest_label = getattr(images, "shape", [None])[1:], None
            return
        self.metadata = self.metadata or {"data": metadata_of(self.train, self.validation)}
        self.image_shape = self.train.image_shape
        labels = [part.labels for part in (self.train, self.validation) if getattr(part, "labels", None) is not None]
        self.largest_label = int(max(map(np.max, filter(len, labels)))) if labels[0].ndim == 1 else None
        if recipe.balance != "none" and self.largest_label is None:
            words = f"balance is {recipe.balance}, and the examples have masks; leave it out"
            raise UsageError(words, argument="balance")
        if recipe.balance == "weights":
            self.train = balanced(self.train)
        self.batch_size = recipe.batch_size
        self.steps, self.at_once = epoch_steps(len(self.train), self.batch_size, math.prod(self.image_shape), at_once)

    def check_epochs(self):
        """Raise UsageError for what is not done to a tf.data.Dataset, or where the number of its batches is unknown."""
        if self.train.cardinality() < 0:
            words = "data is a tf.data.Dataset of unknown length"
            remedy = ".apply(tf.data.experimental.assert_cardinality(steps))"
            raise UsageError(f"{words}; give it one with {remedy}", argument="data")
        for name, without in (("augmentations", ()), ("balance", "none")):
            if getattr(self.recipe, name) != without:
                words = (
                    f"{name} is {getattr(self.recipe, name)}, and data is a tf.data.Dataset, which is taken as it is"
                )
                raise UsageError(f"{words}; map it over the dataset", argument=name)

    def training(self, first_epoch, heads):
        """The batches from the epoch first_epoch on. heads: names of the outputs that want the labels."""
        if self.streamed:
            for _ in range(first_epoch):
                iter(self.train)  # one that shuffles draws an order for each iterator
            return for_each_head(self.train.repeat(max(1, self.recipe.epochs - first_epoch)), heads)
        recipe = self.recipe
        return for_each_head(
            batches(
                self.train, self.batch_size, seed=recipe.seed, epochs=recipe.epochs, first_epoch=first_epoch,
                augmentations=recipe.augmentations, steps=self.steps, alike=recipe.balance == "sampling",
            ),
            heads,
        )  # fmt: skip

    def validating(self, heads):
        """The batches for validation, or None where there are none."""
        seen = self.validation
        if isinstance(seen, ImageFiles):
            # Keras weighs all batches alike, and broken files of one class would leave little to count in some
            seen = seen.take(np.random.default_rng(0).permutation(len(seen)))
        return None if seen is None else for_each_head(evaluation_batches(seen), heads)

    def undistorted(self):
        """Batches of at most 5,000 training images, as they are, float32 (B, H, W, C).

        Those of weight 0 are left out, but of a tf.data.Dataset.
        """
        if self.streamed:
            taken = self.train.take(max(1, STATISTICS_IMAGES // self.batch_size))
            return taken.map(lambda images, *rest: images)
        drawn = np.random.default_rng(self.recipe.seed).permutation(len(self.train))[:STATISTICS_IMAGES]
        # as many as a batch for training has, however large they are: few have other statistics
        least = min(STATISTICS_BATCH, self.batch_size)
        taken = evaluation_batches(self.train.take(drawn), STATISTICS_BATCH, least=least)
        return taken.map(counted_images).filter(lambda images: tf.shape(images)[0] > 0)


def metadata_of(*splits):
    """What recipe.json says of splits alone: a checksum, and how photos are resized."""
    digest = hashlib.sha256()
    for examples in splits:
        if hasattr(examples, "update"):
            examples.update(digest)
    files = next((examples for examples in splits if isinstance(examples, ImageFiles)), None)
    return {"sha256": digest.hexdigest()} | ({"resize": dataclasses.asdict(files.resize)} if files else {})


def warn_of_intensities(images):
    """Log a warning where images among the tensors of a batch are not in [0, 1] but as they are stored."""
    if (most := max((float(tf.reduce_max(part)) for part in images if part.shape.rank == 4), default=0)) > 2:
        words = "data is a tf.data.Dataset of images up to %g, and an exported network gets images in [0, 1]"
        logger.warning(f"{words}; divide by 255, or give kc.export a preprocessing", most)


def check_streamed(dataset):
    """Raise UsageError where a tf.data.Dataset has no batch, none of known ranks, or no end."""
    if dataset.cardinality() == 0:
        raise UsageError("data is a tf.data.Dataset of no batch; give it some", argument="data")
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        words = f"data is a tf.data.Dataset of {type(spec).__name__}"
        remedy = "map it to batches (images, labels) or (images, labels, sample weights)"
        raise UsageError(f"{words}; {remedy}", argument="data")
    if any(part.shape.rank is None for part in tf.nest.flatten(spec)):
        words = "data is a tf.data.Dataset of tensors of unknown shape"
        raise UsageError(f"{words}; give from_generator an output_signature, or set_shape in a map", argument="data")
    if any(part.dtype == tf.string for part in tf.nest.flatten(spec)):
        words = "data is a tf.data.Dataset of texts"
        raise UsageError(f"{words}; map it to images and labels that are whole numbers from 0", argument="data")
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        words = "data is a tf.data.Dataset without end"
        raise UsageError(f"{words}; give it one with .take(steps)", argument="data")


def check_examples(examples):
    """Raise UsageError for what is no split and no tf.data.Dataset of batches with an end."""
    if hasattr(examples, "train"):
        words = f"examples is the whole data set {examples.name}; give one of its splits, as data.test"
        raise UsageError(words, argument="examples")
    if isinstance(examples, tf.data.Dataset):
        check_streamed(examples)
    elif not hasattr(examples, "loader"):
        words = f"examples is {type(examples).__name__}"
        raise UsageError(f"{words}; give a split of a Dataset, as data.test", argument="examples")


@contextlib.contextmanager
def wrong_batches_named():
    """Turn what TensorFlow says of batches that are not what they seemed into UsageError.

    Labels are found here where a model is compiled, whose loss may take others, and those of a tf.data.Dataset.
    """
    try:
        yield
    except tf.errors.FailedPreconditionError as error:
        found = re.search(r"expected to contain (\d+) elements but contained (?:only|at least) (\d+)", str(error))
        if not found:
            raise
        words = f"data is a tf.data.Dataset of {found[2]} batches whose cardinality says {found[1]}"
        raise UsageError(f"{words}; give assert_cardinality the right number", argument="data") from None
    except tf.errors.InvalidArgumentError as error:
        found = re.search(r"label value of (\S+) which is outside the valid range of \[0, (\d+)\)", str(error))
        if not found:
            raise
        words = f"data has the label {found[1]}, and the model has {found[2]} logits"
        raise UsageError(f"{words}; build it for all classes, and count labels from 0", argument="data") from None


def for_each_head(dataset, heads):
    """Batches with labels and weights repeated for every head of a network that has several, as Keras asks."""
    return dataset.map(lambda x, *rest: (x, *(dict.fromkeys(heads, part) for part in rest))) if heads else dataset


def balanced(examples):
    """The examples with weights: N / (classes x examples of its class), times the weights that they have."""
    counts = np.bincount(examples.labels)
    weights = (len(examples) / (np.count_nonzero(counts) * counts[examples.labels])).astype(np.float32)
    return dataclasses.replace(examples, weights=weights if examples.weights is None else weights * examples.weights)


def epoch_steps(examples, batch_size, image_size, at_once=None):
    """(steps of an epoch, steps the compiled function runs at once).

    Running many steps in one call is what makes small networks fast: the host's work between two calls costs as much
    as a LeNet-5 step. Keras runs whole calls only, so the epoch is cut to a multiple; the count between 16 and 32 that
    cuts least is taken. Large batches gain nothing from it, and would show progress too rarely. at_once: the count of a
    model that is compiled already.
    """
    steps = full_batches(examples, batch_size)
    if at_once and at_once > steps:
        words = f"data has {steps} batches an epoch, fewer than the model's {at_once} steps_per_execution"
        raise UsageError(f"{words}; compile it with fewer", argument="data")
    if at_once and steps % at_once:
        words = "steps_per_execution is %d: %d of %d batches of an epoch are left out"
        logger.warning(words, at_once, steps % at_once, steps)
    if at_once is None:
        at_once = min(range(16, 33), key=lambda n: (steps % n, -n)) if batch_size * image_size < 500_000 else 1
    at_once = min(at_once, steps)
    return steps - steps % at_once, at_once
