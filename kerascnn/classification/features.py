"""What the layers of a network answer to images: features, by the names of layers."""

import difflib

import keras
import numpy as np

from kerascnn.classification.inference import answers_to
from kerascnn.errors import UsageError


def extract_features(model, examples, layers=("embedding",), preprocess=None):
    """({layer: features float32 (N, …)}, labels int (N,), whether its weight is above 0 bool (N,)) of each example.

        features, labels, counted = extract_features(model, data.test, ["stage1_block1_relu", "embedding"])
        features["embedding"].shape  # (N, 64)

    model: a built keras.Model; batch normalization and dropout are as in inference. examples: Examples, ImageFiles or a
    tf.data.Dataset of batches with labels. layers: as feature_model takes them. preprocess: as evaluation_batches takes
    it. All features are held in memory.
    """
    network = feature_model(model, [layers] if isinstance(layers, str) else layers)
    answers, labels, counted = answers_to(examples, lambda images: network(images, training=False), preprocess)
    features = {
        name: np.concatenate([answer[name].astype(np.float32, copy=False) for answer in answers]) for name in answers[0]
    }
    return features, labels, counted


def feature_model(model, layers):
    """A keras.Model from the images of `model` to {name: output of that layer}; it shares the layers.

    layers: names of layers, of those inside of nested models, too, to any depth; `model/layer` where several nested
    models have a layer of that name. Raises UsageError for another name.
    """
    known = outputs_of(model)
    chosen = {}
    for name in layers:
        fitting = [path for path in known if path == name] or [path for path in known if path.endswith(f"/{name}")]
        if len(fitting) != 1:
            words = f"layer is {name!r}, and {model.name} has no layer of that name"
            close = difflib.get_close_matches(name, [path.rpartition("/")[2] for path in known], cutoff=0)
            if fitting:
                words, close = f"layer is {name!r}, and {model.name} has {len(fitting)} of that name", fitting
            raise UsageError(f"{words}; choose one of {', '.join(close)}", argument="layer")
        chosen[name] = known[fitting[0]]()
    return keras.Model(model.inputs, chosen, name=f"{model.name}_features")


def outputs_of(model, prefix=""):
    """{path: a function that makes the output of that layer}, in order; a path is `layer`, or `model/layer`."""
    found = {}
    for layer in model.layers:
        found[f"{prefix}{layer.name}"] = lambda layer=layer: output_tensor(model, layer)
        if isinstance(layer, keras.Model) and layer.layers:
            for path, inner in outputs_of(layer, f"{prefix}{layer.name}/").items():
                found[path] = lambda layer=layer, inner=inner: keras.Model(layer.inputs, inner())(
                    node_in(model, layer).input_tensors
                )
    return found


def output_tensor(model, layer):
    """What a layer gives within `model`; of a nested model not what it gives within its own graph."""
    (output, *_) = node_in(model, layer).output_tensors
    return output


def node_in(model, layer):
    """The place of a layer, which may have been called in other models, too, in the graph of `model`."""
    levels = getattr(model, "_functional", model)._nodes_by_depth.values()
    return next(node for nodes in levels for node in nodes if node.operation is layer)
