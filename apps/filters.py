"""Classic filters on a photo: mean, median, Gaussian, derivatives, edges, sharpening and pooling on one sheet.

The last panels show one kernel with full, same and valid padding, with and without stride.
"""

import math
import os
import sys
from pathlib import Path
from typing import Annotated, Literal, get_args

if not __package__:  # run as a file
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cyclopts import Parameter

from kerascnn.cli import app as cli
from kerascnn.cli.flags import whole
from kerascnn.cli.messages import result
from kerascnn.errors import UsageError
from kerascnn.files import check_writable
from kerascnn.tensorflow_setup import load_tensorflow

LARGEST_STRIDE = 32
LARGEST_KERNEL = 63
LARGEST_VALUE = 1e6
Padding = Literal["full", "same", "valid"]

app = cli.create_app(__doc__)


@app.default
def draw(
    photo: Annotated[Path, Parameter(help="A PNG, JPEG, WebP or BMP file.")],
    /,
    *,
    kernel: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True,
            help="Draw this kernel only: rows between semicolons, '-1 -1 -1; -1 8 -1; -1 -1 -1' or '1/3 1/3 1/3'.",
        ),
    ] = None,
    padding: Annotated[Padding | None, Parameter(help="Show this padding only; default: all three.")] = None,
    stride: Annotated[int, Parameter(help="The stride beside stride 1, 1 to 32.", converter=whole)] = 2,
    out: Annotated[
        Path | None, Parameter(help="The PNG file; default: runs/filters/PHOTO.png, or PHOTO_kernel.png.")
    ] = None,
):
    """Draw a contact sheet of all filters, or of one kernel, and print its place and the shape of each panel."""
    table = None if kernel is None else parse_kernel(kernel)
    if not 1 <= stride <= LARGEST_STRIDE:
        raise UsageError(f"--stride is {stride}; give a number from 1 to {LARGEST_STRIDE}")
    if out and out.suffix.lower() != ".png":
        raise UsageError(f"--out {out} is no PNG file; give it a name that ends in .png")
    out = out or Path("runs/filters") / f"{photo.stem}{'_kernel' if kernel else ''}.png"
    if os.path.realpath(out) == os.path.realpath(photo):
        raise UsageError(f"{out} is the photo and would be overwritten; choose another --out")
    check_writable(out.parent)
    from kerascnn.analysis.filter_sheet import check_fits, draw_filter_sheet, load_photo

    image = load_photo(photo)
    paddings = (padding,) if padding else get_args(Padding)
    if table:
        check_fits(table, image, paddings)
    load_tensorflow()
    shapes = draw_filter_sheet(image, table, paddings, sorted({1, stride}), out)
    result({"image": str(out), "shapes": shapes})


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


if __name__ == "__main__":
    cli.run(app)
