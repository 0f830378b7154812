"""Whether another program answers a SavedModel as Keras answers the network: two fresh processes, one of them Keras.

Each is a module run with `python -m` in a folder that holds `inputs.npz`, an array by signature, and writes answers, by
signature too. The reference knows Keras and our code: it loads `model.keras` and gives the answers that the others are
compared with, `keras.npz`. The consumer imports TensorFlow alone and reads the SavedModel in two ways, which give
`saved_model.npz` and `session.npz`; `outputs.json` says which output of each signature is compared.
"""

import importlib
import os
import subprocess
import sys

import keras
import numpy as np

from kerascnn.files import write_json
from kerascnn.tensorflow_setup import load_tensorflow

CONSUMER = "kerascnn.saved_model.consumer"
WAYS = ("saved_model", "session")


def verify_answers(reference, network, version, work, inputs, outputs):
    """{way: the largest difference between its answers and those of Keras}, over every signature in `inputs`.

    reference: the name of a module that ends in write_reference. network: the keras.Model. version: the SavedModel's
    folder. work: a folder for scratch files. inputs: {signature: array}. outputs: {signature: name of its output to
    compare}. Raises RuntimeError when a process fails or an answer differs by more than 1e-5.
    """
    network.save(work / "model.keras")
    np.savez(work / "inputs.npz", **inputs)
    write_json(work / "outputs.json", outputs)
    config = network.to_json()
    modules = {value.__module__ for name, value in keras.saving.get_custom_objects().items() if name in config}
    programs = {"Keras": (reference, *modules), "a program without Keras": (CONSUMER, os.path.abspath(version))}
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path),
        "CUDA_VISIBLE_DEVICES": "-1",  # this process holds the GPU's memory, and TF32 differs by more than 1e-5
    }
    running = {
        name: subprocess.Popen(
            [sys.executable, "-m", *program],
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, program in programs.items()
    }
    complaints = {name: process.communicate()[1] for name, process in running.items()}
    for name, process in running.items():
        if process.returncode:
            raise RuntimeError(f"{name} cannot answer the exported model:\n{complaints[name][-2000:]}")
    expected = read_arrays(work / "keras.npz")
    answers = {way: read_arrays(work / f"{way}.npz") for way in WAYS}
    differences = {
        # np.max lets nan through, as max does not
        way: float(np.max([np.abs(answer[signature] - expected[signature]).max() for signature in inputs]))
        for way, answer in answers.items()
    }
    for way, difference in differences.items():
        if not difference <= 1e-5:
            raise RuntimeError(f"{way} differs from Keras by {difference} in a probability, more than 1e-5")
    return differences


def write_reference(answer):
    """What a reference module does: write answer(model, inputs) -> {signature: array} of the files in this folder.

    Its arguments are modules, whose import registers classes that the model needs.
    """
    load_tensorflow()
    for module in sys.argv[1:]:
        importlib.import_module(module)
    np.savez("keras.npz", **answer(keras.saving.load_model("model.keras"), read_arrays("inputs.npz")))


def read_arrays(path):
    """The arrays in an .npz file, by name."""
    with np.load(path) as arrays:
        return dict(arrays)
