"""Seconds to 94 % on CIFAR-10: the recipe cifar_fast of the images app, run by run.

    python benchmarks/cifar_fast.py SEED

Trains on all 50,000 training images with that seed, goes on where it was stopped, and looks at the test split once. The
clock covers every step of the training, tracing the first one, and the evaluation over six views, and, done once more
for it, whitening before the epochs and the statistics of batch normalization after them; it leaves out imports and
reading the data. Machines differ, and shared ones from minute to minute: before, after every epoch and at the end the
rate of float32 matrix products is measured, and `times_ideal` divides the seconds by those that the newest record's
0.264 PFLOP take at the median of these rates. The run is added to benchmarks/results/cifar_fast.json, where one of the
same seed is replaced. That file's JSON on stdout.
"""

import dataclasses
import statistics
import sys
import time
from pathlib import Path

from cyclopts import App

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from machine import matrix_rate

from kerascnn.classification.recipes import RECIPES
from kerascnn.cli.app import run
from kerascnn.cli.messages import result
from kerascnn.errors import UsageError
from kerascnn.files import read_json, read_json_if_any, write_json
from kerascnn.tensorflow_setup import load_tensorflow
from kerascnn.training.recipe import as_json

RESULTS = ROOT / "benchmarks" / "results" / "cifar_fast.json"
RECORD = 0.264e15  # operations: 243 steps of 1,536 images, https://github.com/hiverge/cifar10-speedrun


def of_seed(seed):
    recipe = RECIPES["cifar_fast"]
    return dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, seed=seed))


def train(seed, data, folder):
    """Train into `folder`, the rates of matrix products in the column `rate` of its history."""
    import keras

    import kerascnn as kc
    from kerascnn.classification.augmentation import augmentations
    from kerascnn.classification.training import untrained
    from kerascnn.cli.progress import Progress

    class Rate(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["rate"] = matrix_rate()

    recipe = of_seed(seed)
    keras.utils.set_random_seed(seed)
    training = dataclasses.replace(recipe.training, augmentations=augmentations(recipe, data))
    metadata = {"recipe": as_json(recipe), "app": "images", "class_names": data.class_names}
    options = {"folder": folder, "callbacks": [Rate(), Progress()], "metadata": metadata, "verbose": 0}
    kc.fit(untrained(recipe.model, data), data, training, **options)


def beside_epochs(data, folder):
    """Seconds of whitening and of the statistics of batch normalization, which no epoch has."""
    import kerascnn as kc
    from kerascnn.classification.training import untrained
    from kerascnn.training.batch_statistics import measure
    from kerascnn.training.feed import Feed

    recipe, network = RECIPES["cifar_fast"], kc.load_model(folder)
    started = time.perf_counter()
    untrained(recipe.model, data)
    measure(network, Feed(data, recipe.training).undistorted())
    return time.perf_counter() - started


def evaluate(folder):
    """(accuracy, accuracy of single views, seconds of the first) on the test split."""
    import kerascnn as kc
    from kerascnn.classification.evaluation import answered
    from kerascnn.classification.views import averaged_over_views

    test = kc.datasets.load("cifar10").test
    network, figures = kc.load_model(folder), []
    for tta in ("flip_shift", "none"):
        started = time.perf_counter()
        logits, labels, _ = answered(averaged_over_views(network, tta), test)
        figures.append((float((logits.argmax(-1) == labels).mean()), time.perf_counter() - started))
    return figures[0][0], figures[1][0], figures[0][1]


app = App(help=__doc__, result_action="return_value")


@app.default
def main(seed: int):
    load_tensorflow()
    from kerascnn.classification.data import load_images

    data = load_images("cifar10", None, validation=False)
    folder = ROOT / "runs" / f"cifar_fast-{seed}"
    before = matrix_rate()
    if not (folder / "recipe.json").is_file():
        train(seed, data, folder)
    if read_json(folder / "recipe.json")["recipe"] != as_json(of_seed(seed)):
        raise UsageError(f"folder {folder} holds a run of another recipe; move it away")
    accuracy, single, seconds = evaluate(folder)
    record = read_json(folder / "recipe.json")
    history = [line.split(",") for line in (folder / "history.csv").read_text().splitlines()]
    rates = [float(row[history[0].index("rate")]) for row in history[1:]]
    rate = statistics.median([before, *rates, matrix_rate()])
    seconds += record["training_seconds"] + beside_epochs(data, folder)
    figures = {
        "seed": seed, "accuracy": accuracy, "accuracy_single_view": single, "seconds": round(seconds, 1),
        "gflops": round(rate / 1e9, 1), "times_ideal": round(seconds * rate / RECORD, 2),
        **{name: record[name] for name in ("precision", "hardware", "date", "versions")},
    }  # fmt: skip
    known = (read_json_if_any(RESULTS) or {}).get("runs", [])
    others = [other for other in known if other["seed"] != seed]
    runs = sorted([*others, figures], key=lambda each: each["seed"])
    accuracies = [each["accuracy"] for each in runs]
    standard_deviation = {"accuracy_sd": round(statistics.stdev(accuracies), 5)} if len(runs) > 1 else {}
    of_last = {name: figures[name] for name in ("hardware", "date", "versions")}
    accuracy = round(statistics.mean(accuracies), 5)
    summary = {"accuracy": accuracy, **standard_deviation, "runs": runs, **of_last}
    write_json(RESULTS, summary)
    result(summary)


if __name__ == "__main__":
    run(app)
