"""How fast photos become batches, beside decoding their JPEGs in full and nothing else, on the same cores.

    python benchmarks/photo_pipeline.py [--photos 400]

For each size of photo a folder of drawn JPEGs (noise whose strength falls with its frequency, as in photos, quality 90:
about two bits a pixel) is streamed by kerascnn's image_folder and batches, decoded, turned upright, resized, cropped to
224x224 and scaled, in batches of 32: `kerascnn` with the app's crop_ratio of 1, `cropped` with 0.875, as ImageNet's
networks are measured. `decoding` is the rate of libjpeg-turbo, TensorFlow's decode_jpeg in full size on as many cores,
from bytes in memory, in batches of as many. All go over the photos again and again, as epochs of a training, and the
second and third time are measured, with as much under way at the end as at the beginning; three times in turns. Rates
are photos a second, medians. stdout: one JSON object.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cyclopts import App

from kerascnn.cli.app import run
from kerascnn.cli.messages import result
from kerascnn.tensorflow_setup import load_tensorflow

SIZES = {"1600x1200": (1200, 1600), "640x480": (480, 640), "500x375": (375, 500)}
ROUNDS, BATCH = 3, 32
app = App(help=__doc__, result_action="return_value")


def draw(folder, photos, height, width):
    """Write the photos, half of them into each of two classes."""
    import cv2
    import numpy as np

    random = np.random.default_rng(0)
    for number in range(photos):
        image = np.full((height, width, 3), 128, np.float32)
        for octave in range(1, 9):
            noise = random.normal(0, 60 / octave, (2**octave, 2**octave, 3)).astype(np.float32)
            image += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
        place = folder / "ab"[number % 2] / f"{number}.jpg"
        place.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(place), image.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])


def rate(batches, steps):
    """Photos a second in the second and third of four epochs of so many batches."""
    stream = iter(batches)
    for _ in range(steps):
        next(stream)
    begin = time.perf_counter()
    for _ in range(2 * steps):
        next(stream)
    return 2 * steps * BATCH / (time.perf_counter() - begin)


def measure(folder, photos):
    """The rates of all over a folder of photos, and their ratios to decoding."""
    import os

    import tensorflow as tf

    import kerascnn as kc

    steps = photos // BATCH

    def streamed(crop_ratio):
        data = kc.datasets.image_folder(folder, (224, 224), crop_ratio=crop_ratio, validation=0, test=0)
        return kc.batches(data.train, BATCH, epochs=4)

    content = [path.read_bytes() for path in sorted(Path(folder).rglob("*.jpg"))]
    decoded = (
        tf.data.Dataset.from_tensor_slices(content)
        .take(steps * BATCH)
        .repeat(4)
        .map(lambda photo: tf.shape(tf.io.decode_jpeg(photo, channels=3)), num_parallel_calls=os.cpu_count())
        .batch(BATCH)
        .prefetch(2)
    )
    ways = {"decoding": decoded, "kerascnn": streamed(1.0), "cropped": streamed(0.875)}
    rates = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, batches in ways.items():
            rates[name].append(rate(batches, steps))
    medians = {name: round(statistics.median(values), 1) for name, values in rates.items()}
    ratios = {name: round(medians[name] / medians["decoding"], 2) for name in ("kerascnn", "cropped")}
    return {**medians, "ratios": ratios, "kilobytes": round(sum(map(len, content)) / photos / 1000)}


@app.default
def main(*, photos: int = 400):
    load_tensorflow()
    from machine import machine

    figures = {}
    for name, (height, width) in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            draw(Path(folder), photos, height, width)
            figures[name] = measure(folder, photos)
    result({"photos": photos, "rounds": ROUNDS, **figures, **machine()})


if __name__ == "__main__":
    run(app)
