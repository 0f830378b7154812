"""A folder of photos, streamed: how soon the first batch is there, images per second, memory; beside Keras's loader.

    python benchmarks/image_folder.py [--files 20000]

The folder is drawn first: JPEGs of 300x400 pixels in ten classes, 500 of them different, the others links to these.
Each contender streams it in a process of its own, resized to 64x64, in batches of 64: kerascnn's image_folder with
batches, and keras.utils.image_dataset_from_directory, which does not average where it shrinks. `start` is the seconds
from listing the folder to the first batch, `rate` the images per second of one pass after it, `memory` the most MiB
that the process had then, TensorFlow's own included. `training` is the rate of kerascnn.fit on 3,200 of the files,
taken from all over the folder, with the five-layer CNN. stdout: one JSON object with the figures of each contender and
their ratios.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cyclopts import App

from kerascnn.cli.app import run
from kerascnn.cli.messages import result
from kerascnn.tensorflow_setup import load_tensorflow

SIZE, BATCH, CLASSES, DIFFERENT = (64, 64), 64, 10, 500
app = App(help=__doc__, result_action="return_value")


def draw(folder, files):
    """Write the photos: gradients with noise, which JPEG compresses as little as a photo."""
    import cv2
    import numpy as np

    random = np.random.default_rng(0)
    ramp = np.linspace(0, 200, 400, dtype=np.float32)[None, :, None]
    for number in range(files):
        place = folder / f"class{number % CLASSES}" / f"{number}.jpg"
        place.parent.mkdir(exist_ok=True)
        first = folder / f"class{number % DIFFERENT % CLASSES}" / f"{number % DIFFERENT}.jpg"
        if number >= DIFFERENT:
            place.hardlink_to(first)
            continue
        image = ramp + random.normal(0, 20, (300, 400, 3)).astype(np.float32) + random.uniform(0, 50, 3)
        cv2.imwrite(str(place), image.clip(0, 255).astype(np.uint8))


def streamed(contender, folder):
    """The batches of one pass over the folder, from listing it on."""
    if contender == "keras":
        import keras

        options = {"image_size": SIZE, "batch_size": BATCH, "seed": 0, "verbose": False}
        return keras.utils.image_dataset_from_directory(folder, **options)
    import kerascnn as kc

    return kc.batches(kc.datasets.image_folder(folder, SIZE, validation=0, test=0).train, BATCH)


def training_rate(folder):
    import numpy as np

    import kerascnn as kc

    data = kc.datasets.image_folder(folder, SIZE, validation=0, test=0)
    with tempfile.TemporaryDirectory() as run_folder:
        model, recipe = kc.models.five_layer_cnn((*SIZE, 3), CLASSES), kc.Recipe(epochs=2, batch_size=BATCH)
        some = data.train.take(np.linspace(0, len(data.train) - 1, 3200).astype(int))
        return kc.fit(model, (some, None), recipe, folder=run_folder, verbose=0).history["images_per_second"][-1]


@app.command
def measure(contender: Literal["kerascnn", "keras"], folder: Path):
    load_tensorflow()
    from kerascnn.provenance import peak_memory

    begin = time.perf_counter()
    batches = iter(streamed(contender, folder))
    next(batches)
    start = time.perf_counter() - begin
    begin = time.perf_counter()
    count = sum(len(images) for images, *_ in batches)
    rate = count / (time.perf_counter() - begin)
    figures = {"start": round(start, 2), "rate": round(rate), "memory": peak_memory()["peak_memory_mib"]}
    result(figures | ({"training": training_rate(folder)} if contender == "kerascnn" else {}))


@app.default
def main(*, files: int = 20_000):
    import json

    load_tensorflow()
    from machine import machine

    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder), files)
        for contender in ("kerascnn", "keras"):
            command = [sys.executable, __file__, "measure", contender, folder]
            figures[contender] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    ratios = {name: round(figures["kerascnn"][name] / figures["keras"][name], 2) for name in figures["keras"]}
    result({"files": files, **figures, "ratios": ratios, **machine()})


if __name__ == "__main__":
    run(app)
