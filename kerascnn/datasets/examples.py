"""Examples in memory, the splits of a data set, and how they are cut."""

import dataclasses
import hashlib
import logging
import numbers

import numpy as np

from kerascnn.datasets.resizing import ResizeAndCrop
from kerascnn.errors import UsageError, shortened

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Examples:
    """Examples in memory.

    images: uint8 (N, H, W, C), or float32 in [0, 1] where they are preprocessed already; or features float32 (N, F).
    labels: int32 (N,), or masks (N, H, W, 1). weights: float32 (N,), or (N, H, W, 1) for every pixel; what the loss is
    multiplied by.
    """

    images: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None = None

    def __len__(self):
        return len(self.labels)

    def __repr__(self):
        return f"Examples({len(self):,} of {'x'.join(map(str, self.image_shape))})"

    @property
    def image_shape(self):
        return self.images.shape[1:]

    def take(self, indices):
        weights = None if self.weights is None else self.weights[indices]
        return dataclasses.replace(self, images=self.images[indices], labels=self.labels[indices], weights=weights)

    def loader(self):
        """load(indices int (B,), seed) -> tensors (images, labels, *weights) as they are stored.

        seed: as ImageFiles take it; nothing is drawn here.
        """
        import tensorflow as tf

        parts = (self.images, self.labels) + (() if self.weights is None else (self.weights,))
        with tf.device("CPU"):  # a GPU would hold all of them as long as it trains
            stored = [tf.constant(part) for part in parts]
        return lambda indices, seed=None: [tf.gather(part, indices) for part in stored]

    def update(self, digest):
        """Feed a hash with what tells these examples from others."""
        digest.update(np.ascontiguousarray(self.images))
        digest.update(np.ascontiguousarray(self.labels))
        if self.weights is not None:
            digest.update(np.ascontiguousarray(self.weights))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """The splits and what a model card has to say about them; a split is Examples or ImageFiles, or None."""

    name: str
    train: Examples
    validation: Examples | None
    test: Examples | None
    class_names: tuple[str, ...]
    licence: str
    description: str
    resize: ResizeAndCrop | None = None  # what images of any size go through

    def __post_init__(self):
        """Raise UsageError where two classes have one name."""
        if len(set(self.class_names)) < len(self.class_names):
            twice = next(name for name in self.class_names if self.class_names.count(name) > 1)
            raise UsageError(f"class_names has {twice!r} twice; name each class once", argument="class_names")

    def __repr__(self):
        counts = ", ".join(f"{name} {count:,}" for name, count in self.counts().items())
        shape = "x".join(map(str, self.train.image_shape))
        return f"Dataset({self.name!r}, {counts}, images {shape}, {len(self.class_names)} classes)"

    def counts(self):
        """{split: number of examples}."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: len(split or ()) for name, split in splits.items()}

    def checksum(self):
        """sha256 over all splits in order, as hex digits: of images, labels and weights, of files names and sizes."""
        digest = hashlib.sha256()
        for examples in (self.train, self.validation, self.test):
            if examples is not None:
                examples.update(digest)
        return digest.hexdigest()

    def metadata(self):
        """What recipe.json and the model card say of the data, JSON types."""
        resize = {"resize": dataclasses.asdict(self.resize)} if self.resize else {}
        return {**source_metadata(self), "examples": self.counts(), **resize}


def source_metadata(data):
    """What recipe.json says of every data set, of examples or of patients."""
    return {
        "name": data.name,
        "description": data.description,
        "licence": data.licence,
        "sha256": data.checksum(),
    }


def warn_of_empty_classes(splits, class_names):
    """Log a warning that names the classes of which a split has none; splits: {name: Examples or ImageFiles}."""
    for split, examples in splits.items():
        counts = np.bincount(examples.labels, minlength=len(class_names)) if examples.labels.ndim == 1 else np.ones(1)
        if missing := [class_names[label] for label in np.flatnonzero(counts == 0)]:
            logger.warning("no example of the classes %s for %s", shortened(", ".join(missing)), split)


def cut(examples, count):
    """(examples without, examples with) `count` of them drawn with a fixed seed; both keep their order."""
    drawn = np.zeros(len(examples), bool)
    drawn[np.random.default_rng(0).permutation(len(examples))[:count]] = True
    return examples.take(~drawn), examples.take(drawn)


def check_seed(seed):
    """Raise UsageError unless this is a seed that NumPy and TensorFlow take."""
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise UsageError(f"seed is {seed!r}; give a whole number from 0 to 2^63 - 1", argument="seed")


def cut_share(examples, share, count, seed, name):
    """(the rest, `share` of `count` examples or None) of Examples or ImageFiles, of each class alike where it has one.

    ImageFiles of one of their `groups` stay together, with the class of the first of them; a group that would be too
    many is left, but for the smallest where all would be.
    name: the argument that says the share. Raises UsageError unless it is one that leaves some.
    """
    share = share or 0
    check_seed(seed)
    if not isinstance(share, numbers.Real) or not 0 <= share < 1:
        raise UsageError(f"{name} is {share}; give a share from 0 to below 1, or other examples", argument=name)
    if share == 0:
        return examples, None
    left = share * count / len(examples)  # of what an earlier cut has left
    if left >= 1:
        words = f"{name} is {share:g}, and {len(examples):,} of {count:,} examples are left"
        raise UsageError(f"{words}; give shares that leave some for training", argument=name)
    labels = examples.labels if examples.labels.ndim == 1 else np.zeros(len(examples))
    groups = getattr(examples, "groups", None)
    _, first, groups, sizes = np.unique(
        np.arange(len(examples)) if groups is None else groups,
        return_index=True, return_inverse=True, return_counts=True,
    )  # fmt: skip
    drawn, random = np.zeros(len(first), bool), np.random.default_rng(seed)
    order = np.argsort(labels[first], kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(labels[first][order])) + 1):
        own = random.permutation(own)
        drawn[own[fitting(sizes[own], round(left * sizes[own].sum()))]] = True
    if not drawn.any():
        whole = "examples" if len(first) == len(examples) else "groups"
        words = f"{name} is {share:g}, and no class has two of the {len(first)} {whole}"
        raise UsageError(f"{words}; give more examples, or a folder {name} of its own")
    drawn = drawn[groups]
    return examples.take(~drawn), examples.take(drawn)


def fitting(sizes, most):
    """Which of some groups are at most so many examples together, bool (N,): one after the other, if it still fits.

    Of two groups or more one is taken and one is left.
    """
    taken = np.zeros(len(sizes), bool)
    for i, size in enumerate(sizes):
        taken[i] = size <= most
        most -= size * taken[i]
    if not taken.any():
        taken[sizes.argmin()] = True
    if taken.all():
        taken[-1] = False
    return taken


def cut_missing(splits, shares, seed, class_names):
    """{"train", "validation", "test"} of `splits`, Examples or ImageFiles; one that it has not is cut off `train`.

    shares: {"test": …, "validation": …}, of all that `train` has at first, as cut_share takes them. Where the rest of
    `train`, or another of the splits that are given, has no example of a class, a warning names it.
    """
    rest, cut_off = splits["train"], {}
    for name, share in shares.items():
        if name not in splits:
            rest, cut_off[name] = cut_share(rest, share, len(splits["train"]), seed, name)
    given = {**splits, "train": rest}
    warn_of_empty_classes(given, class_names)
    return given | cut_off


def check_split(examples):
    """Raise UsageError unless these are Examples, or others with a loader."""
    if not hasattr(examples, "loader"):
        words = f"examples is {type(examples).__name__}"
        raise UsageError(f"{words}; give a split of a Dataset, as data.train", argument="examples")
