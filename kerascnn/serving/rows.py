"""Answers put together: rows of one shape in one array, rows of several shapes in an object array."""

import numpy as np


def cropped(answer):
    """An answer of predict_bytes, which gives all images the largest one's size, with `height` and `width` of each.

    Outputs (N, H, W, C) become what `items` makes of arrays of each image's own size.
    """
    sides = [answer[name] for name in ("height", "width") if name in answer]
    if [(side.dtype.kind, side.ndim) for side in sides] != [("i", 1)] * 2:
        return answer
    sizes = list(zip(*sides, strict=True))
    return {
        name: items([image[:height, :width] for image, (height, width) in zip(array, sizes, strict=True)])
        if array.ndim == 4
        else array
        for name, array in answer.items()
    }


def empty(name, dtype, shape):
    """The output of no inputs."""
    if dtype == "string":
        dtype = object if name.endswith("_bytes") else str
    return np.empty([0, *(size or 0 for size in (shape or ())[1:])], dtype)


def together(answers):
    """One dict of all rows of several answers, of the outputs that all of them have."""
    shared = [name for name in answers[0] if all(name in answer for answer in answers)]
    return {name: joined([answer[name] for answer in answers]) for name in shared}


def joined(arrays):
    """All rows of arrays (N, ...): one array where they are of one shape, else an object array of them."""
    if len({(array.shape[1:], array.dtype == object) for array in arrays}) == 1:
        return np.concatenate(arrays)
    return items([row for array in arrays for row in array])


def items(arrays):
    """The arrays stacked where they are of one shape, else an object array of them."""
    if len({array.shape for array in arrays}) == 1:
        return np.stack(arrays)
    found = np.empty(len(arrays), object)
    for place, array in enumerate(arrays):
        found[place] = array.copy()  # what is cropped would keep the whole
    return found
