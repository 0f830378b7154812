"""Every figure, plot and contact sheet."""

import io
import warnings

import cv2
import numpy as np
from PIL import Image, ImageOps

from kerascnn.errors import InputError
from kerascnn.files import reading_from, write_aside
from kerascnn.limits import FORMATS, MOST_PIXELS


def figure(width, height):
    """A matplotlib figure of width × height inches that needs no display."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=100, layout="constrained")


def learning_curve(history, path):
    """Draw loss and accuracy over the epochs of `history`, a list of dicts, to a PNG file."""
    epochs = np.arange(1, len(history) + 1)
    names = [name for name in history[0] if f"val_{name}" in history[0]]
    sheet = figure(4.5 * len(names), 3.6)
    for axes, name in zip(sheet.subplots(1, len(names), squeeze=False).flat, names, strict=True):
        for key, text in ((name, "training"), (f"val_{name}", "validation")):
            axes.plot(epochs, [row[key] for row in history], marker="." if len(history) < 30 else None, label=text)
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    sheet.savefig(path, format="png")


def confusion_picture(labels, predicted, class_names, path):
    """Draw how often label (row) was called what (column) to a PNG file; colours of the errors only."""
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(labels, predicted, labels=np.arange(len(class_names)))
    errors = counts - np.diag(np.diag(counts))
    size = 2 + 0.5 * len(class_names)
    sheet = figure(size, size)
    axes = sheet.subplots()
    axes.imshow(errors, cmap="Oranges", vmin=0, vmax=max(1, errors.max()))
    for i, j in np.ndindex(*counts.shape):
        if counts[i, j]:
            dark = errors[i, j] > 0.6 * errors.max()
            axes.text(j, i, counts[i, j], ha="center", va="center", fontsize=8, color="white" if dark else "black")
    ticks = np.arange(len(class_names))
    axes.set_xticks(ticks, class_names, rotation=90 if max(map(len, class_names)) > 3 else 0)
    axes.set_yticks(ticks, class_names)
    axes.set(xlabel="predicted", ylabel="label", title=f"{errors.sum()} errors of {counts.sum():,}")
    sheet.savefig(path, format="png")


def mistakes_sheet(images, labels, probabilities, class_names, path, most=100):
    """Draw the misclassified images, the most confident mistakes first, at most `most`, to a PNG file.

    images uint8 (N, H, W, C), labels int (N,), probabilities float (N, classes). Above each: label → prediction and its
    probability.
    """
    predicted = probabilities.argmax(-1)
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.argsort(-probabilities[wrong].max(-1), kind="stable")][:most]
    columns = 10
    rows = max(1, -(-len(wrong) // columns))
    sheet = figure(columns * 1.1, 0.5 + rows * 1.35)
    sheet.suptitle(f"{(predicted != labels).sum()} of {len(labels):,} misclassified" + ": label → prediction")
    for place, axes in enumerate(sheet.subplots(rows, columns, squeeze=False).flat):
        axes.axis("off")
        if place < len(wrong):
            i = wrong[place]
            axes.imshow(images[i].squeeze(), cmap="gray")
            axes.set_title(
                f"{class_names[labels[i]]} → {class_names[predicted[i]]}  {probabilities[i].max():.2f}", fontsize=8
            )
    sheet.savefig(path, format="png")


def contact_sheet(panels, path, columns):
    """Draw `panels`, (title, picture) or None for an empty place, in rows of `columns` to a PNG file, at one scale.

    picture: float (H, W, 3) in [0, 1], red first, what lies outside clipped; or (H, W) of both signs, in grey with 0 in
    the middle and its own contrast. Raises InputError when the place cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    height, width = np.max([panel[1].shape[:2] for panel in panels if panel], axis=0)
    inch = 3.8 / max(height, width)
    rows = -(-len(panels) // columns)
    sheet = figure(columns * max(2.7, width * inch + 0.15), rows * (max(0.2, height * inch) + 0.6))
    for place, axes in enumerate(sheet.subplots(rows, columns, squeeze=False).flat):
        axes.axis("off")
        if place < len(panels) and panels[place]:
            title, picture = panels[place]
            # The value that all but one pixel in 50 stay under: a few bright ones would leave the others grey.
            most = np.quantile(np.abs(picture), 0.98) or 1.0
            axes.imshow(picture.clip(0, 1) if picture.ndim == 3 else picture, cmap="gray", vmin=-most, vmax=most)
            middle = picture.shape[1] / 2 - 0.5, picture.shape[0] / 2 - 0.5
            axes.set_xlim(middle[0] - width / 2, middle[0] + width / 2)
            axes.set_ylim(middle[1] + height / 2, middle[1] - height / 2)
            axes.set_title(title, fontsize=11)
    canvas = FigureCanvasAgg(sheet)
    canvas.draw()
    save_picture(path, np.asarray(canvas.buffer_rgba())[..., 2::-1].copy())


def dice_distribution(table, path):
    """Draw the Dice coefficients of `table`, dicts with `patient`, `fold` and `dice` or None, to a PNG file."""
    rows = sorted((row for row in table if row["dice"] is not None), key=lambda row: row["dice"])
    sheet = figure(10, 4.5)
    bars, counts = sheet.subplots(1, 2, width_ratios=(3, 1))
    colours = [f"C{row['fold']}" for row in rows]
    bars.bar(range(len(rows)), [row["dice"] for row in rows], color=colours)
    bars.set_xticks(range(len(rows)), [row["patient"] for row in rows], rotation=90, fontsize=6)
    bars.set(ylabel="Dice", ylim=(0, 1), title="patients, coloured by fold")
    counts.hist([row["dice"] for row in rows], bins=np.linspace(0, 1, 21), orientation="horizontal")
    mean, median = np.mean([row["dice"] for row in rows]), np.median([row["dice"] for row in rows])
    counts.axhline(mean, color="black", label=f"mean {mean:.3f}")
    counts.axhline(median, color="black", linestyle="--", label=f"median {median:.3f}")
    counts.set(xlabel="patients", ylim=(0, 1))
    counts.legend(fontsize=8)
    sheet.savefig(path, format="png")


def load_picture(path):
    """The picture in a PNG, JPEG or BMP file as uint8 (H, W, 3), blue first.

    A camera's note on orientation is followed; what is transparent is laid over white, or over black if nothing would
    show on white. Raises InputError when the file cannot be read or decoded or has more than 25 million pixels, by its
    header, before anything is decoded.
    """
    with reading_from(path):
        content = path.read_bytes()
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError("too large")
            return over_background(ImageOps.exif_transpose(image))[..., ::-1].copy()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise InputError(f"cannot decode {path}; give a PNG, JPEG or BMP file of at most 25 million pixels") from None


def over_background(image):
    """The PIL image as uint8 (H, W, 3), red first, over white, or over black if nothing would show on white."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))  # Pillow would cut at level 255
    image = image.convert("RGBA")
    white, black = (
        np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, colour), image))[..., :3]
        for colour in ("white", "black")
    )
    return white if white.min() < 240 else black


def save_picture(path, picture):
    """Write uint8 (H, W) or (H, W, 3), blue first, as PNG. Raises InputError when the place cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # two thirds of the bytes, in the same time, that OpenCV's own strategy takes for scans and photos
        strategy = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT]
        write_aside(path, lambda aside: aside.write_bytes(cv2.imencode(".png", picture, strategy)[1]))
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}); choose another folder") from None
