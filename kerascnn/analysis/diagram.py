"""A network as a diagram: a block a stage, as high as its feature maps and as wide as it has channels."""

import math
import re
from typing import NamedTuple

import keras
from keras import layers

from kerascnn.files import writing_to
from kerascnn.plotting import figure, save_figure

ACROSS = 11.0  # inches of a row of blocks
HIGHEST = 1.5  # inches of the image's block
GAP = 0.75  # inches from one row to the next, words included
PLACE = 1.15  # least inches from one block to the next, for the words below it


class Block(NamedTuple):
    """A stage: its name, the shape, (H, W, C) or (C,), that leaves it, and the stages that it takes from besides."""

    name: str
    shape: tuple
    joins: tuple


def blocks(model):
    """The Blocks of a functional model on the way to its logits; auxiliary heads are left out.

    Layers are grouped by what stands before the first underscore in their names, with the letter of Inception-v4's
    modules. Those without weights that only rearrange (normalize, padding, cropping, flatten, dropout) are left out,
    too. A stage joins those from which it takes feature maps, other than the one before it; their shape is that of
    these.
    """
    logits = model.output["logits"] if isinstance(model.output, dict) else model.output
    silent = layers.ZeroPadding2D | layers.Flatten | layers.Dropout | layers.Cropping2D
    shapes, joins, makers = {}, {}, {}
    for layer in keras.Model(model.input, logits).layers:
        taken = [] if isinstance(layer, layers.InputLayer) else keras.tree.flatten(layer.input)
        if layer.name == "normalize" or isinstance(layer, silent):
            makers[id(layer.output)] = makers[id(taken[0])]
            continue
        stage = re.match(r"[^_]+(_[a-c](?=\d*_))?", layer.name)[0]
        if stage not in shapes:
            previous = next(reversed(shapes), None)
            joins[stage] = []
        for tensor in taken:
            source, shape = makers[id(tensor)]
            if source not in (stage, previous, *joins[stage]):
                joins[stage].append(source)
                shapes[source] = shape
        shapes[stage] = tuple(layer.output.shape[1:])
        makers[id(layer.output)] = stage, shapes[stage]
    return [Block(name, shape, tuple(joins[name])) for name, shape in shapes.items()]


def draw_diagram(model, path):
    """Draw the blocks of a functional model with their shapes to a .svg or .png file, in rows from left to right.

    Heights go with the square root of a feature map's height in pixels, widths with the logarithm of the channels.
    Raises InputError when the place cannot be written.
    """
    stages = blocks(model)
    count = math.ceil(len(stages) / int(ACROSS / PLACE))
    each = math.ceil(len(stages) / count)
    rows = [stages[start : start + each] for start in range(0, len(stages), each)]
    sheet = figure(ACROSS + 0.4, 0.5 + len(rows) * (HIGHEST + GAP))
    axes = sheet.subplots()
    axes.set(xlim=(-0.2, ACROSS + 0.2), ylim=(-len(rows) * (HIGHEST + GAP), 0.1), aspect="equal", title=model.name)
    axes.axis("off")
    for number, row in enumerate(rows):
        draw_row(axes, row, -HIGHEST / 2 - number * (HIGHEST + GAP), model.input_shape[1], number + 1 < len(rows))
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_figure(sheet, path)


def width_of(block):
    """Inches, from the number of channels or units."""
    return 0.08 + 0.07 * math.log2(block.shape[-1])


def draw_row(axes, row, middle, image_side, goes_on):
    """Blocks around the height `middle`, an arrow between any two and, if it goes on, behind the last."""
    from matplotlib.patches import Rectangle

    place = ACROSS / max(len(row), 5)
    for i, block in enumerate(row):
        flat = len(block.shape) == 1
        height = 0.3 if flat else HIGHEST * math.sqrt(block.shape[0] / image_side)
        width, centre = width_of(block), (i + 0.5) * place
        colour = "#d9d9d9" if block.name == "image" else "#fdd0a2" if flat else "#9ecae1"  # grey, orange, blue
        corner = (centre - width / 2, middle - height / 2)
        axes.add_patch(Rectangle(corner, width, height, facecolor=colour, edgecolor="black", linewidth=0.8))
        words = "\n".join([block.name, " × ".join(map(str, block.shape)), *(f"+ {name}" for name in block.joins)])
        axes.text(centre, middle - HIGHEST / 2 - 0.08, words, ha="center", va="top", fontsize=8)
        if i + 1 < len(row) or goes_on:
            following = width_of(row[i + 1]) / 2 if i + 1 < len(row) else place / 2
            start, end = centre + width / 2 + 0.05, centre + place - following - 0.05
            arrow = {"arrowstyle": "->", "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", (end, middle), (start, middle), arrowprops=arrow)
