"""Training rate of lenet5 in images per second: kerascnn.training.fit, plain Keras and eager PyTorch side by side.

    python benchmarks/training_rate.py [--repeats 5] [--batch-size 128]

Every contender trains the same network with the same batch size, SGD with Nesterov momentum, and the same 30,000
images, on the same two cores, in a process of its own. Rounds are interleaved, so that a busy machine slows all alike.
The first epoch of a process is not timed: there TensorFlow traces and both libraries fill their caches.

    fit        kerascnn.training.fit, by the rate that its history.csv records
    keras      model.compile and model.fit with their defaults on a shuffled, cached, prefetched tf.data pipeline
    pytorch    eager mode, all images in memory as one tensor, indexed by a random permutation: no DataLoader to wait
               for, and no accuracy to compute, which the other two do; the faster of one thread and two

A figure counts only from an idle machine: PyTorch's two threads wait for each other at every layer, and with another
process on one of the cores they became 50 times slower than one thread. So the start waits up to five minutes for the
load to fall, and the load is printed too.

Pixels are random, since a rate does not depend on what they show. PyTorch is no dependency of the package; it is
installed apart, in .venv-bench. stdout: one JSON object on one line; stderr: the rounds as they finish.
"""

# The other benchmarks take Cyclopts; this one also runs in PyTorch's environment, which has none.
import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from contenders import ROOT, measured, two_idle_cores

PARAMETERS = 61_706
TIMED_EPOCHS = 2


def examples():
    """Images uint8 (30000, 28, 28, 1) and labels int32 (30000,)."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (30_000, 28, 28, 1), dtype=np.uint8), rng.integers(0, 10, 30_000).astype(np.int32)


def fit_rate(batch_size):
    """Images per second of kerascnn.training.fit."""
    import csv

    import keras

    from kerascnn.datasets import Examples
    from kerascnn.models import builder
    from kerascnn.training.fit import fit
    from kerascnn.training.recipe import Recipe

    images, labels = examples()
    recipe = Recipe(
        epochs=1 + TIMED_EPOCHS, batch_size=batch_size, optimizer="sgd", learning_rate=0.01, schedule="constant"
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    with tempfile.TemporaryDirectory() as folder:
        model, data = builder("lenet5")(), (Examples(images, labels), Examples(images[:500], labels[:500]))
        fit(model, data, recipe, folder=folder, loss=loss, metrics=[accuracy])
        with open(Path(folder) / "history.csv", newline="") as file:
            rates = [float(row["images_per_second"]) for row in csv.DictReader(file)]
    assert model.count_params() == PARAMETERS
    return statistics.median(rates[1:])


def keras_rate(batch_size):
    """Images per second of compile and fit as the Keras documentation writes them."""
    import keras
    import tensorflow as tf

    from kerascnn.models import builder

    class Clock(keras.callbacks.Callback):
        seconds = []

        def on_epoch_begin(self, epoch, logs=None):
            self.started = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.seconds.append(time.perf_counter() - self.started)

    batches = tf.data.Dataset.from_tensor_slices(examples()).cache().shuffle(30_000)
    batches = batches.batch(batch_size, drop_remainder=True).map(lambda x, y: (tf.cast(x, tf.float32) / 255, y))
    model = builder("lenet5")()
    assert model.count_params() == PARAMETERS
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    clock = Clock()
    model.fit(batches.prefetch(tf.data.AUTOTUNE), epochs=1 + TIMED_EPOCHS, verbose=0, callbacks=[clock])
    return 30_000 // batch_size * batch_size / statistics.median(clock.seconds[1:])


def pytorch_rate(batch_size):
    """Images per second of the same network in eager PyTorch, with as many threads as serve it best."""
    import torch
    from torch import nn

    images, labels = (torch.from_numpy(array) for array in examples())
    images, labels = images.permute(0, 3, 1, 2).contiguous(), labels.long()

    def rate(threads):
        torch.manual_seed(0)
        torch.set_num_threads(threads)
        model = nn.Sequential(
            *(nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten()),
            *(nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)),
        )
        assert sum(weight.numel() for weight in model.parameters()) == PARAMETERS
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
        seconds = []
        for _ in range(1 + TIMED_EPOCHS):
            started = time.perf_counter()
            order = torch.randperm(len(images))
            for indices in order[: len(order) // batch_size * batch_size].split(batch_size):
                loss = nn.functional.cross_entropy(model(images[indices].float() / 255), labels[indices])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            seconds.append(time.perf_counter() - started)
        return len(images) // batch_size * batch_size / statistics.median(seconds[1:])

    return max(rate(threads) for threads in (1, 2))


CONTENDERS = {"fit": fit_rate, "keras": keras_rate, "pytorch": pytorch_rate}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--contender", choices=CONTENDERS, help="measure this one alone, in this process")
    options = parser.parse_args()
    if options.contender:
        print(CONTENDERS[options.contender](options.batch_size))
        return
    load = two_idle_cores()
    rates = {name: [] for name in CONTENDERS}
    for repeat in range(options.repeats):
        for name, found in rates.items():
            printed = measured(__file__, name, "--batch-size", options.batch_size, pytorch=name == "pytorch")
            found.append(float(printed))
            print(f"round {repeat + 1}  {name:8}{found[-1]:10,.0f} images/s", file=sys.stderr, flush=True)
    median = {name: statistics.median(found) for name, found in rates.items()}
    figures = {
        "images_per_second": {name: round(rate) for name, rate in median.items()},
        "fit_over_pytorch": round(median["fit"] / median["pytorch"], 2),
        "fit_over_keras": round(median["fit"] / median["keras"], 2),
        "batch_size": options.batch_size,
        "repeats": options.repeats,
        "load_before": load,
    }
    sys.path.insert(0, str(ROOT))
    from kerascnn.cli.messages import result
    from kerascnn.tensorflow_setup import load_tensorflow

    load_tensorflow()
    from machine import machine

    result({**figures, **machine()})


if __name__ == "__main__":
    main()
