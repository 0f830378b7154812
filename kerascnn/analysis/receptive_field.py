"""Which pixels of the image a unit of each layer can see.

A unit sees an interval of pixels along each axis. Units of one layer see intervals of one size, a stride apart, until a
transposed convolution makes neighbours differ: then the intervals repeat after a period. So an axis is kept as one
period of intervals and the way it advances in pixels, and every layer maps one axis to the next; zero padding is seen
like pixels. Where paths join, the field reaches from the leftmost pixel of all to the rightmost (Araujo, Norris & Sim,
"Computing Receptive Fields of Convolutional Neural Networks", Distill, 2019).

Layers that look at all positions at once (dense after flattening, global pooling) see one interval, what all units
before them see within the image. The gate of a Multiply, as in squeeze and excitation, is left out: it only scales
channels, and with it every later unit would be said to see everything.

What is known of a layer stands in WINDOWS, POINTWISE and EVERYWHERE, by its exact type; another one raises. A layer of
your own is added there: `POINTWISE.add(MyActivation)`.
"""

from math import gcd, lcm
from typing import NamedTuple

from keras import layers, tree

from kerascnn.errors import UsageError
from kerascnn.layers.convolution import FullConv2D, GroupedConv2D, ReflectPadding2D, ZeroPadShortcut
from kerascnn.layers.lenet import CodeDistance, TableConv2D, TrainableSubsampling
from kerascnn.layers.normalization import BatchRenormalization, LocalResponseNormalization
from kerascnn.layers.pooling import CeilingMaxPooling2D, MinPooling2D


class Window(NamedTuple):
    """What a layer does along one axis; padding in front and behind is negative where it crops."""

    size: int
    stride: int
    front: int
    behind: int
    transposed: bool = False

    def inputs(self, position):
        """The first and the last input position that the output at `position` sees; some may lie in the padding."""
        if self.transposed:
            return -((self.size - 1 - position - self.front) // self.stride), (position + self.front) // self.stride
        first = position * self.stride - self.front
        return first, first + self.size - 1


class Axis(NamedTuple):
    """The pixels, left[i] to right[i], that the units 0 to len(left) - 1 see; a period on, `advance` pixels further.

    advance is 0 where all units see the same.
    """

    left: tuple
    right: tuple
    advance: int

    def at(self, position):
        """The first and the last pixel that the unit at `position` sees; some may lie outside the image."""
        periods, phase = divmod(position, len(self.left))
        return self.left[phase] + periods * self.advance, self.right[phase] + periods * self.advance

    @property
    def size(self):
        """Pixels that a unit sees, the most of any phase."""
        return max(right - left + 1 for left, right in zip(self.left, self.right, strict=True))

    @property
    def stride(self):
        """Pixels from one unit's field to the next; None where all see the same."""
        return self.advance / len(self.left) if self.advance else None

    @property
    def centre(self):
        """Where the middle of unit 0's field lies; pixel 0 is the first."""
        return (self.left[0] + self.right[0]) / 2


def sliding(layer, sizes, strides, fronts=(None, None)):
    """The Windows of these sizes and strides, padded by what the sides of the layer's output leave.

    fronts: how much of it lies in front, None for half, the odd pixel behind, as Keras's "same" pads.
    """
    moves = []
    sides = zip(sizes, strides, fronts, layer.input.shape[1:3], layer.output.shape[1:3], strict=True)
    for size, stride, front, before, after in sides:
        total = max((after - 1) * stride + size - before, 0)
        front = total // 2 if front is None else front
        moves.append(Window(size, stride, front, total - front))
    return moves


def convolution(layer):
    return sliding(layer, kernel_sides(layer), pair(getattr(layer, "strides", 1)))


def full_convolution(layer):
    sizes = kernel_sides(layer)
    return sliding(layer, sizes, layer.strides, [size - 1 for size in sizes])


def transposed_convolution(layer):
    moves = []
    for size, stride in zip(kernel_sides(layer), layer.strides, strict=True):
        cut = max(size - stride, 0) if layer.padding == "same" else 0
        moves.append(Window(size, stride, cut // 2, cut - cut // 2, transposed=True))
    return moves


def pooling(layer, **fronts):
    return sliding(layer, layer.pool_size, layer.strides, **fronts)


def kernel_sides(layer):
    """Height and width of a kernel with its holes, where it is dilated."""
    dilations = pair(getattr(layer, "dilation_rate", 1))
    return [(size - 1) * wide + 1 for size, wide in zip(pair(layer.kernel_size), dilations, strict=True)]


def pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


# The Windows along height and width of a layer that slides one over its input.
WINDOWS = {
    **dict.fromkeys((layers.Conv2D, GroupedConv2D, TableConv2D), convolution),
    FullConv2D: full_convolution,
    layers.Conv2DTranspose: transposed_convolution,
    **dict.fromkeys((layers.MaxPooling2D, layers.AveragePooling2D, MinPooling2D), pooling),
    CeilingMaxPooling2D: lambda layer: pooling(layer, fronts=(0, 0)),
    TrainableSubsampling: lambda layer: sliding(layer, (2, 2), (2, 2)),
    ZeroPadShortcut: lambda layer: sliding(layer, (1, 1), pair(layer.strides)),
    layers.ZeroPadding2D: lambda layer: [Window(1, 1, front, behind) for front, behind in layer.padding],
    ReflectPadding2D: lambda layer: [Window(1, 1, layer.margin, layer.margin)] * 2,
    layers.Cropping2D: lambda layer: [Window(1, 1, -front, -behind) for front, behind in layer.cropping],
}
# Those whose units see the input at their own position alone.
POINTWISE = {
    *(layers.InputLayer, layers.Activation, layers.ReLU, layers.Dense, layers.Dropout, layers.Rescaling, CodeDistance),
    *(layers.BatchNormalization, BatchRenormalization, LocalResponseNormalization),
    *(layers.Add, layers.Concatenate, layers.Multiply),
}
# Those whose units see all positions.
EVERYWHERE = {layers.Flatten, layers.Reshape, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D}


def windows(layer):
    """The Windows of a layer along height and width, or None for one whose units see single positions or everything.

    Raises UsageError for a layer of which nothing is known.
    """
    if type(layer) in WINDOWS:
        return WINDOWS[type(layer)](layer)
    if type(layer) in POINTWISE | EVERYWHERE:
        return None
    raise UsageError(
        f"model has a layer {layer.name}, a {type(layer).__name__}, and what a unit of it sees is not known; "
        f"add {type(layer).__name__} to WINDOWS or POINTWISE in kerascnn.analysis.receptive_field"
    )


def seen_through(axis, window):
    """The Axis of a layer with this Window behind a layer with this Axis."""
    phases = len(axis.left)
    if window.transposed:
        period, advance = phases * window.stride, axis.advance
    else:
        period = phases // gcd(phases, window.stride)
        advance = axis.advance * window.stride * period // phases
    spans = [window.inputs(position) for position in range(period)]
    left = tuple(axis.at(first)[0] for first, _ in spans)
    return Axis(left, tuple(axis.at(last)[1] for _, last in spans), advance)


def seen_by_all(axis, positions, side):
    """The Axis of a layer that looks at all `positions` of the one before, in an image with this side."""
    return Axis((max(0, axis.at(0)[0]),), (min(side - 1, axis.at(positions - 1)[1]),), 0)


def joined(axes):
    """The Axis of a layer that sees what any of these see."""
    period = lcm(*(len(axis.left) for axis in axes))
    spans = [[axis.at(position) for axis in axes] for position in range(period)]
    left, right = (tuple(pick(span[end] for span in row) for row in spans) for end, pick in ((0, min), (1, max)))
    if any(axis.advance == 0 for axis in axes):
        return Axis((min(left),), (max(right),), 0)
    return Axis(left, right, axes[0].advance * period // len(axes[0].left))


def receptive_fields(model):
    """{layer name: (Axis of the height, Axis of the width)} of a functional model of images (H, W, C), both known.

    Raises UsageError for a layer of which nothing is known.
    """
    by_tensor, by_name = {}, {}
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            field = (Axis((0,), (0,), 1),) * 2
        else:
            before = [by_tensor[id(tensor)] for tensor in tree.flatten(layer.input)]
            field = field_of(layer, before, model.input_shape[1:3])
        by_tensor[id(layer.output)] = by_name[layer.name] = field
    return by_name


def field_of(layer, before, sides):
    """The two Axes of a layer, given those of the layers before it and the sides of the image."""
    if type(layer) is layers.Multiply:
        before = [field for field in before if field[0].advance] or before
    field = tuple(joined(axes) if len(axes) > 1 else axes[0] for axes in zip(*before, strict=True))
    if type(layer) in EVERYWHERE:
        if len(layer.input.shape) < 4:
            return field
        positions = layer.input.shape[1:3]
        return tuple(seen_by_all(*given) for given in zip(field, positions, sides, strict=True))
    moves = windows(layer)
    return field if moves is None else tuple(map(seen_through, field, moves))
