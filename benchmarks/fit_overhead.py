"""What kerascnn.fit costs over plain model.fit: the same compiled LeNet-5, the same tf.data batches, by turns.

    python benchmarks/fit_overhead.py

Both train with the same validation data for the same epochs; kerascnn.fit keeps a checkpoint, the history and the best
weights besides. Seconds are those of the whole call but its first epoch, in which both trace the model. stdout: one
JSON object with the seconds of every turn and the ratio of the medians.
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

app = App(help=__doc__, result_action="return_value")


def seconds(fit, epochs):
    """The time from the end of the first epoch to the end of the call fit(callback)."""
    import keras

    ends = []
    fit(keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter())))
    assert len(ends) == epochs
    return time.perf_counter() - ends[0]


@app.default
def main(*, turns: int = 3, epochs: int = 4, images: int = 10_000):
    load_tensorflow()
    import keras
    import numpy as np
    import tensorflow as tf

    import kerascnn as kc
    from kerascnn.provenance import provenance

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (images, 28, 28, 1), np.uint8).astype(np.float32) / 255
    data = tf.data.Dataset.from_tensor_slices((x, rng.integers(0, 10, images))).batch(128).cache().prefetch(4)
    validation = data.take(8)

    def compiled():
        model = kc.models.lenet5()
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
        return model

    def plain(clock):
        compiled().fit(
            data, validation_data=validation, epochs=epochs, shuffle=False, verbose=0, callbacks=[clock]
        )  # fmt: skip

    def ours(clock):
        with tempfile.TemporaryDirectory() as folder:
            recipe = kc.Recipe(epochs=epochs, precision="float32")
            kc.fit(compiled(), (data, validation), recipe, folder=Path(folder) / "run", verbose=0, callbacks=[clock])

    times = {"model.fit": [], "kerascnn.fit": []}
    for _ in range(turns):
        for name, fit in (("model.fit", plain), ("kerascnn.fit", ours)):
            times[name].append(round(seconds(fit, epochs), 2))
            print(f"{name}\t{times[name][-1]}", file=sys.stderr)
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratio = round(medians["kerascnn.fit"] / medians["model.fit"], 3)
    result({"unit": "s", "epochs": epochs - 1, "images": images, **times, "ratio": ratio, **provenance()})


if __name__ == "__main__":
    run(app)
