"""How much memory training a network takes: an estimate from its layers, for TensorFlow without XLA.

Kept during a whole step: parameters, their gradients and the optimizer's slots, in float32. Kept from the forward pass
to the layer's turn in the backward pass, in the type of the activations: what the gradient of a layer is computed from.
That is the input of layers with weights and of batch normalization, the output of activations (of SiLU, GELU and Mish
the input), both of maximum pooling, a bit (here a byte) per number of dropout, both factors of a product, and four
tensors of response normalization. A tensor that two layers need is there once. The backward pass frees them from the
last layer to the first, while it holds the gradients of the activations it is about; the estimate is the highest point
of that.

Two more parts were measured and not derived: what the optimizer's formula holds besides its slots, and what TensorFlow
keeps of a traced network. benchmarks/memory_estimate.py compares the whole with the peak of real training steps on a
CPU, with which the two were fitted. Half precision on a CPU takes a quarter more than estimated (ResNet-18, one run).
On a GPU nothing was measured, and cuDNN's workspaces are not in it; nor are the copies of grouped convolutions. Where
layers are frozen, those in front of the first that trains keep nothing.

What a layer keeps stands in KEPT, by its exact type; another one raises.
"""

import math

import keras
from keras import layers

from kerascnn.errors import UsageError
from kerascnn.layers.convolution import GroupedConv2D, ReflectPadding2D, ZeroPadShortcut
from kerascnn.layers.lenet import CodeDistance, TableConv2D, TrainableSubsampling
from kerascnn.layers.normalization import LocalResponseNormalization
from kerascnn.layers.pooling import CeilingMaxPooling2D

OF_INPUT = (keras.activations.silu, keras.activations.gelu, keras.activations.mish)  # their gradient is
CONVOLUTIONS = (layers.Conv2D, layers.Conv2DTranspose, GroupedConv2D, TableConv2D)
# Numbers per parameter, with momentum for sgd and rmsprop. Updates hold as many intermediate results, all at once.
SLOTS = {"sgd": 1, "adam": 2, "adamw": 2, "adagrad": 1, "rmsprop": 2, "muon": 1}
GRAPH_OF_LAYER = 2**20
LARGEST_BATCH = 2**20
SIZES = {"float32": 4, "bfloat16": 2, "float16": 2, "bool": 1}


def estimate_memory(model, batch_size, optimizer):
    """{"total": bytes, "parts": {name: bytes}} that training `model` takes at its peak, the program itself apart.

    model: functional, built under the dtype policy it would be trained with; its input shape is known. batch_size:
    images per step. optimizer: a key of SLOTS. The parts add up to the total.
    """
    parts = {**constant_parts(model, optimizer), "activations": batch_size * activation_peak(model)}
    return {"total": sum(parts.values()), "parts": parts}


def constant_parts(model, optimizer):
    """{name: bytes} of what does not grow with the batch; `update` holds half-precision copies of the weights, too."""
    trained = sum(number_of_bytes(weight.shape, "float32") for weight in model.trainable_weights)
    others = sum(number_of_bytes(weight.shape, "float32") for weight in model.non_trainable_weights)
    halves = sum(
        number_of_bytes(weight.shape, layer.compute_dtype)
        for layer in model.layers
        for weight in layer.trainable_weights
        if layer.compute_dtype != "float32"
    )
    return {
        "parameters": trained + others,
        "gradients": trained,
        "optimizer": SLOTS[optimizer] * trained,
        "update": SLOTS[optimizer] * trained + halves,
        "graph": GRAPH_OF_LAYER * len(model.layers),
    }


def largest_batch(model, optimizer, memory):
    """The largest batch size whose estimate is at most `memory` bytes; 0 if not even one image fits."""
    left = memory - sum(constant_parts(model, optimizer).values())
    return max(0, min(left // activation_peak(model), LARGEST_BATCH))


def number_of_bytes(shape, dtype):
    """Bytes of a tensor, a batch dimension of None left out."""
    return math.prod(side for side in shape if side is not None) * SIZES[dtype]


def size_of(tensor):
    return number_of_bytes(tensor.shape, tensor.dtype)


def to_train(layer):
    """The input, of which the gradient of the weights is computed."""
    return [layer.input] if layer.trainable_weights else []


# What the gradient of a layer is computed from, its activation's apart: tensors of the network, and bytes an image of
# what the layer has for itself.
KEPT = {
    **dict.fromkeys((*CONVOLUTIONS, layers.Dense, layers.BatchNormalization), lambda layer: (to_train(layer), 0)),
    TrainableSubsampling: lambda layer: (to_train(layer), size_of(layer.output)),  # the sums
    layers.Multiply: lambda layer: (layer.input, 0),
    layers.ReLU: lambda layer: ([layer.output], 0),
    **dict.fromkeys((layers.MaxPooling2D, layers.GlobalMaxPooling2D), lambda layer: ([layer.input, layer.output], 0)),
    CeilingMaxPooling2D: lambda layer: ([layer.input, layer.output], size_of(layer.input)),  # the padded input
    layers.Dropout: lambda layer: ([], number_of_bytes(layer.output.shape, "bool")),
    LocalResponseNormalization: lambda layer: ([layer.input], 3 * size_of(layer.output)),  # sums, power and logarithm
    **dict.fromkeys(
        (
            *(layers.Activation, layers.Add, layers.Concatenate, layers.Rescaling, layers.Flatten, layers.Reshape),
            *(layers.ZeroPadding2D, layers.Cropping2D, ReflectPadding2D, ZeroPadShortcut),
            *(layers.AveragePooling2D, layers.GlobalAveragePooling2D),
            CodeDistance,  # a few hundred numbers
        ),
        lambda layer: ([], 0),
    ),
}


def kept_for_gradient(layer):
    """{key: bytes an image} of the tensors that the gradient of this layer is computed from.

    Tensors of the network have their id as key, what the layer has for itself its name. Raises UsageError for a layer
    that is not in KEPT.
    """
    kind = type(layer)
    if kind not in KEPT:
        raise UsageError(
            f"model has a layer {layer.name}, a {kind.__name__}, and what it keeps for its gradient is not known; "
            f"add {kind.__name__} to KEPT in kerascnn.analysis.memory"
        )
    tensors, own = KEPT[kind](layer)
    activation = getattr(layer, "activation", None)
    if activation in OF_INPUT and isinstance(layer, layers.Activation):
        tensors = [*tensors, layer.input]
    elif activation in OF_INPUT:
        own += size_of(layer.output)  # what goes into it, inside of the layer
    elif activation not in (None, keras.activations.linear):
        tensors = [*tensors, layer.output]
    return {**{id(tensor): size_of(tensor) for tensor in tensors}, layer.name: own}


def activation_peak(model):
    """Bytes an image of the kept tensors and gradients at the highest point of the backward pass.

    That ends at the first layer that trains. Of a layer before it, input and output are there while it is computed.
    """
    order = [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]
    first = next((place for place, layer in enumerate(order) if layer.trainable_weights), len(order))
    passed = [sum(map(size_of, keras.tree.flatten([layer.input, layer.output]))) for layer in order[:first]]
    kept, order = [kept_for_gradient(layer) for layer in order][first:], order[first:]
    needed_last = {}
    for step, tensors in enumerate(kept):
        for key, size in tensors.items():
            needed_last.setdefault(key, (step, size))
    alive = sum(size for _, size in needed_last.values())
    gradients, peak = {}, max([alive, *passed])
    for step in reversed(range(len(order))):
        layer = order[step]
        gradients[id(layer.output)] = size_of(layer.output)
        if not isinstance(layer, layers.Rescaling):
            gradients |= {id(tensor): size_of(tensor) for tensor in keras.tree.flatten(layer.input)}
        # oneDNN copies the gradients of a convolution's input and output into its own layout
        copied = size_of(layer.input) + size_of(layer.output) if isinstance(layer, CONVOLUTIONS) else 0
        peak = max(peak, alive + sum(gradients.values()) + copied)
        del gradients[id(layer.output)]
        alive -= sum(size for first, size in needed_last.values() if first == step)
    return peak
