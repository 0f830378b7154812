"""Whether another program answers a SavedModel as Keras answers the network.

The other program is a fresh process, saved_model/consumer.py, which imports TensorFlow alone and reads the SavedModel
in two ways. It is run in a folder that holds `inputs.npz`, an array by signature, and `outputs.json`, the output of
each signature that is compared, and leaves its answers there, by signature too: `saved_model.npz` and `session.npz`.
"""

import os
import subprocess
import sys

import numpy as np

from kerascnn.errors import UsageError
from kerascnn.files import raise_if_disk_full, write_json

CONSUMER = "kerascnn.saved_model.consumer"
WAYS = ("saved_model", "session")
ON_EXAMPLES = 1e-5  # of probabilities
ON_NOISE = 1e-4  # logits of random images may be so large that rounding alone is more than 1e-5


def check_examples(examples, channels):
    """Raise UsageError unless these are images as a client sends them, of one of the numbers of channels."""
    shape, dtype = np.shape(examples), getattr(examples, "dtype", type(examples).__name__)
    if dtype != np.uint8 or len(shape) != 4 or not all(shape) or shape[3] not in channels:
        *most, last = map(str, channels)
        allowed = f"{', '.join(most)} or {last}" if most else last
        words = f"examples is {dtype} of shape {shape}; give uint8 (N, H, W, C) with {allowed} channels"
        raise UsageError(words, argument="examples")


def verify_answers(version, work, inputs, outputs, expected, tolerance=ON_EXAMPLES):
    """{way: the largest difference between its answers and `expected`}, over every signature in `inputs`.

    version: the SavedModel's folder. work: a folder for scratch files. inputs: {signature: array}. outputs: {signature:
    name of its output to compare}. expected: {signature: array}, what Keras answers on the CPU; on a GPU, TF32 differs
    by more than 1e-5. Raises RuntimeError when the process fails or an answer differs by more than `tolerance`, and
    OSError where the disk is full.
    """
    np.savez(work / "inputs.npz", **inputs)
    write_json(work / "outputs.json", outputs)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path),
        "CUDA_VISIBLE_DEVICES": "-1",  # this process holds the GPU's memory
    }
    ran = subprocess.run(
        [sys.executable, "-m", CONSUMER, os.path.abspath(version)],
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise_if_disk_full(ran.stderr)
        raise RuntimeError(f"a program without Keras cannot answer the exported model:\n{ran.stderr[-2000:]}")
    differences = {}
    for way in WAYS:
        with np.load(work / f"{way}.npz") as answers:
            # np.max lets nan through, as max does not
            largest = np.max([np.abs(answers[signature] - expected[signature]).max() for signature in inputs])
        differences[way] = float(largest)
        if not largest <= tolerance:
            raise RuntimeError(f"{way} differs from Keras by {largest} in a probability, more than {tolerance}")
    return differences
