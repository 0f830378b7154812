"""Plots of a classifier: what it confuses, its mistakes, its calibration, and its answers to a few images."""

import numpy as np

from kerascnn.classification.calibration import expected_calibration_error, reliability
from kerascnn.datasets.batches import evaluation_batches
from kerascnn.datasets.image_files import vanished_files_named
from kerascnn.plotting import drawable, figure, plain_text, save_figure


def plot_confusion_matrix(counts, class_names, path):
    """Draw how often each label (row) was predicted as which class (column) to a PNG file; only errors are coloured.

    counts: int (classes, classes). Of more than 30 classes there are no numbers and no names.
    """
    errors = counts - np.diag(np.diag(counts))
    few = len(class_names) <= 30
    letters = min(24, max(map(len, class_names)))  # of the longest name that is drawn
    size = 2 + 0.5 * min(len(class_names), 30) + 0.06 * letters * few
    plot = figure(size, size)
    axes = plot.subplots()
    axes.imshow(errors, cmap="Oranges", vmin=0, vmax=max(1, errors.max()))
    for i, j in zip(*np.nonzero(counts), strict=True) if few else ():
        dark = errors[i, j] > 0.6 * errors.max()
        axes.text(j, i, counts[i, j], ha="center", va="center", fontsize=8, color="white" if dark else "black")
    if few:
        ticks = np.arange(len(class_names))
        names = list(map(of_letters, class_names))
        axes.set_xticks(ticks, names, rotation=90 if max(map(len, class_names)) > 3 else 0)
        axes.set_yticks(ticks, names)
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
    images = images_of(examples.take(wrong))
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
        axes.imshow(drawable(image), cmap="gray", vmin=0, vmax=1, extent=extent)
        label, guess = of_letters(class_names[labels[i]], 15), of_letters(class_names[predicted[i]], 10)
        words = f"{label}{between}→ {guess} {probabilities[i].max():.2f}"
        axes.text(middle, top - 0.05, words, ha="center", fontsize=7)
    axes.set(xlim=(0, columns), ylim=(pitch * rows, 0), aspect="equal")
    save_figure(plot, path)


def plot_reliability(probabilities, before, labels, path):
    """Draw accuracy against confidence, above the number of examples at each, to a PNG file: a reliability diagram.

    probabilities: float (N, classes), labels int (N,). before: those without temperature, drawn as a line where they
    differ. Guo et al., 2017, arXiv:1706.04599, figure 1; on the diagonal the probabilities are frequencies.
    """
    counts, _, accuracy = reliability(probabilities, labels)
    edges = np.linspace(0, 1, len(counts) + 1)
    middles, width, some = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0], counts > 0
    plot = figure(4.6, 5.6)
    upper, lower = plot.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.bar(middles[some], accuracy[some], 0.92 * width, color="tab:blue", alpha=0.6, label="accuracy")
    upper.plot((0, 1), (0, 1), color="black", linestyle="--", linewidth=1, label="confidence")
    if not np.array_equal(probabilities, before):
        points = reliability(before, labels)
        shown = points.counts > 0
        words = f"without temperature, ECE {expected_calibration_error(before, labels):.3f}"
        upper.plot(
            points.confidence[shown], points.accuracy[shown], "o-", color="tab:orange", markersize=4, label=words
        )
    ece = expected_calibration_error(probabilities, labels)
    upper.set(ylabel="accuracy", ylim=(0, 1.02), title=f"ECE {ece:.3f} over {len(labels):,} examples")
    plot.legend(loc="outside lower center", ncols=3, fontsize=8)
    lower.bar(middles, counts, 0.92 * width, color="tab:gray")
    # of a good classifier nearly all are in the last interval
    lower.set(xlabel="confidence", ylabel="examples", xlim=(0, 1), yscale="log", ylim=(0.5, 2 * max(counts)))
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
    save_figure(plot, path)


def plot_answers(examples, probabilities, class_names, path, count=8):
    """Draw `count` images, drawn with a fixed seed, each above its five most probable classes, to a PNG file.

    examples: N Examples or ImageFiles; probabilities float (N, classes). Above each image stands its label; the bar of
    the label is red, as in Krizhevsky et al., 2012, figure 4.
    """
    chosen = np.sort(np.random.default_rng(0).permutation(len(examples))[:count])
    images = images_of(examples.take(chosen))
    columns = min(4, len(chosen))
    rows = -(-len(chosen) // columns)
    plot = figure(2.6 * columns, 0.4 + 3.9 * rows)
    plot.suptitle("the most probable classes; red: the label")
    cells = plot.subplots(2 * rows, columns, squeeze=False, height_ratios=(1.7, 1) * rows)
    for axes in cells.flat:
        axes.axis("off")
    for place, (i, image) in enumerate(zip(chosen, images, strict=True)):
        row, column = divmod(place, columns)
        above, below = cells[2 * row : 2 * row + 2, column]
        above.imshow(drawable(image), cmap="gray", vmin=0, vmax=1)
        above.set_title(of_letters(class_names[examples.labels[i]]), fontsize=11)
        five = np.argsort(-probabilities[i], kind="stable")[:5]
        colours = ["tab:red" if label == examples.labels[i] else "tab:blue" for label in five]
        below.barh(np.arange(len(five)), probabilities[i, five], 0.85, color=colours, alpha=0.55)
        for bar, label in enumerate(five):
            below.text(0.02, bar, of_letters(class_names[label]), va="center", fontsize=9)
        below.set(xlim=(0, 1), ylim=(4.6, -0.6))
    save_figure(plot, path)


def of_letters(name, most=24):
    """A name of at most so many letters, which fit above an image, as plain_text."""
    return plain_text(name if len(name) <= most else f"{name[: most - 1]}…")


def images_of(examples):
    """Each image of Examples or ImageFiles, float32 (H, W, C) in [0, 1]. Raises InputError for a file that vanishes."""
    with vanished_files_named(examples):
        for images, *_ in evaluation_batches(examples):
            yield from images.numpy()
