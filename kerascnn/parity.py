"""Whether other programs answer a SavedModel as Keras answers the network: three fresh processes, one of them Keras."""

import os
import subprocess
import sys

import keras
import numpy as np

# Programs that answer inputs.npz in a process of their own. `keras` gives what the others are compared with; the other
# two import TensorFlow alone. Each writes the probabilities by signature to <its name>.npz.
CONSUMERS = {
    "keras": """
import importlib, sys, keras, numpy as np
for module in sys.argv[2:]:
    importlib.import_module(module)
model = keras.saving.load_model("model.keras")
logits = model.predict(np.load("inputs.npz")["probabilities"], verbose=0)
np.savez("keras.npz", probabilities=keras.ops.softmax(logits))
""",
    "saved_model": """
import sys, numpy as np, tensorflow as tf
signatures = tf.saved_model.load(sys.argv[1]).signatures
answers = {}
for name, value in np.load("inputs.npz").items():
    (key,) = signatures[name].structured_input_signature[1]
    answers[name] = signatures[name](**{key: tf.constant(value)})["probabilities"].numpy()
np.savez("saved_model.npz", **answers)
""",
    "session": """
import sys, numpy as np, tensorflow as tf
answers = {}
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    signatures = tf.compat.v1.saved_model.load(session, ["serve"], sys.argv[1]).signature_def
    for name, value in np.load("inputs.npz").items():
        (source,) = signatures[name].inputs.values()
        answers[name] = session.run(signatures[name].outputs["probabilities"].name, {source.name: value})
np.savez("session.npz", **answers)
""",
}


def parity(network, version, work, inputs):
    """How far each consumer's probabilities lie from Keras's at most, over every signature that gives them.

    Raises RuntimeError when a consumer fails or differs by more than 1e-5.
    """
    network.save(work / "model.keras")
    compared = ("serving_default", "predict_bytes", "probabilities")
    np.savez(work / "inputs.npz", **{name: inputs[name] for name in compared})
    config = network.to_json()
    modules = {value.__module__ for name, value in keras.saving.get_custom_objects().items() if name in config}
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path),
        "CUDA_VISIBLE_DEVICES": "-1",  # this process holds the GPU's memory, and TF32 differs by more than 1e-5
    }
    running = {
        name: subprocess.Popen(
            [sys.executable, "-c", program, version.name, *modules],
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, program in CONSUMERS.items()
    }
    complaints = {name: process.communicate()[1] for name, process in running.items()}
    for name, process in running.items():
        if process.returncode:
            raise RuntimeError(f"{name} cannot answer the exported model:\n{complaints[name][-2000:]}")
    answers = {name: np.load(work / f"{name}.npz") for name in CONSUMERS}
    expected = answers.pop("keras")["probabilities"]
    differences = {
        name: max(float(np.abs(answer[signature] - expected).max()) for signature in compared)
        for name, answer in answers.items()
    }
    for name, difference in differences.items():
        if not difference <= 1e-5:
            raise RuntimeError(f"{name} differs from Keras by {difference} in a probability, more than 1e-5")
    return differences
