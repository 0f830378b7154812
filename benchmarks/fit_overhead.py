"""What kerascnn.fit costs over plain model.fit: the same compiled LeNet-5, the same tf.data batches, by turns.

    python benchmarks/fit_overhead.py

Both train with the same validation data for the same epochs; kerascnn.fit keeps a checkpoint, the history and the best
weights besides. Counted is the whole call but its first epoch, in which both trace the model: seconds, and seconds of
processor, which other work on the machine moves less; each goes first in every second turn. stdout: one JSON object
with both of every turn, the ratio of the medians of each, and the median of the ratios of one turn.
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
    """(seconds, seconds of processor) from the end of the first epoch to the end of the call fit(callback)."""
    import keras

    def clock(epoch=None, logs=None):
        ends.append((time.perf_counter(), time.process_time()))

    ends = []
    fit(keras.callbacks.LambdaCallback(on_epoch_end=clock))
    assert len(ends) == epochs
    clock()
    return [round(last - first, 2) for first, last in zip(ends[0], ends[-1], strict=True)]


@app.default
def main(*, turns: int = 6, epochs: int = 4, images: int = 60_000):
    load_tensorflow()
    import keras
    import numpy as np
    import tensorflow as tf
    from machine import machine

    import kerascnn as kc

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
    for turn in range(turns):
        for name, fit in (("model.fit", plain), ("kerascnn.fit", ours))[:: -1 if turn % 2 else 1]:
            times[name].append(seconds(fit, epochs))
            print(name, *times[name][-1], sep="\t", file=sys.stderr)
    figures = {"unit": "s", "epochs": epochs - 1, "images": images}
    for at, clock in enumerate(("", "processor ")):
        by_name = {name: [pair[at] for pair in pairs] for name, pairs in times.items()}
        figures |= {clock + name: values for name, values in by_name.items()}
        plain_times, our_times = by_name.values()
        figures[clock + "ratio"] = round(statistics.median(our_times) / statistics.median(plain_times), 3)
        ratios = [ours / plain for plain, ours in zip(plain_times, our_times, strict=True)]
        figures[clock + "ratio by turn"] = round(statistics.median(ratios), 3)
    result({**figures, **machine()})


if __name__ == "__main__":
    run(app)
