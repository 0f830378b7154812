"""Networks made ready for inference: float32, several averaged in one, batch normalization folded into convolutions.

At inference, batch normalization is one scale and one offset per channel, which a convolution can do by itself:
conv(x, K) * s + o = conv(x, K * s) + o with s = gamma / sqrt(variance + epsilon) and o = beta + (bias - mean) * s
(Jacob et al., 2018, arXiv:1712.05877, section 3.2). TensorFlow folds only weights that are constants, which those of a
SavedModel are not.
"""

import keras
import numpy as np

from kerascnn.layers.convolution import GroupedConv2D

CONVOLUTIONS = (keras.layers.Conv2D, GroupedConv2D)


def folded(model):
    """A model of the same outputs, up to rounding, without the batch normalizations that follow a convolution directly.

    model: a Functional model whose weights are final; it is left as it is. Layers keep their names. An ensemble becomes
    one of folded networks; any other model is returned itself when there is nothing to fold.
    """
    if networks := ensemble_of(model):
        return averaged([folded(network) for network in networks], model.name)
    pairs = {before.name: layer for layer in model.layers for before in convolution_before(layer)}
    if not pairs:
        return model
    gone = {norm.name for norm in pairs.values()}

    def copy(layer):
        return made_again(layer, **({"use_bias": True} if layer.name in pairs else {}))

    def call(layer, x, *arguments, **options):
        return x if layer.name in gone else layer(x, *arguments, **options)

    result = keras.models.clone_model(model, clone_function=copy, call_function=call)
    for layer in result.layers:
        if not layer.weights:
            continue
        weights = model.get_layer(layer.name).get_weights()
        layer.set_weights(absorbed(weights, pairs[layer.name]) if layer.name in pairs else weights)
    return with_weights_known(result)


def with_weights_known(model):
    """The model, whose weights were set; a Normalization computes with copies of its own, made on request."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    return model


def made_again(layer, **options):
    """A layer like this one but for some options; itself where it does not say how it is made, as a Lambda."""
    try:
        return type(layer).from_config({**layer.get_config(), **options})
    except (NotImplementedError, TypeError, ValueError):
        return layer


def convolution_before(layer):
    """[the convolution whose output goes into `layer`, a batch normalization, and nowhere else], or []."""
    # a class of its own may compute something else
    if (
        type(layer) is not keras.layers.BatchNormalization
        or layer.axis not in (-1, 3)
        or len(layer._inbound_nodes) != 1
    ):
        return []
    before = layer.input._keras_history.operation
    alone = type(before) in CONVOLUTIONS and len(before._outbound_nodes) == len(before._inbound_nodes) == 1
    linear = alone and getattr(before, "activation", None) in (None, keras.activations.linear)
    return [before] if linear else []


def absorbed(weights, norm):
    """[kernel, bias] of a convolution that does the work of the batch normalization after it, too."""
    kernel, bias = weights if len(weights) == 2 else (weights[0], 0.0)
    mean, variance = (value.numpy().astype(np.float64) for value in (norm.moving_mean, norm.moving_variance))
    scale = 1 / np.sqrt(variance + norm.epsilon)
    if norm.gamma is not None:
        scale = scale * norm.gamma.numpy()
    offset = (bias - mean) * scale + (0.0 if norm.beta is None else norm.beta.numpy())
    return [(kernel * scale).astype(np.float32), offset.astype(np.float32)]


def in_float32(model):
    """The model itself, or a copy that computes in float32: runtimes round half precision differently."""
    if networks := ensemble_of(model):
        return averaged(networks, model.name)
    if all(layer.compute_dtype == "float32" for layer in model._flatten_layers()):
        return model

    def copy(layer):
        return made_again(layer, dtype="float32")

    network = keras.models.clone_model(model, clone_function=copy, recursive=True)
    network.set_weights(model.get_weights())
    return with_weights_known(network)


def averaged(models, name=None):
    """An ensemble: one float32 model, whose logits are the mean of those of `models`, two or more of the same shapes.

    It holds them, or copies of them in float32, as the layers network0, network1, … name: the ensemble's, in place of
    the first network's.
    """
    image = keras.Input(models[0].input_shape[1:], name="image")
    # layers of one model differ in name
    networks = [
        keras.Model(model.input, model.output, name=f"network{i}") for i, model in enumerate(map(in_float32, models))
    ]
    logits = keras.layers.Average(dtype="float32", name="logits")([network(image) for network in networks])
    return keras.Model(image, logits, name=name or models[0].name)


def ensemble_of(model):
    """The networks that `averaged` made `model` of, or []."""
    networks = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    averages = isinstance(model.layers[-1], keras.layers.Average)
    # besides the networks the image and their mean: what averages anything else is no ensemble
    return networks if averages and 1 < len(networks) == len(model.layers) - 2 else []
