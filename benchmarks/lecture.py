"""Experiments that lectures on convolutional networks show, in a few epochs on a CPU: a plot and a JSON file each.

    python benchmarks/lecture.py depth         # He et al., 2015, arXiv:1512.03385, figure 6: plain and residual ones
    python benchmarks/lecture.py activation    # Krizhevsky et al., 2012, figure 1: ReLU and tanh
    python benchmarks/lecture.py batch_norm    # Ioffe & Szegedy, 2015, arXiv:1502.03167, figure 1: with and without
    python benchmarks/lecture.py pixel_shift   # accuracy on digits that lie a few pixels beside the middle

The first three train on CIFAR-10 and show errors over the epochs, measured in training and on 5,000 validation images;
the last one trains on MNIST and asks on its test images, each moved left, right, up and down. What is trained lies in
runs/lecture; a killed experiment goes on where it was. The plot goes to docs/images/lecture_NAME.png, the figures to
benchmarks/results/lecture_NAME.json.
"""

import csv
import functools
import sys
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cyclopts import App

import kerascnn as kc
from kerascnn.cli.app import run
from kerascnn.cli.messages import note, result
from kerascnn.files import write_json
from kerascnn.plotting import figure, save_figure
from kerascnn.tensorflow_setup import load_tensorflow

EPOCHS = {"depth": 8, "activation": 10, "batch_norm": 10, "pixel_shift": 8}
SHIFTS = range(11)
PRECISION = "float32"  # on processors with units for bfloat16, too

app = App(help=__doc__, result_action="return_value")


def trained(name, build, data, recipe):
    """The run folder runs/lecture/NAME of what `build` builds, trained."""
    import keras

    from kerascnn.cli.progress import Progress

    folder = ROOT / "runs" / "lecture" / name
    if not (folder / "recipe.json").is_file():
        note(f"training {name}")
        keras.utils.set_random_seed(recipe.seed)
        kc.fit(build(), data, recipe, folder=folder, callbacks=[Progress()], verbose=0)
    return folder


def history(folder):
    """What a run says of its epochs, a list of dicts."""
    with open(folder / "history.csv") as rows:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(rows)]


def four_layers(activation, batch_norm=False):
    """The convolutions and the dense layer of Krizhevsky's smallest network for CIFAR-10, without regularization."""
    import keras
    from keras import layers

    x = image = keras.Input((32, 32, 3), name="image")
    x = layers.Rescaling(2.0, -1.0, name="normalize")(x)
    for i, filters in enumerate((32, 32, 64), 1):
        x = layers.Conv2D(filters, 5, padding="same", use_bias=not batch_norm, name=f"conv{i}")(x)
        if batch_norm:
            x = layers.BatchNormalization(name=f"conv{i}_bn")(x)
        x = layers.Activation(activation, name=f"conv{i}_{activation}")(x)
        x = layers.MaxPooling2D(3, 2, padding="same", name=f"pool{i}")(x)
    logits = layers.Dense(10, name="logits")(layers.Flatten(name="embedding")(x))
    return keras.Model(image, logits, name=f"four_layers_{activation}")


def depth():
    """{network: history} of plain and residual networks of 20 and 56 layers."""
    crops = (kc.augmentation.RandomCrop(padding=4), kc.augmentation.HorizontalFlip())
    recipe = kc.Recipe(
        epochs=EPOCHS["depth"], optimizer="sgd", learning_rate=0.1, weight_decay=1e-4, warmup_epochs=1.0,
        coupled_weight_decay=True, augmentations=crops, precision=PRECISION,
    )  # fmt: skip
    data = kc.datasets.load("cifar10")
    networks = ("plain20", "plain56", "resnet20", "resnet56")
    return {name: history(trained(f"depth/{name}", getattr(kc.models, name), data, recipe)) for name in networks}


def activation():
    """{activation at a learning rate: history}; the paper chose the best rate for each network."""
    networks = {name: functools.partial(four_layers, name) for name in ("relu", "tanh")}
    return at_rates("activation", networks, (0.006, 0.02, 0.06))


def batch_norm():
    """{with or without batch normalization at a learning rate: history}."""
    networks = {"without": functools.partial(four_layers, "relu"), "with": functools.partial(four_layers, "relu", True)}
    return at_rates("batch_norm", networks, (0.006, 0.03))


def at_rates(experiment, networks, rates):
    """{network at a learning rate: history} of SGD with momentum at each of the rates; networks: {name: builder}."""
    data, found = kc.datasets.load("cifar10"), {}
    for name, build in networks.items():
        for rate in rates:
            recipe = kc.Recipe(
                epochs=EPOCHS[experiment], optimizer="sgd", learning_rate=rate, schedule="constant",
                precision=PRECISION,
            )  # fmt: skip
            found[f"{name}, rate {rate:g}"] = history(trained(f"{experiment}/{name}_{rate:g}", build, data, recipe))
    return found


def pixel_shift():
    """{network: accuracy for each of SHIFTS} on the test images of MNIST."""
    import numpy as np

    data = kc.datasets.load("mnist")
    images, labels = data.test.images, data.test.labels
    recipe, found = kc.Recipe(epochs=EPOCHS["pixel_shift"], precision=PRECISION), {}
    for name in ("mlp", "lenet5", "convnetjs"):
        build = functools.partial(getattr(kc.models, name), (28, 28, 1), 10)
        model = kc.load_model(trained(f"pixel_shift/{name}", build, data, recipe))
        found[name] = []
        for pixels in SHIFTS:
            moves = ((0, pixels), (0, -pixels), (pixels, 0), (-pixels, 0))
            moved = np.concatenate([shifted(images, *move) for move in moves])
            answers = model.predict(moved.astype(np.float32) / 255, batch_size=1000, verbose=0).argmax(-1)
            found[name].append(round(float((answers == np.tile(labels, 4)).mean()), 5))
    return found


def shifted(images, down, right):
    """uint8 (N, H, W, C), moved by so many pixels; black comes in."""
    import numpy as np

    height, width = images.shape[1:3]
    edge = max(abs(down), abs(right))
    padded = np.pad(images, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    return padded[:, edge - down : edge - down + height, edge - right : edge - right + width]


def draw_errors(histories, path):
    """Errors over epochs: dashed in training, solid on validation images."""
    plot = figure(7, 4.6)
    axes = plot.subplots()
    for i, (label, history) in enumerate(histories.items()):
        epochs = range(1, len(history) + 1)
        axes.plot(epochs, [100 - 100 * row["accuracy"] for row in history], f"C{i}--", linewidth=1)
        axes.plot(epochs, [100 - 100 * row["val_accuracy"] for row in history], f"C{i}-", label=label)
    axes.set(xlabel="epoch", ylabel="error in %, dashed: in training")
    axes.grid(alpha=0.3)
    plot.legend(loc="outside lower center", ncols=3)
    save_figure(plot, path)


def draw_shifts(accuracies, path):
    plot = figure(7, 4.6)
    axes = plot.subplots()
    for name, values in accuracies.items():
        axes.plot(list(SHIFTS), [100 * value for value in values], marker=".", label=name)
    axes.set(xlabel="shift in pixels", ylabel="accuracy on MNIST's test images in %")
    axes.grid(alpha=0.3)
    axes.legend()
    save_figure(plot, path)


EXPERIMENTS = {"depth": depth, "activation": activation, "batch_norm": batch_norm, "pixel_shift": pixel_shift}


@app.default
def main(name: Literal[tuple(EPOCHS)]):
    load_tensorflow()
    from machine import machine

    found = EXPERIMENTS[name]()
    image = ROOT / "docs" / "images" / f"lecture_{name}.png"
    if name == "pixel_shift":
        draw_shifts(found, image)
        figures = {"shifts": list(SHIFTS), "accuracy": found}
    else:
        draw_errors(found, image)
        keep = ("accuracy", "loss", "val_accuracy", "val_loss", "seconds")
        kept = {label: {key: [row[key] for row in history] for key in keep} for label, history in found.items()}
        figures = {"histories": kept}
    summary = {"epochs": EPOCHS[name], **figures, **machine()}
    write_json(ROOT / "benchmarks" / "results" / f"lecture_{name}.json", summary)
    result(summary)


if __name__ == "__main__":
    run(app)
