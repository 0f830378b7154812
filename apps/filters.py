"""Classic filters on a photo: mean, median, Gaussian, derivatives, edges, sharpening and pooling on one sheet.

The last panels show one kernel with full, same and valid padding, with and without stride.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cyclopts import Parameter

from kerascnn.analysis import filter_sheet
from kerascnn.analysis.filter_sheet import PADDINGS, parse_kernel
from kerascnn.cli import app as cli
from kerascnn.errors import UsageError

LARGEST_STRIDE = 32

app = cli.create_app("apps.filters", __doc__)


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
    shapes = filter_sheet.draw(photo, table, [padding] if padding else PADDINGS, sorted({1, stride}), out)
    cli.result({"picture": str(out), "shapes": shapes})


if __name__ == "__main__":
    cli.run(app)
