"""The answers of a SavedModel to a program that makes no Keras call and knows none of our model code.

    python -m kerascnn.saved_model.consumer VERSION

It reads the SavedModel in two ways: with tf.saved_model.load, into `saved_model.npz`, and in a session of TensorFlow 1,
into `session.npz`. verify_answers says which files it finds in the current folder.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.modules.setdefault("keras", None)  # TensorFlow imports it where it can
import tensorflow as tf  # noqa: E402


def main(version):
    outputs = json.loads(Path("outputs.json").read_text())
    with np.load("inputs.npz") as stored:
        inputs = dict(stored)
    np.savez("saved_model.npz", **dict(with_signatures(version, inputs, outputs)))
    np.savez("session.npz", **dict(in_session(version, inputs, outputs)))


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
