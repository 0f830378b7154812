"""Figures: learning curves and contact sheets."""

import numpy as np

from kerascnn.files import write_aside
from kerascnn.images import save_image

MOST_CURVES = 24  # a metric for each of many classes would make a figure that takes minutes


def figure(width, height):
    """A matplotlib figure of width × height inches that needs no display."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=100, layout="constrained")


def plain_text(name):
    """A name as matplotlib draws it letter by letter: what stands between two dollars is no formula."""
    return name.replace("$", r"\$")


def drawable(image):
    """What imshow takes of an image (H, W, C): (H, W) where it is grey."""
    return image[..., 0] if image.shape[-1] == 1 else image


def save_figure(plot, path):
    """Write a figure in the format that the suffix of `path` names; there is all of it or nothing."""
    write_aside(path, lambda aside: plot.savefig(aside, format=path.suffix[1:].lower()))


def columns_of(history):
    """The names of all figures in a history, a list of dicts, in their order; an epoch need not have each."""
    return list(dict.fromkeys(name for row in history for name in row))


def plot_learning_curve(history, path):
    """Draw losses and metrics, the first 24 of them, over the epochs of `history`, a list of dicts, to a PNG file."""
    epochs = np.arange(1, len(history) + 1)
    columns = columns_of(history)
    drawn = (name for name in columns if name not in ("learning_rate", "seconds", "images_per_second"))
    names = list(dict.fromkeys(name.removeprefix("val_") for name in drawn))[:MOST_CURVES]
    plot = figure(4.5 * len(names), 3.6)
    for axes, name in zip(plot.subplots(1, len(names), squeeze=False).flat, names, strict=True):
        for key, text in ((name, "training"), (f"val_{name}", "validation")):
            if key in columns:
                values = [row.get(key, np.nan) for row in history]
                axes.plot(epochs, values, marker="." if len(history) < 30 else None, label=text)
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    save_figure(plot, path)


def contact_sheet(panels, path, columns):
    """Draw `panels`, (title, image) or None for an empty place, in rows of `columns` to a PNG file, at one scale.

    image: float (H, W, 3) in [0, 1], RGB, what lies outside clipped; or (H, W) of both signs, in grey with 0 in the
    middle and its own contrast. Raises InputError when the place cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    height, width = np.max([panel[1].shape[:2] for panel in panels if panel], axis=0)
    inch = 3.8 / max(height, width)
    rows = -(-len(panels) // columns)
    plot = figure(columns * max(2.7, width * inch + 0.15), rows * (max(0.2, height * inch) + 0.6))
    for place, axes in enumerate(plot.subplots(rows, columns, squeeze=False).flat):
        axes.axis("off")
        if place < len(panels) and panels[place]:
            title, image = panels[place]
            # The value that all but one pixel in 50 stay under: a few bright ones would leave the others grey.
            most = np.quantile(np.abs(image), 0.98) or 1.0
            axes.imshow(image.clip(0, 1) if image.ndim == 3 else image, cmap="gray", vmin=-most, vmax=most)
            middle = image.shape[1] / 2 - 0.5, image.shape[0] / 2 - 0.5
            axes.set_xlim(middle[0] - width / 2, middle[0] + width / 2)
            axes.set_ylim(middle[1] + height / 2, middle[1] - height / 2)
            axes.set_title(plain_text(title), fontsize=11)
    canvas = FigureCanvasAgg(plot)
    canvas.draw()
    save_image(path, np.asarray(canvas.buffer_rgba())[..., 2::-1].copy())
