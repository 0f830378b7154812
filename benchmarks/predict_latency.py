"""How long one PNG takes through `predict_bytes` of an exported model, in Python.

    python benchmarks/predict_latency.py [FOLDER] [--count N]

FOLDER holds the versions of a SavedModel (default saved_models/digits); the highest is measured. The picture is a
28×28 PNG of random strokes. Target: median at most 2 ms; the exit code is 1 above it. Prints tab-separated lines:
version, threads, n, median_ms, p99_ms, and images_per_second at batch 64.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def newest(folder):
    """The version folder with the highest number."""
    versions = [child for child in folder.glob("[0-9]*") if child.name.isdecimal()]
    if not versions:
        sys.exit(f"error: no exported model in {folder}; export one or name another folder")
    return max(versions, key=lambda child: int(child.name))


def pictures(count):
    """`count` grey PNGs of 28×28, each with two thick strokes of its own, as bytes."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(1)
    encoded = []
    for _ in range(count):
        picture = np.zeros((28, 28), np.uint8)
        cv2.polylines(picture, [rng.integers(4, 24, (3, 2))], False, 255, 2, cv2.LINE_AA)
        encoded.append(cv2.imencode(".png", picture)[1].tobytes())
    return encoded


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("saved_models/digits"))
    parser.add_argument("--count", type=int, default=1000, help="single calls to time, %(default)s unless told")
    arguments = parser.parse_args()
    version = newest(arguments.folder)

    import numpy as np
    import tensorflow as tf

    predict = tf.saved_model.load(version).signatures["predict_bytes"]
    encoded = pictures(64)
    for picture in encoded[:20]:
        predict(image_bytes=tf.constant([picture]))
    times = []
    for number in range(arguments.count):
        start = time.perf_counter()
        predict(image_bytes=tf.constant(encoded[number % 64 : number % 64 + 1]))["probabilities"].numpy()
        times.append(time.perf_counter() - start)

    batches = 20
    predict(image_bytes=tf.constant(encoded))
    start = time.perf_counter()
    for _ in range(batches):
        predict(image_bytes=tf.constant(encoded))["probabilities"].numpy()
    rate = 64 * batches / (time.perf_counter() - start)

    median = np.median(times) * 1000
    print("version", version, sep="\t")
    # 0 means that TensorFlow takes one thread per core.
    print("threads", tf.config.threading.get_inter_op_parallelism_threads() or os.cpu_count(), sep="\t")
    print("n", len(times), sep="\t")
    print("median_ms", f"{median:.3f}", sep="\t")
    print("p99_ms", f"{np.quantile(times, 0.99) * 1000:.3f}", sep="\t")
    print("images_per_second", f"{rate:.0f}", sep="\t")
    sys.exit(median > 2)


if __name__ == "__main__":
    main()
