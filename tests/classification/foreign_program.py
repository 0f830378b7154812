"""A program that knows TensorFlow alone asks an exported classifier: python foreign_program.py VERSION IMAGE.

Prints a JSON object: the answer to the image file, the errors that inputs of wrong shapes raise, and whether our
package was imported.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

WRONG = {
    "serving_default": [(28, 28), (1, 28, 28), (1, 28, 28, 2), (1, 28, 28, 1, 1), ()],
    "probabilities": [(1, 2), (1, 28, 28), (1, 28, 28, 3), (1, 32, 32, 1), ()],
    "logits": [(1, 28, 28)],
    "embedding": [(1, 28, 28)],
    "predict_bytes": [(), (1, 1)],
}


def value(shape, dtype):
    return np.full(shape, b"x") if dtype == tf.string else np.zeros(shape, dtype.as_numpy_dtype)


def main(version, file):
    signatures = tf.saved_model.load(version).signatures
    answer = signatures["predict_bytes"](image_bytes=tf.constant([Path(file).read_bytes()]))
    errors = {}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        definitions = tf.compat.v1.saved_model.load(session, ["serve"], version).signature_def
        for name, shapes in WRONG.items():
            (source,) = definitions[name].inputs.values()
            outputs = [output.name for output in definitions[name].outputs.values()]
            for shape in shapes:
                try:
                    session.run(outputs, {source.name: value(shape, tf.as_dtype(source.dtype))})
                except (tf.errors.InvalidArgumentError, ValueError) as error:
                    errors[f"session {name} {shape}"] = type(error).__name__
    for name, shapes in WRONG.items():
        ((argument, spec),) = signatures[name].structured_input_signature[1].items()
        for shape in shapes:
            try:
                signatures[name](**{argument: tf.constant(value(shape, spec.dtype))})
            except (tf.errors.InvalidArgumentError, ValueError) as error:
                errors[f"load {name} {shape}"] = type(error).__name__
    numbers = {name: array.numpy().tolist() for name, array in answer.items() if array.dtype != tf.string}
    print(json.dumps({"answer": numbers, "errors": errors, "own": "kerascnn" in sys.modules}))


if __name__ == "__main__":
    main(*sys.argv[1:])
