"""What augmentations make of images, to be looked at before a network trains on it."""

import numpy as np
import tensorflow as tf

from kerascnn.classification.plots import of_letters
from kerascnn.datasets.augmentation import as_augmentation, unfolded
from kerascnn.datasets.batches import as_batch, augmented
from kerascnn.datasets.image_files import ImageFiles, vanished_files_named
from kerascnn.plotting import drawable, figure, save_figure

IMAGES, VERSIONS = 8, 7


def plot_augmentations(data, augmentations, seed, path):
    """Draw images of a Dataset, one a row, as they are stored and as seven epochs of training see them, to a PNG file.

    The images are eight of those for training, of as many classes as there are; above what is mixed of several classes
    stand their shares. augmentations: what Recipe.augmentations holds; seed: the recipe's.
    """
    drawn = one_of_each_class(data.train.labels, seed)
    examples = data.train.take(drawn)
    in_training = examples.in_training() if isinstance(examples, ImageFiles) else examples
    augment = [as_augmentation(augmentation) for augmentation in unfolded(augmentations)]
    every = tf.range(len(drawn))
    with vanished_files_named(examples):
        columns, load = [as_batch(*examples.loader()(every))[:2]], in_training.loader()
        for epoch in range(VERSIONS):
            seed_of_epoch = tf.constant([seed, epoch], tf.int64)
            place = {"epoch": seed_of_epoch[1], "epochs": VERSIONS, "examples": drawn, "count": len(data.train)}
            columns.append(augmented(as_batch(*load(every, seed_of_epoch)), augment, seed_of_epoch, place)[:2])
    draw_sheet(columns, data.class_names, path)


def one_of_each_class(labels, seed):
    """The places of at most eight labels, drawn, of different classes as far as there are, in the order of these."""
    order = np.random.default_rng(seed).permutation(len(labels))
    turn = np.zeros(len(labels), int)
    for label in np.unique(labels):
        places = order[labels[order] == label]
        turn[places] = np.arange(len(places))
    drawn = order[np.argsort(turn[order], kind="stable")][:IMAGES]
    return drawn[np.argsort(labels[drawn], kind="stable")]


def draw_sheet(columns, class_names, path):
    """Draw columns of (images float (N, H, W, C), labels (N,) or (N, classes)), the first as stored, to a PNG file."""
    # names of mixed classes take two lines
    pitch = 1.24 if np.ndim(columns[-1][1]) == 2 else 1.12
    plot = figure(1.5 * len(columns), 1.5 * pitch * len(columns[0][0]) + 0.4)
    plot.suptitle("as stored, and as each of seven epochs sees it")
    axes = plot.subplots()  # one for all: the layout of many takes seconds
    axes.axis("off")
    for x, (images, labels) in enumerate(columns):
        for row, (image, label) in enumerate(zip(np.asarray(images), np.asarray(labels), strict=True)):
            height, width = 0.94 * np.array(image.shape[:2]) / max(image.shape[:2])
            left, bottom = x + 0.5 - width / 2, pitch * (row + 1)
            extent = (left, left + width, bottom, bottom - height)
            axes.imshow(drawable(image), cmap="gray", vmin=0, vmax=1, extent=extent)
            words = said(label, class_names) if label.ndim or x == 0 else ""
            axes.text(x + 0.5, bottom - height - 0.02, words, ha="center", va="bottom", fontsize=7)
    axes.set(xlim=(0, len(columns)), ylim=(pitch * len(columns[0][0]), 0), aspect="equal")
    save_figure(plot, path)


def said(label, class_names):
    """A class's name, or of a mixed label the two largest shares with theirs, a line each."""
    if not label.ndim:
        return of_letters(class_names[label], 16)
    largest = [place for place in np.argsort(-label, kind="stable")[:2] if label[place] >= 0.005]
    return "\n".join(f"{label[place]:.2f} {of_letters(class_names[place], 16)}" for place in largest)
