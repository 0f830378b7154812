"""A Dataset of somebody's own arrays."""

import numbers

import numpy as np

from kerascnn.datasets.examples import Dataset, Examples, cut_share, warn_of_empty_classes
from kerascnn.errors import UsageError


def from_arrays(x, y, *, class_names=None, validation=0.1, test=0.1, seed=0):
    """A Dataset of arrays in memory.

        x = np.random.default_rng(0).integers(0, 256, (100, 28, 28, 1), np.uint8)
        y = np.arange(100) % 10
        data = kc.datasets.from_arrays(x, y)  # 80 training, 10 validation and 10 test examples

    x: images uint8 (N, H, W, C) or (N, H, W), or floats from 0 to 1. y: labels, whole numbers (N,) or (N, 1) from 0, or
    masks (N, H, W, 1) or (N, H, W) of 0 and 1. class_names: one text per label; default: the numbers themselves.
    validation, test: the share of the examples that is cut off, of each class alike, drawn with `seed`; 0 for none, or
    a pair (x, y) of other arrays. Raises UsageError for arrays that are none of these.
    """
    rest = in_memory(x, y, "x", "y")
    splits = {}
    for name, share in (("test", test), ("validation", validation)):
        if isinstance(share, tuple) and len(share) == 2:
            splits[name] = in_memory(*share, f"{name}[0]", f"{name}[1]")
        else:
            if not isinstance(share, numbers.Real):
                words = f"{name} is {type(share).__name__}; give a share from 0 to 1, or a pair of arrays (x, y)"
                raise UsageError(words, argument=name)
            rest, splits[name] = cut_share(rest, share, len(y), seed, name)
    given = [part.labels for part in (rest, *splits.values()) if part is not None and len(part)]
    most = int(max(map(np.max, given))) if rest.labels.ndim == 1 else 1
    names = tuple(map(str, range(most + 1) if class_names is None else class_names))
    if most >= len(names):
        raise UsageError(
            f"class_names has {len(names)} names and y reaches {most}; name each label, from 0",
            argument="class_names",
        )
    warn_of_empty_classes({"train": rest}, names)
    description = f"{len(y):,} images of {'x'.join(map(str, rest.image_shape))} in memory"
    return Dataset("arrays", rest, **splits, class_names=names, licence="not stated", description=description)


def in_memory(x, y, x_name, y_name):
    """Examples of the arrays that from_arrays takes, whose arguments are called so."""
    try:
        x, y = np.asarray(x), np.asarray(y)
    except ValueError as error:  # NumPy's of rows that differ in length
        words = f"{x_name} or {y_name} is no array ({error})"
        raise UsageError(f"{words}; give images of one shape, and a label for each", argument=x_name) from None
    images = x[..., np.newaxis] if x.ndim == 3 else x
    if images.ndim != 4 or not images.size:
        raise UsageError(f"{x_name} has the shape {x.shape}; give images (N, H, W, C) or (N, H, W)", argument=x_name)
    if images.dtype.kind == "f":
        if not (images.min() >= 0 and images.max() <= 1):
            words = f"{x_name} has values from {images.min():g} to {images.max():g}"
            raise UsageError(f"{words}; give floats from 0 to 1, or uint8", argument=x_name)
        images = images.astype(np.float32)
    elif images.dtype != np.uint8:
        raise UsageError(f"{x_name} is of {images.dtype}; give uint8, or floats from 0 to 1", argument=x_name)
    if len(y) != len(x):
        raise UsageError(f"{y_name} has {len(y)} entries for {len(x)} images; give one for each", argument=y_name)
    if y.ndim == 1 or y.shape[1:] == (1,):
        y = y.ravel()
        if y.dtype.kind not in "iu" or y.min() < 0:
            words = f"{y_name} holds {y.dtype}" + (f" from {y.min()}" if y.dtype.kind in "iuf" else "")
            raise UsageError(f"{words}; give whole numbers from 0, one a class", argument=y_name)
        return Examples(images, y.astype(np.int32))
    masks = y[..., np.newaxis] if y.ndim == 3 else y
    if masks.shape != (*images.shape[:3], 1) or not np.isin(masks, (0, 1)).all():
        words = f"{y_name} has the shape {y.shape} and values from {y.min()} to {y.max()}"
        raise UsageError(f"{words}; give labels (N,), or masks (N, H, W) of 0 and 1", argument=y_name)
    return Examples(images, masks.astype(np.uint8))
