"""Classic filters on a photo: mean, median, Gaussian, derivatives, edges, sharpening and pooling on one sheet.

The last panels show one kernel with full, same and valid padding, with and without stride.
"""

import math
import sys
from pathlib import Path
from typing import Annotated, Literal

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cyclopts import Parameter

from kerascnn import cli
from kerascnn.errors import InputError, UsageError

LONGEST_SIDE = 360  # of the photo on the sheet, in pixels
LARGEST_KERNEL = 63
LARGEST_VALUE = 1e6
LARGEST_STRIDE = 32

app = cli.create_app("filters", __doc__)


@app.default
def draw(
    photo: Annotated[Path, Parameter(help="A PNG, JPEG or BMP file.")],
    /,
    *,
    kernel: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True,
            help="Draw this kernel only: rows between semicolons, '-1 -1 -1; -1 8 -1; -1 -1 -1' or '1/3 1/3 1/3'.",
        ),
    ] = None,
    padding: Annotated[
        Literal["full", "same", "valid"] | None, Parameter(help="Show this padding only; default: all three.")
    ] = None,
    stride: Annotated[int, Parameter(help="The stride beside stride 1, 1 to 32.")] = 2,
    out: Annotated[
        Path | None, Parameter(help="The PNG file; default: runs/filters/<photo>.png, or <photo>_kernel.png.")
    ] = None,
):
    """Draw a contact sheet of all filters, or of one kernel, and print its place and the shape of each panel."""
    table = None if kernel is None else parse_kernel(kernel)
    if not 1 <= stride <= LARGEST_STRIDE:
        raise UsageError(f"--stride is {stride}; give a number from 1 to {LARGEST_STRIDE}")
    if out and out.suffix.lower() != ".png":
        raise UsageError(f"--out {out} is no PNG file; give it a name that ends in .png")
    out = out or Path("runs/filters") / f"{photo.stem}{'_kernel' if kernel else ''}.png"
    if out.resolve() == photo.resolve():
        raise UsageError(f"{out} is the photo and would be overwritten; choose another --out")

    import cv2
    import numpy as np

    from kerascnn.pictures import contact_sheet, load_picture

    picture = load_picture(photo)
    shrink = min(1, LONGEST_SIDE / max(picture.shape[:2]))
    height, width = (max(1, round(side * shrink)) for side in picture.shape[:2])
    if table and padding in (None, "valid") and (len(table) > height or len(table[0]) > width):
        raise InputError(
            f"the kernel has {len(table)} x {len(table[0])} numbers and {photo} only {height} x {width} pixels on the "
            "sheet; give a larger photo or --padding same"
        )
    picture = np.float32(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)[..., ::-1]) / 255
    paddings, strides = [padding] if padding else ["full", "same", "valid"], sorted({1, stride})
    cli.load_tensorflow()
    if table:
        columns = 1 + len(paddings)
        results = {"photo": picture, **in_paddings("", table, picture, paddings, strides)}
    else:
        columns = 7
        # A mean so wide that what padding adds or takes away is seen, and never wider than the photo.
        side = min(height, width) // 16 * 2 + 1
        mean = [[1 / side**2] * side] * side
        results = {
            "photo": picture,
            **all_filters(picture),
            **in_paddings(f"mean {side} x {side}, ", mean, picture, paddings, strides),
        }
    panels = [
        (f"{name}\n{shown.shape[0]} x {shown.shape[1]}", enlarged(name, shown)) for name, shown in results.items()
    ]
    if table and len(strides) > 1:
        panels.insert(columns, None)
    contact_sheet(panels, out, columns)
    cli.result({"picture": str(out), "shapes": {name: shown.shape for name, shown in results.items()}})


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


def all_filters(picture):
    """What each of FILTERS makes of the picture, by name; beyond the edges the picture is mirrored."""
    from kerascnn.filters import FILTERS, KERNELS

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
    from kerascnn.filters import FixedFilter

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


if __name__ == "__main__":
    cli.run(app)
