"""The estimate of the memory that training takes against the peak of real training steps.

    python benchmarks/memory_estimate.py [--optimizer adam] [--precision float32] [--names lenet5 --names vgg11]

Each network trains three steps in a process of its own on the CPU, without XLA as kerascnn.training does there. What
is measured is the highest resident memory of that process (VmHWM) less its resident memory before the network was
built; by then a tiny network has trained, so that TensorFlow's libraries and threads are loaded, and the batch lies in
memory. glibc's allocator is left at its defaults. One JSON line on stdout: bytes and measured / estimate. Target: all
within 25 %.
"""

import ctypes
import gc
import json
import re
import subprocess
import sys
from pathlib import Path

from cyclopts import App

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kerascnn.cli.app import run
from kerascnn.cli.messages import note, result
from kerascnn.tensorflow_setup import load_tensorflow

# the input and a batch size at which activations weigh more than the libraries' own memory
NETWORKS = {
    "lenet5": ((28, 28, 1), 4096),
    "alexnet_2014": ((224, 224, 3), 64),
    "vgg11": ((128, 128, 3), 16),
    "resnet18": ((128, 128, 3), 32),
    "googlenet": ((128, 128, 3), 32),
    "unet": ((128, 128, 3), 4),
    "airbench": ((32, 32, 3), 500),
}

app = App(help=__doc__, result_action="return_value")


@app.default
def main(*, names: tuple[str, ...] = tuple(NETWORKS), optimizer: str = "adam", precision: str = "float32"):
    figures = {}
    for name in names:
        command = [sys.executable, __file__, "measure", name, optimizer, precision]
        figures[name] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        note(f"{name}: {figures[name]}")
    load_tensorflow()
    from kerascnn.provenance import provenance

    errors = [abs(figure["measured_over_estimate"] - 1) for figure in figures.values()]
    setting = {"optimizer": optimizer, "precision": precision}
    result({**setting, "worst": round(max(errors), 3), "networks": figures, **provenance()})


@app.command
def measure(name: str, optimizer: str, precision: str, *, batch_size: int | None = None):
    """The figures of one network, measured in this process."""
    load_tensorflow()
    import keras
    import numpy as np

    from kerascnn.analysis.memory import estimate_memory
    from kerascnn.analysis.summary import symbolic_model
    from kerascnn.models import builder

    shape, usual = NETWORKS[name]
    batch_size = batch_size or usual
    keras.config.set_dtype_policy(precision)
    expected = estimate_memory(symbolic_model(name, shape), batch_size, optimizer)
    train(builder("simple_cnn")((28, 28, 1), 10), np.zeros((2, 28, 28, 1), np.float32), optimizer)
    images = np.random.default_rng(0).random((batch_size, *shape), dtype=np.float32)
    keras.utils.clear_session()
    keras.config.set_dtype_policy(precision)
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = resident("VmRSS")
    train(builder(name)(shape), images, optimizer)
    measured = resident("VmHWM") - before
    figures = {"input": shape, "batch_size": batch_size, "estimate": expected["total"], "measured": measured}
    result({**figures, "measured_over_estimate": round(measured / expected["total"], 3)})


def train(model, images, optimizer):
    """Three steps of the model on the images (B, H, W, C)."""
    import keras
    import numpy as np

    from kerascnn.training.fused_normalization import fused_normalization
    from kerascnn.training.optimizers import create_optimizer
    from kerascnn.training.recipe import Recipe

    if len(model.output.shape) == 2:
        loss, labels = keras.losses.SparseCategoricalCrossentropy(from_logits=True), np.zeros(len(images), np.int32)
    else:
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        labels = np.zeros((len(images), *model.output.shape[1:]), np.float32)
    recipe = Recipe(optimizer=optimizer, schedule="constant")
    model.compile(optimizer=create_optimizer(recipe, 1), loss=loss, jit_compile=False)
    with fused_normalization(model):
        for _ in range(3):
            model.train_on_batch(images, labels)


def resident(key):
    """Bytes of this process's memory that /proc/self/status gives under `key`."""
    return 1024 * int(re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


if __name__ == "__main__":
    run(app)
