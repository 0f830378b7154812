"""What a network consists of, before it is trained: shapes, sizes, parameters, multiply-adds, receptive fields.

Multiply-adds are those of convolutions and dense layers for one image: one per kernel weight and output position (input
position for a transposed convolution). Biases, normalization, activations and pooling count nothing.
"""

import dataclasses
import math

import keras
from keras import layers

from kerascnn.analysis.memory import CONVOLUTIONS
from kerascnn.analysis.receptive_field import receptive_fields, windows
from kerascnn.errors import UsageError
from kerascnn.models import builder


def symbolic_model(name, input_shape=None, num_classes=None):
    """The network called `name` without values in its variables, so that even the largest is quick and small.

    input_shape: (H, W, C), num_classes: int; None is the builder's default. Keras's names start anew.
    Raises UsageError for an unknown name, and for what the builder does not take.
    """
    build = builder(name)
    given = {"input_shape": input_shape, "num_classes": num_classes}
    given = {key: value for key, value in given.items() if value is not None}
    policy = keras.config.dtype_policy()
    try:
        with keras.StatelessScope(initialize_variables=False):
            return build(**given)
    except UsageError:
        raise
    except ValueError as error:  # of Keras
        words = " and ".join(f"{key} is {value}" for key, value in given.items())
        reason = " ".join(str(error).split())
        raise UsageError(f"{words}, which {name} does not take ({reason}); give another") from error
    finally:
        # Keras would give values to the variables of all symbolic models as soon as it builds an ordinary model.
        keras.utils.clear_session(free_memory=False)
        keras.config.set_dtype_policy(policy)


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One layer for one image; pairs are (height, width) in pixels of the image."""

    layer: str
    kind: str
    shape: tuple
    "Of its output, without the batch."
    activations: int
    "Numbers in its output."
    parameters: int
    "Trainable ones."
    non_trainable_parameters: int
    "Those kept with the model, too."
    multiply_adds: int
    field_size: tuple
    field_stride: tuple
    "None where all units see the same pixels."
    field_centre: tuple
    "Of the unit at position 0; pixel 0 is the first."
    arithmetic: str
    "How its output gets its sides, as (W + 2P - F)/S + 1; empty where they stay the same."


def layer_rows(model):
    """A LayerRow for each layer of a functional model whose input (H, W, C) is known."""
    fields = receptive_fields(model)
    makers = {id(layer.output): layer for layer in model.layers}
    return [
        LayerRow(
            layer.name,
            type(layer).__name__,
            tuple(layer.output.shape[1:]),
            math.prod(layer.output.shape[1:]),
            count(layer.trainable_weights),
            count(layer.non_trainable_weights),
            multiply_adds(layer),
            tuple(axis.size for axis in fields[layer.name]),
            tuple(axis.stride for axis in fields[layer.name]),
            tuple(axis.centre for axis in fields[layer.name]),
            size_arithmetic(layer, makers),
        )
        for layer in model.layers
    ]


def count(weights):
    return sum(math.prod(weight.shape) for weight in weights)


def multiply_adds(layer):
    """Multiply-adds of a layer for one image."""
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    positions = layer.input.shape if isinstance(layer, layers.Conv2DTranspose) else layer.output.shape
    return math.prod(kernel.shape) * math.prod(positions[1:-1])


def size_arithmetic(layer, makers):
    """(W + 2P - F)/S + 1 with the numbers of this layer, the padding layer before it counted in; height x width.

    makers: {id(tensor): the layer that it comes out of}.
    """
    moves = windows(layer)
    if moves is None:
        return ""
    sides, after = layer.input.shape[1:3], layer.output.shape[1:3]
    if isinstance(layer, layers.ZeroPadding2D | layers.Cropping2D):
        texts = [f"{side}{padding(move)} = {to}" for side, move, to in zip(sides, moves, after, strict=True)]
    else:
        before = makers[id(layer.input)]
        while isinstance(before, layers.Rescaling):
            before = makers[id(before.input)]
        if isinstance(before, layers.ZeroPadding2D):
            sides = before.input.shape[1:3]
            moves = [
                move._replace(front=move.front + front, behind=move.behind + behind)
                for move, (front, behind) in zip(moves, before.padding, strict=True)
            ]
        texts = [arithmetic_of(*given) for given in zip(sides, moves, after, strict=True)]
    return texts[0] if texts[0] == texts[1] else "height " + ", width ".join(texts)


def arithmetic_of(side, move, after):
    if move.transposed:
        return f"({side} - 1)*{move.stride} + {move.size}{padding(move, ' - ')} = {after}"
    exact = (side + move.front + move.behind - move.size) / move.stride + 1
    rounded = "" if exact == after else f"{exact:.2f}".rstrip("0") + " -> "
    return f"({side}{padding(move)} - {move.size})/{move.stride} + 1 = {rounded}{after}"


def padding(move, sign=" + "):
    """2P with its sign, or both paddings where they differ."""
    if move.front < 0 or move.behind < 0:
        return padding(move._replace(front=-move.front, behind=-move.behind), " - ")
    return f"{sign}2*{move.front}" if move.front == move.behind else f"{sign}({move.front}+{move.behind})"


def totals(model, rows):
    """What the whole network comes to, as JSON types.

    receptive_field is the largest of the layers whose units see different pixels: that before global pooling or the
    first dense layer. The shares are those of dense layers in all trainable parameters and multiply-adds.
    """
    parameters = sum(row.parameters for row in rows)
    adds = sum(row.multiply_adds for row in rows)
    dense = [row for row in rows if row.kind == "Dense"]
    local = [row for row in rows if None not in row.field_stride]
    return {
        "network": model.name,
        "input": list(model.input_shape[1:]),
        "layers": len(rows),
        "parameters": parameters,
        "non_trainable_parameters": sum(row.non_trainable_parameters for row in rows),
        "multiply_adds": adds,
        "activations": sum(row.activations for row in rows),
        "receptive_field": list(max(row.field_size for row in local)),
        "dense_share_of_parameters": sum(row.parameters for row in dense) / parameters,
        "dense_share_of_multiply_adds": sum(row.multiply_adds for row in dense) / adds,
        "first_convolution": first_convolution(model),
    }


def first_convolution(model):
    """Weights and biases of the first convolution, without weight sharing, and fully connected; None if it has none.

    Fully connected means every unit of its output to every pixel of the image, padding left out.
    """
    layer = next((layer for layer in model.layers if layer.weights), None)
    if not isinstance(layer, CONVOLUTIONS):
        return None
    units = math.prod(layer.output.shape[1:])
    bias = int(layer.use_bias)
    filters = layer.output.shape[-1]
    one_unit = math.prod(layer.kernel.shape) // filters + bias
    return {
        "layer": layer.name,
        "shared": one_unit * filters,
        "not_shared": one_unit * units,
        "fully_connected": (math.prod(model.input_shape[1:]) + bias) * units,
    }
