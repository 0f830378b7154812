"""The answers of a SavedModel in a session of TensorFlow 1: no Keras call, none of our model code.

    python -m kerascnn.saved_model.load_in_session ANSWERS.npz VERSION

verify_answers says which files it reads in the current folder.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf


def main(answers, version):
    outputs = json.loads(Path("outputs.json").read_text())
    values = {}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session, np.load("inputs.npz") as inputs:
        signatures = tf.compat.v1.saved_model.load(session, ["serve"], version).signature_def
        for name, array in inputs.items():
            (source,) = signatures[name].inputs.values()
            values[name] = session.run(signatures[name].outputs[outputs[name]].name, {source.name: array})
    np.savez(answers, **values)


if __name__ == "__main__":
    main(*sys.argv[1:])
