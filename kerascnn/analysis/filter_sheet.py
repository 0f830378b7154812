"""A photo through the classic filters, or through one kernel, on one labelled sheet.

Keras is imported inside the functions: a photo is read and checked without it.
"""

import math

import cv2
import numpy as np

from kerascnn.errors import InputError
from kerascnn.images import load_image
from kerascnn.plotting import contact_sheet

LONGEST_SIDE = 360  # of the photo on the sheet, in pixels


def load_photo(path):
    """The photo as it is shown: float32 (H, W, 3) in [0, 1], red first, no side longer than LONGEST_SIDE.

    Raises InputError where it cannot be read.
    """
    image = load_image(path)
    shrink = min(1, LONGEST_SIDE / max(image.shape[:2]))
    height, width = (max(1, round(side * shrink)) for side in image.shape[:2])
    return np.float32(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)[..., ::-1]) / 255


def check_fits(kernel, photo, paddings):
    """Raise InputError where the photo (H, W, 3) is smaller than a kernel without padding."""
    (height, width), (rows, columns) = photo.shape[:2], (len(kernel), len(kernel[0]))
    if "valid" in paddings and (rows > height or columns > width):
        raise InputError(
            f"the kernel has {rows} x {columns} numbers and the photo only {height} x {width} pixels on the sheet; "
            "give a larger photo or padding same"
        )


def draw_filter_sheet(photo, kernel, paddings, strides, path):
    """Draw what `kernel`, a table of numbers, makes of a photo (H, W, 3), or all filters where it is None, to a PNG.

    paddings, strides: those in which the kernel, or a mean, is shown. Returns the shapes by what each panel is called.
    Raises InputError where the photo is smaller than the kernel without padding or the place cannot be written.
    """
    if kernel:
        check_fits(kernel, photo, paddings)
        columns, results = 1 + len(paddings), in_paddings("", kernel, photo, paddings, strides)
    else:
        # A mean so wide that what padding adds or takes away is seen, and never wider than the photo.
        side = min(photo.shape[:2]) // 16 * 2 + 1
        mean = in_paddings(f"mean {side} x {side}, ", [[1 / side**2] * side] * side, photo, paddings, strides)
        columns, results = 7, {**all_filters(photo), **mean}
    results = {"photo": photo, **results}
    panels = []
    for name, shown in results.items():
        scale = 4 if name.endswith("pooling") else 1  # so that the blocks of pooling are seen
        panels.append((f"{name}\n{shown.shape[0]} x {shown.shape[1]}", shown.repeat(scale, 0).repeat(scale, 1)))
    if kernel and len(strides) > 1:
        panels.insert(columns, None)
    contact_sheet(panels, path, columns)
    return {name: shown.shape for name, shown in results.items()}


def all_filters(image):
    """What each of FILTERS makes of the image, by name; beyond the edges the image is reflected."""
    from kerascnn.layers.filters import FILTERS, KERNELS

    results = {}
    for name, make in FILTERS.items():
        fixed = name in KERNELS
        layer = make(border="reflect") if fixed else make()
        results[name.replace("_", " ")] = filtered(layer, image, in_colour=not fixed or brightness(KERNELS[name]) > 0)
    return results


def in_paddings(title, kernel, image, paddings, strides):
    """What the kernel makes of the image in each padding at each stride, by a name that begins with `title`.

    A kernel that makes the image brighter or darker as a whole is divided by its sum.
    """
    from kerascnn.layers.filters import FixedFilter

    total, divided = brightness(kernel), ""
    if total and not math.isclose(total, 1):
        kernel, divided = [[value / total for value in row] for row in kernel], f", divided by {total:g}"
    return {
        f"{title}{padding}, stride {stride}{divided}": filtered(
            FixedFilter(kernel, padding, stride), image, in_colour=total > 0
        )
        for stride in strides
        for padding in paddings
    }


def brightness(kernel):
    """How many times brighter the kernel makes an even image, or 0 when it asks for differences."""
    total = math.fsum(value for row in kernel for value in row)
    return total if total > 0.01 * sum(abs(value) for row in kernel for value in row) else 0


def filtered(layer, image, in_colour):
    """What the layer makes of the image (H, W, 3), or of its grey values, which gives (H, W)."""
    from keras import ops

    if not in_colour:
        image = (image @ [0.299, 0.587, 0.114])[..., None]
    result = ops.convert_to_numpy(layer(image[None]))[0]
    return result if in_colour else result[..., 0]
