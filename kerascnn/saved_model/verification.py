"""Whether other programs answer a SavedModel as Keras answers the network: three fresh processes, one of them Keras."""

import os
import subprocess
import sys

import keras
import numpy as np

# Programs that answer inputs.npz in a process of their own. One of REFERENCES, which know Keras and our code, gives
# what the others are compared with; those import TensorFlow alone. Each writes, by signature, the output whose name
# begins with `probabilit` to <its name>.npz.
REFERENCES = {
    "classifier": """
import importlib, sys, keras, numpy as np
for module in sys.argv[2:]:
    importlib.import_module(module)
model = keras.saving.load_model("model.keras")
inputs = np.load("inputs.npz")
logits = model.predict(inputs["probabilities"], verbose=0)
np.savez("keras.npz", **dict.fromkeys(inputs, keras.ops.softmax(logits)))
""",
    "segmenter": """
import importlib, json, sys, keras, numpy as np, tensorflow as tf
for module in sys.argv[2:]:
    importlib.import_module(module)
from kerascnn.segmentation.inference import network_probabilities, probabilities
model = keras.saving.load_model("model.keras")
inputs = np.load("inputs.npz")
side, mirror = model.input_shape[1], json.load(open("mirror.json"))
def maps(volumes):
    return np.stack([probabilities(model, tf.constant(volume), side, mirror) for volume in volumes])
answers = {"probabilities": network_probabilities(model, inputs["probabilities"], mirror)}
answers["serving_default"] = maps(inputs["serving_default"][:, np.newaxis])[:, 0]
answers["predict_volume"] = maps(inputs["predict_volume"])
if "predict_bytes" in inputs:
    answers["predict_bytes"] = answers["serving_default"]
np.savez("keras.npz", **answers)
""",
}
CONSUMERS = {
    "saved_model": """
import sys, numpy as np, tensorflow as tf
signatures = tf.saved_model.load(sys.argv[1]).signatures
answers = {}
for name, value in np.load("inputs.npz").items():
    (key,) = signatures[name].structured_input_signature[1]
    outputs = signatures[name](**{key: tf.constant(value)})
    answers[name] = next(value for key, value in outputs.items() if key.startswith("probabilit")).numpy()
np.savez("saved_model.npz", **answers)
""",
    "session": """
import sys, numpy as np, tensorflow as tf
answers = {}
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    signatures = tf.compat.v1.saved_model.load(session, ["serve"], sys.argv[1]).signature_def
    for name, value in np.load("inputs.npz").items():
        (source,) = signatures[name].inputs.values()
        (output,) = (value for key, value in signatures[name].outputs.items() if key.startswith("probabilit"))
        answers[name] = session.run(output.name, {source.name: value})
np.savez("session.npz", **answers)
""",
}


def parity(reference, network, version, work, inputs):
    """How far each consumer's probabilities lie from Keras's at most, over every signature that gives them.

    reference: a key of REFERENCES. inputs: {signature: array} of the signatures to compare. Raises RuntimeError when a
    consumer fails or differs by more than 1e-5.
    """
    network.save(work / "model.keras")
    np.savez(work / "inputs.npz", **inputs)
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
        for name, program in {"keras": REFERENCES[reference], **CONSUMERS}.items()
    }
    complaints = {name: process.communicate()[1] for name, process in running.items()}
    for name, process in running.items():
        if process.returncode:
            raise RuntimeError(f"{name} cannot answer the exported model:\n{complaints[name][-2000:]}")
    expected = np.load(work / "keras.npz")
    answers = {name: np.load(work / f"{name}.npz") for name in CONSUMERS}
    differences = {
        # np.max lets nan through, as max does not
        name: float(np.max([np.abs(answer[signature] - expected[signature]).max() for signature in inputs]))
        for name, answer in answers.items()
    }
    for name, difference in differences.items():
        if not difference <= 1e-5:
            raise RuntimeError(f"{name} differs from Keras by {difference} in a probability, more than 1e-5")
    return differences
