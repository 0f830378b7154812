"""A network as one picture: a block a stage, as high as its maps and as wide as there are many of them."""

import math
import re
from typing import NamedTuple

import keras
from keras import layers

from kerascnn.errors import InputError
from kerascnn.files import write_aside
from kerascnn.pictures import figure

COLOURS = {"image": "#d9d9d9", "maps": "#9ecae1", "numbers": "#fdd0a2"}
ACROSS = 11.0  # inches of a row of blocks
HIGHEST = 1.5  # inches of the image's block
GAP = 0.6  # inches from one row to the next, words included
PLACE = 1.15  # least inches from one block to the next, for the words below it


class Block(NamedTuple):
    """A stage: its name and the shape, (H, W, C) or (C,), that leaves it."""

    name: str
    shape: tuple


def blocks(model):
    """The Blocks of a functional model on the way to its logits; auxiliary heads are left out.

    Layers are grouped by what stands before the first underscore in their names, with the letter of Inception-v4's
    modules. Those without weights that only rearrange (normalize, padding, flatten, dropout) are left out, too.
    """
    logits = model.output["logits"] if isinstance(model.output, dict) else model.output
    silent = layers.ZeroPadding2D | layers.Flatten | layers.Dropout | layers.Cropping2D
    found = {}
    for layer in keras.Model(model.input, logits).layers:
        if layer.name != "normalize" and not isinstance(layer, silent):
            stage = re.match(r"[^_]+(_[a-c](?=\d*_))?", layer.name)[0]
            found[stage] = tuple(layer.output.shape[1:])
    return [Block(name, shape) for name, shape in found.items()]


def draw_network(model, path):
    """Draw the blocks of a functional model with their shapes to a .svg or .png file, in rows from left to right.

    Heights go with the square root of the maps' height in pixels, widths with the logarithm of their number. Raises
    InputError when the place cannot be written.
    """
    rows = in_rows(blocks(model))
    sheet = figure(ACROSS + 0.4, 0.5 + len(rows) * (HIGHEST + GAP))
    axes = sheet.subplots()
    axes.set(xlim=(-0.2, ACROSS + 0.2), ylim=(-len(rows) * (HIGHEST + GAP), 0.1), aspect="equal", title=model.name)
    axes.axis("off")
    for number, row in enumerate(rows):
        draw_row(axes, row, -HIGHEST / 2 - number * (HIGHEST + GAP), model.input_shape[1], number + 1 < len(rows))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_aside(path, lambda aside: sheet.savefig(aside, format=path.suffix[1:].lower()))
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}); choose another folder") from None


def width_of(block):
    """Inches, from the number of maps or units."""
    return 0.08 + 0.07 * math.log2(block.shape[-1])


def in_rows(stages):
    """The blocks in rows no wider than ACROSS, as full as one another."""
    most = int(ACROSS / PLACE)
    count = math.ceil(len(stages) / most)
    each = math.ceil(len(stages) / count)
    return [stages[start : start + each] for start in range(0, len(stages), each)]


def draw_row(axes, row, middle, image_side, goes_on):
    """Blocks around the height `middle`, an arrow between any two and, if it goes on, behind the last."""
    from matplotlib.patches import Rectangle

    place = ACROSS / max(len(row), 5)
    for i, block in enumerate(row):
        flat = len(block.shape) == 1
        height = 0.3 if flat else HIGHEST * math.sqrt(block.shape[0] / image_side)
        width, centre = width_of(block), (i + 0.5) * place
        colour = COLOURS["image" if block.name == "image" else "numbers" if flat else "maps"]
        corner = (centre - width / 2, middle - height / 2)
        axes.add_patch(Rectangle(corner, width, height, facecolor=colour, edgecolor="black", linewidth=0.8))
        words = f"{block.name}\n{' × '.join(map(str, block.shape))}"
        axes.text(centre, middle - HIGHEST / 2 - 0.08, words, ha="center", va="top", fontsize=8)
        if i + 1 < len(row) or goes_on:
            following = width_of(row[i + 1]) / 2 if i + 1 < len(row) else place / 2
            start, end = centre + width / 2 + 0.05, centre + place - following - 0.05
            arrow = {"arrowstyle": "->", "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", (end, middle), (start, middle), arrowprops=arrow)
