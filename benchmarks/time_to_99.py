"""Seconds that LeNet-5 takes to 99 % test accuracy on MNIST, by a fixed recipe that was chosen on validation data.

    python benchmarks/time_to_99.py [--runs 5]

Each run is a process of its own with its own seed. The clock covers all of training.fit: building, compiling, tracing,
every epoch with its validation and checkpoint, choosing a temperature, and writing the model; it leaves out the start
of the process, imports and reading the data. Seven epochs are the fewest whose mean validation accuracy over seeds 10
to 12 reached 99.0 %. A run looks at the test split once, after its clock has stopped. One JSON line on stdout.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, stdev

from cyclopts import App

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kerascnn.cli.app import run
from kerascnn.cli.messages import result
from kerascnn.digits.recipes import DigitRecipe
from kerascnn.tensorflow_setup import load_tensorflow
from kerascnn.training.recipe import Recipe

RECIPE = DigitRecipe(
    data="mnist",
    shift=1.0,
    rotation=0.0,
    zoom=0.0,
    shear=0.0,
    elastic=0.0,
    training=Recipe(
        epochs=7,
        batch_size=256,
        optimizer="sgd",
        learning_rate=0.4,
        warmup_epochs=1.0,
        weight_decay=1e-3,
        ema=0.97,
        precision="mixed_bfloat16",
    ),
)


def shifted(images, labels, seed):
    """Move all images of a batch by the same whole pixels, at most one each way: nearly free, unlike a warp of each."""
    import tensorflow as tf

    y, x = tf.unstack(tf.random.stateless_uniform((2,), seed, 0, 3, tf.int32))
    return tf.slice(tf.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0))), (0, y, x, 0), tf.shape(images)), labels


def one_run(seed):
    """(seconds of training, test accuracy) of one run in this process."""
    load_tensorflow()
    from dataclasses import replace

    from kerascnn.classification.evaluation import evaluate_classifier
    from kerascnn.cli import classification
    from kerascnn.digits import data as sources
    from kerascnn.digits.preprocessing import preprocess_digits
    from kerascnn.training.record import RunSchema
    from kerascnn.training.run_folder import load_trained

    data = sources.load(RECIPE.data)
    recipe = replace(RECIPE, training=replace(RECIPE.training, seed=seed))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        start = time.perf_counter()
        classification.train("benchmark", recipe, data, (shifted,), out, resume=False)
        seconds = time.perf_counter() - start
        model, _ = load_trained(out, RunSchema("benchmark"))
        metrics = evaluate_classifier(model, preprocess_digits, data.test, data.class_names, out, {})
    return {"seconds": round(seconds, 2), "accuracy": metrics["accuracy"]}


app = App(help=__doc__, result_action="return_value")


@app.default
def main(*, runs: int = 5, seed: int | None = None):
    if seed is not None:
        return result(one_run(seed))
    found = []
    for i in range(runs):
        ran = subprocess.run([sys.executable, __file__, "--seed", str(i)], stdout=subprocess.PIPE, check=True)
        found.append(json.loads(ran.stdout))
    seconds, accuracy = ([each[name] for each in found] for name in ("seconds", "accuracy"))
    standard_deviations = (
        {"seconds_sd": round(stdev(seconds), 2), "accuracy_sd": round(stdev(accuracy), 5)} if runs > 1 else {}
    )
    load_tensorflow()
    from machine import machine

    figures = {
        "seconds": round(mean(seconds), 2),
        "accuracy": round(mean(accuracy), 5),
        **standard_deviations,
        "runs": found,
    }
    result({**figures, **machine()})


if __name__ == "__main__":
    run(app)
