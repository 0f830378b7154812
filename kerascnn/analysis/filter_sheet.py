"""A photo through the classic filters, or through one kernel, on one labelled sheet.

NumPy, OpenCV and Keras are imported inside the functions, after everything that can be checked without them.
"""

import math

from kerascnn.errors import InputError, UsageError
from kerascnn.tensorflow_setup import load_tensorflow

PADDINGS = ("full", "same", "valid")
LONGEST_SIDE = 360  # of the photo on the sheet, in pixels
LARGEST_KERNEL = 63
LARGEST_VALUE = 1e6


def parse_kernel(text):
    """The table of numbers in `text`. Raises UsageError unless its rows are of one length and its numbers finite."""
    rows = [row.replace(",", " ").split() for row in text.split(";")]
    lengths = [len(row) for row in rows]
    advice = "give rows of numbers with semicolons between, as '0 1 0; 1 -4 1; 0 1 0'"
    if not any(lengths):
        raise UsageError(f"--kernel {text!r} is empty; {advice}")
    if len(set(lengths)) > 1:
        raise UsageError(f"--kernel {text!r} has rows of {', '.join(map(str, lengths))} numbers; {advice}")
    if max(len(rows), lengths[0]) > LARGEST_KERNEL:
        raise UsageError(
            f"--kernel has {len(rows)} x {lengths[0]} numbers; give at most {LARGEST_KERNEL} x {LARGEST_KERNEL}"
        )
    return [[parse_number(word) for word in row] for row in rows]


def parse_number(word):
    """The number in `word`, -1.5 or 1/9. Raises UsageError unless it is one from -1e6 to 1e6."""
    above, fraction, below = word.partition("/")
    try:
        number = float(above) / (float(below) if fraction else 1.0)
    except (ValueError, ZeroDivisionError):
        number = math.nan
    if not abs(number) <= LARGEST_VALUE:
        raise UsageError(f"--kernel has {word!r} among its numbers; give numbers as -1.5 or 1/9, from -1e6 to 1e6")
    return number


def draw(photo, kernel, paddings, strides, out):
    """Draw a sheet of what `kernel`, a table of numbers, makes of a photo, or of all filters where it is None.

    paddings, strides: those in which the kernel, or a mean, is shown. Returns the shapes by what each panel is called.
    Raises InputError where the photo cannot be read or is smaller than a kernel without padding.
    """
    from kerascnn.plotting import contact_sheet

    picture = small(photo)
    height, width = picture.shape[:2]
    if kernel and "valid" in paddings and (len(kernel) > height or len(kernel[0]) > width):
        raise InputError(
            f"the kernel has {len(kernel)} x {len(kernel[0])} numbers and {photo} only {height} x {width} pixels on "
            "the sheet; give a larger photo or --padding same"
        )
    load_tensorflow()
    if kernel:
        columns, results = 1 + len(paddings), in_paddings("", kernel, picture, paddings, strides)
    else:
        # A mean so wide that what padding adds or takes away is seen, and never wider than the photo.
        side = min(height, width) // 16 * 2 + 1
        mean = in_paddings(f"mean {side} x {side}, ", [[1 / side**2] * side] * side, picture, paddings, strides)
        columns, results = 7, {**all_filters(picture), **mean}
    results = {"photo": picture, **results}
    panels = [
        (f"{name}\n{shown.shape[0]} x {shown.shape[1]}", enlarged(name, shown)) for name, shown in results.items()
    ]
    if kernel and len(strides) > 1:
        panels.insert(columns, None)
    contact_sheet(panels, out, columns)
    return {name: shown.shape for name, shown in results.items()}


def small(photo):
    """The photo as it is shown: float32 (H, W, 3) in [0, 1], red first, no side longer than LONGEST_SIDE."""
    import cv2
    import numpy as np

    from kerascnn.images import load_image

    picture = load_image(photo)
    shrink = min(1, LONGEST_SIDE / max(picture.shape[:2]))
    height, width = (max(1, round(side * shrink)) for side in picture.shape[:2])
    return np.float32(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)[..., ::-1]) / 255


def all_filters(picture):
    """What each of FILTERS makes of the picture, by name; beyond the edges the picture is mirrored."""
    from kerascnn.layers.filters import FILTERS, KERNELS

    results = {}
    for name, make in FILTERS.items():
        fixed = name in KERNELS
        layer = make(border="reflect") if fixed else make()
        results[name.replace("_", " ")] = filtered(layer, picture, in_colour=not fixed or brightness(KERNELS[name]) > 0)
    return results


def in_paddings(title, kernel, picture, paddings, strides):
    """What the kernel makes of the picture in each padding at each stride, by a name that begins with `title`.

    A kernel that makes the picture brighter or darker as a whole is divided by its sum.
    """
    from kerascnn.layers.filters import FixedFilter

    total, divided = brightness(kernel), ""
    if total and not math.isclose(total, 1):
        kernel, divided = [[value / total for value in row] for row in kernel], f", divided by {total:g}"
    return {
        f"{title}{padding}, stride {stride}{divided}": filtered(
            FixedFilter(kernel, padding, stride), picture, in_colour=total > 0
        )
        for stride in strides
        for padding in paddings
    }


def brightness(kernel):
    """How many times brighter the kernel makes an even picture, or 0 when it asks for differences."""
    total = math.fsum(value for row in kernel for value in row)
    return total if total > 0.01 * sum(abs(value) for row in kernel for value in row) else 0


def filtered(layer, picture, in_colour):
    """What the layer makes of the picture (H, W, 3), or of its grey values, which gives (H, W)."""
    from keras import ops

    if not in_colour:
        picture = (picture @ [0.299, 0.587, 0.114])[..., None]
    result = ops.convert_to_numpy(layer(picture[None]))[0]
    return result if in_colour else result[..., 0]


def enlarged(name, shown):
    """The picture at the size it is drawn: that of pooling four times as large, so that its blocks are seen."""
    return shown.repeat(4, 0).repeat(4, 1) if name.endswith("pooling") else shown
