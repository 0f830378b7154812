"""Seconds that each builder takes with its default arguments, weights drawn and all, process start excluded.

    python benchmarks/build_times.py

Each network is built three times, each in a process of its own, as a program builds the one that it wants, after a
LeNet-5, which brings TensorFlow up. stdout: one JSON object with the medians and the longest time of all; stderr: the
times.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from cyclopts import App

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kerascnn.cli.app import run
from kerascnn.cli.messages import note, result
from kerascnn.tensorflow_setup import load_tensorflow

app = App(help=__doc__, result_action="return_value")


@app.default
def main():
    load_tensorflow()
    from kerascnn.models import MODELS
    from kerascnn.provenance import provenance

    times = {}
    for name in MODELS:
        command = [sys.executable, __file__, "measure", name]
        times[name] = [
            float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout) for _ in range(3)
        ]
        note("\t".join(map(str, (name, *times[name]))))
    seconds = {name: statistics.median(three) for name, three in times.items()}
    slowest = max(seconds, key=seconds.get)
    result(
        {
            "networks": len(seconds),
            "slowest": slowest,
            "slowest_seconds": seconds[slowest],
            "longest_seconds": max(max(three) for three in times.values()),
            "seconds": seconds,
            **provenance(),
        }
    )


@app.command
def measure(name: str):
    """The seconds that one network takes, in this process."""
    load_tensorflow()
    from kerascnn.models import builder

    builder("lenet5")()
    started = time.perf_counter()
    builder(name)()
    print(round(time.perf_counter() - started, 2))


if __name__ == "__main__":
    run(app)
