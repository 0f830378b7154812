"""Seconds until `python -m apps.digits --help` has printed, process start included.

    python benchmarks/help_latency.py [--runs 10]

Target: median at most 0.5 s. One JSON line on stdout.
"""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from cyclopts import App

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kerascnn.cli.app import run
from kerascnn.cli.messages import result
from kerascnn.tensorflow_setup import load_tensorflow

app = App(help=__doc__, result_action="return_value")


@app.default
def main(*, runs: int = 10):
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "apps.digits", "--help"], cwd=ROOT, stdout=subprocess.PIPE, check=True)
        seconds.append(time.perf_counter() - start)
    load_tensorflow()
    from machine import machine

    result({"unit": "s", "median": round(median(seconds), 3), "runs": runs, **machine()})


if __name__ == "__main__":
    run(app)
