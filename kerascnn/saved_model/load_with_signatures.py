"""The answers of a SavedModel that tf.saved_model.load reads: no Keras call, none of our model code.

    python -m kerascnn.saved_model.load_with_signatures ANSWERS.npz VERSION

verify_answers says which files it reads in the current folder.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf


def main(answers, version):
    signatures = tf.saved_model.load(version).signatures
    outputs = json.loads(Path("outputs.json").read_text())
    values = {}
    with np.load("inputs.npz") as inputs:
        for name, array in inputs.items():
            (argument,) = signatures[name].structured_input_signature[1]
            values[name] = signatures[name](**{argument: tf.constant(array)})[outputs[name]].numpy()
    np.savez(answers, **values)


if __name__ == "__main__":
    main(*sys.argv[1:])
