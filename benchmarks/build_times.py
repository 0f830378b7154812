"""Seconds that each builder takes with its default arguments, weights drawn and all, process start excluded.

    python benchmarks/build_times.py

One process builds all networks, one after the other, LeNet-5 first so that TensorFlow is up; each is let go before the
next. stdout: one JSON object; stderr: the times.
"""

import gc
import sys
import time
from pathlib import Path

from cyclopts import App

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kerascnn import cli

app = App(help=__doc__, result_action="return_value")


@app.default
def main():
    cli.load_tensorflow()
    import keras

    from kerascnn.models import MODELS, builder
    from kerascnn.run import provenance

    builder("lenet5")()
    seconds = {}
    for name in MODELS:
        started = time.perf_counter()
        model = builder(name)()
        seconds[name] = round(time.perf_counter() - started, 2)
        cli.note(f"{name}\t{seconds[name]}")
        del model
        keras.utils.clear_session()
        gc.collect()
    slowest = max(seconds, key=seconds.get)
    cli.result({"networks": len(seconds), "slowest": slowest, "slowest_seconds": seconds[slowest], **provenance()})


if __name__ == "__main__":
    cli.run(app)
