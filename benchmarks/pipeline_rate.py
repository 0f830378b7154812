"""Images per second that the input pipeline alone delivers, with and without augmentation, beside the training rate.

    python benchmarks/pipeline_rate.py [--batch-size 128] [--epochs 3]

On cores that both share, training goes at 1 / (1 / pipeline + 1 / network): `share` is the part of a training step that
the pipeline takes. One JSON line on stdout.
"""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from cyclopts import App

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kerascnn.cli.app import run
from kerascnn.cli.messages import result
from kerascnn.digits.recipes import DigitRecipe
from kerascnn.files import read_json
from kerascnn.tensorflow_setup import load_tensorflow


def rate(examples, batch_size, epochs, augmentations):
    """Images per second over `epochs` passes, after one batch that builds the graph."""
    from kerascnn.datasets.batches import batches

    passes = iter(batches(examples, batch_size, epochs=epochs, augmentations=augmentations))
    next(passes)
    start = time.perf_counter()
    count = sum(len(labels) for _, labels in passes)
    return count / (time.perf_counter() - start)


def training_rate(data, recipe, augmentations):
    from kerascnn.cli import classification

    with tempfile.TemporaryDirectory() as folder:
        classification.train("benchmark", recipe, data, augmentations, Path(folder) / "run", resume=False)
        return read_json(Path(folder) / "run" / "recipe.json")["images_per_second"]


app = App(help=__doc__, result_action="return_value")


@app.default
def main(*, batch_size: int = 128, epochs: int = 3):
    load_tensorflow()
    from machine import machine

    from kerascnn.digits import data as sources
    from kerascnn.digits.augmentation import augmentations

    recipe = DigitRecipe()
    recipe = replace(recipe, training=replace(recipe.training, batch_size=batch_size, epochs=epochs))
    data = sources.load(recipe.data)
    figures = {}
    for name, distort in (("plain", ()), ("augmented", augmentations(recipe))):
        pipeline = rate(data.train, batch_size, epochs, distort)
        training = training_rate(data, recipe, distort)
        figures[name] = {"pipeline": round(pipeline), "training": training, "share": round(training / pipeline, 3)}
    metadata = {"unit": "images/s", "data": data.name, "model": recipe.model, "batch_size": batch_size}
    result({**metadata, **figures, **machine()})


if __name__ == "__main__":
    run(app)
