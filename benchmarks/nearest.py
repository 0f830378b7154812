"""Time to find the five nearest of 100,000 vectors of 256 numbers, exactly, beside scikit-learn on the same vectors.

    python benchmarks/nearest.py

The median over 50 queries, asked one by one, and the time of 1,000 queries asked together. One JSON line on stdout.
"""

import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cyclopts import App
from machine import machine

from kerascnn.cli.app import run
from kerascnn.cli.messages import result
from kerascnn.tensorflow_setup import load_tensorflow

app = App(help=__doc__, result_action="return_value")


def milliseconds(nearest, queries):
    started = time.perf_counter()
    nearest(queries)
    return 1000 * (time.perf_counter() - started)


@app.default
def main(*, vectors: int = 100_000, features: int = 256, count: int = 5):
    load_tensorflow()
    import numpy as np
    from sklearn.neighbors import NearestNeighbors

    from kerascnn.classification.neighbors import Neighbors

    draw = np.random.default_rng(0)
    gallery = draw.standard_normal((vectors, features), np.float32)
    queries = draw.standard_normal((1000, features), np.float32)
    theirs = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(gallery)
    asked = {
        "kerascnn": lambda chosen: ours.nearest(chosen, count)[0],
        "scikit_learn": lambda chosen: theirs.kneighbors(chosen, return_distance=False),
    }
    ours = Neighbors(gallery)
    np.testing.assert_array_equal(*(nearest(queries[:50]) for nearest in asked.values()))
    figures = {}
    for name, nearest in asked.items():
        single = [milliseconds(nearest, queries[i : i + 1]) for i in range(50)]
        figures[name] = {
            "one_ms": round(statistics.median(single), 1),
            "thousand_ms": round(milliseconds(nearest, queries)),
        }
    result({"vectors": vectors, "features": features, "count": count, **figures, **machine()})


if __name__ == "__main__":
    run(app)
