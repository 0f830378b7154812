"""Plots of what a classifier confuses: the confusion matrix and its mistakes."""

import numpy as np

from kerascnn.datasets.batches import evaluation_batches
from kerascnn.plotting import figure, save_figure


def plot_confusion_matrix(labels, predicted, class_names, path):
    """Draw how often each label (row) was predicted as which class (column) to a PNG file; only errors are coloured.

    Of more than 30 classes there are no numbers and no names.
    """
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(labels, predicted, labels=np.arange(len(class_names)))
    errors = counts - np.diag(np.diag(counts))
    few = len(class_names) <= 30
    size = 2 + 0.5 * min(len(class_names), 30)
    plot = figure(size, size)
    axes = plot.subplots()
    axes.imshow(errors, cmap="Oranges", vmin=0, vmax=max(1, errors.max()))
    for i, j in zip(*np.nonzero(counts), strict=True) if few else ():
        dark = errors[i, j] > 0.6 * errors.max()
        axes.text(j, i, counts[i, j], ha="center", va="center", fontsize=8, color="white" if dark else "black")
    if few:
        ticks = np.arange(len(class_names))
        axes.set_xticks(ticks, class_names, rotation=90 if max(map(len, class_names)) > 3 else 0)
        axes.set_yticks(ticks, class_names)
    axes.set(xlabel="predicted", ylabel="label", title=f"{errors.sum()} errors of {counts.sum():,}")
    save_figure(plot, path)


def plot_mistakes(examples, probabilities, class_names, path, most=100):
    """Draw the misclassified images, the most confident mistakes first, at most `most`, to a PNG file.

    examples: N Examples or ImageFiles; probabilities float (N, classes). Above each: label → prediction and its
    probability.
    """
    labels, predicted = examples.labels, probabilities.argmax(-1)
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.argsort(-probabilities[wrong].max(-1), kind="stable")][:most]
    images = [image for images, *_ in evaluation_batches(examples.take(wrong)) for image in images.numpy()]
    columns = 10
    rows = max(1, -(-len(wrong) // columns))
    # long names take a line each
    lines, between = (2, "\n") if max(map(len, class_names)) > 5 else (1, " ")
    pitch = 1.05 + 0.15 * lines
    plot = figure(columns * 1.1, 0.5 + rows * (pitch + 0.15))
    plot.suptitle(f"{(predicted != labels).sum()} of {len(labels):,} misclassified: label → prediction")
    axes = plot.subplots()  # one for all: the layout of a hundred takes seconds
    axes.axis("off")
    for place, (i, image) in enumerate(zip(wrong, images, strict=True)):
        row, column = divmod(place, columns)
        top, middle = pitch * (row + 1) - 1, column + 0.45
        height, width = 0.9 * np.array(image.shape[:2]) / max(image.shape[:2])
        extent = (middle - width / 2, middle + width / 2, top + height, top)
        axes.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=1, extent=extent)
        words = f"{class_names[labels[i]]}{between}→ {class_names[predicted[i]]} {probabilities[i].max():.2f}"
        axes.text(middle, top - 0.05, words, ha="center", fontsize=8)
    axes.set(xlim=(0, columns), ylim=(pitch * rows, 0), aspect="equal")
    save_figure(plot, path)
