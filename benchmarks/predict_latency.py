"""How long one PNG takes through `predict_bytes` of an exported model, in Python.

    python benchmarks/predict_latency.py [--model saved_models/digits] [--count 1000]

The newest version of the SavedModel is asked, after 20 calls to warm up. Target: median at most 2 ms. One JSON line on
stdout: median and 99th percentile of single calls, and the rate in batches of 64.
"""

import sys
import time
from pathlib import Path

import cv2
import numpy as np
from cyclopts import App

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kerascnn.cli.app import run
from kerascnn.cli.messages import result
from kerascnn.datasets.synthetic import drawn
from kerascnn.saved_model.versions import latest_version
from kerascnn.tensorflow_setup import load_tensorflow

BATCHES = 20

app = App(help=__doc__, result_action="return_value")


@app.default
def main(*, model: Path = ROOT / "saved_models" / "digits", count: int = 1000):
    version = latest_version(model)
    load_tensorflow()
    import tensorflow as tf
    from machine import machine

    predict = tf.saved_model.load(version).signatures["predict_bytes"]
    encoded = [cv2.imencode(".png", image)[1].tobytes() for image in drawn(64, 0).images]

    def seconds(images):
        start = time.perf_counter()
        predict(image_bytes=tf.constant(images))["probabilities"].numpy()
        return time.perf_counter() - start

    times = [seconds([encoded[i % 64]]) for i in range(20 + count)][20:]
    batches = [seconds(encoded) for _ in range(1 + BATCHES)][1:]
    median, late = (1000 * np.percentile(times, [50, 99])).round(2)
    figures = {"unit": "ms", "median": float(median), "p99": float(late), "requests": count, "warm_up": 20}
    result({**figures, "images_per_second": round(64 * BATCHES / sum(batches)), **machine()})


if __name__ == "__main__":
    run(app)
