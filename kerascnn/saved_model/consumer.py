"""The answers of a SavedModel to a program that makes no Keras call and knows none of our model code.

    python -m kerascnn.saved_model.consumer ANSWERS.npz VERSION saved_model|session

saved_model: what tf.saved_model.load reads. session: a session of TensorFlow 1. verify_answers says which files it
reads in the current folder.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf


def main(file, version, kind):
    answers = {"saved_model": with_signatures, "session": in_session}[kind]
    outputs = json.loads(Path("outputs.json").read_text())
    with np.load("inputs.npz") as inputs:
        np.savez(file, **dict(answers(version, inputs, outputs)))


def with_signatures(version, inputs, outputs):
    signatures = tf.saved_model.load(version).signatures
    for name, array in inputs.items():
        (argument,) = signatures[name].structured_input_signature[1]
        yield name, signatures[name](**{argument: tf.constant(array)})[outputs[name]].numpy()


def in_session(version, inputs, outputs):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signatures = tf.compat.v1.saved_model.load(session, ["serve"], version).signature_def
        for name, array in inputs.items():
            (source,) = signatures[name].inputs.values()
            yield name, session.run(signatures[name].outputs[outputs[name]].name, {source.name: array})


if __name__ == "__main__":
    main(*sys.argv[1:])
