"""Which pixels of the image a unit of each layer can see.

A unit sees an interval of pixels along each axis. Units of one layer see intervals of one size, a stride apart, until a
transposed convolution makes neighbours differ: then the intervals repeat after a period. So an axis is kept as one
period of intervals and the way it advances in pixels, and every layer maps one axis to the next; zero padding is seen
like pixels. Where paths join, the field reaches from the leftmost pixel of all to the rightmost (Araujo, Norris & Sim,
"Computing Receptive Fields of Convolutional Neural Networks", Distill, 2019).

Layers that look at all positions at once (dense after flattening, global pooling) see one interval, what all units
before them see within the image. The gate of a Multiply, as in squeeze and excitation, is left out: it only scales
maps, and with it every later unit would be said to see everything.
"""

from math import gcd, lcm
from typing import NamedTuple

from keras import layers

from kerascnn.layers.convolution import GroupedConv2D, ZeroPadShortcut
from kerascnn.layers.lenet import TableConv2D, TrainableSubsampling
from kerascnn.layers.pooling import CeilingMaxPooling2D

EVERYWHERE = (layers.Flatten, layers.Reshape, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
CONVOLUTIONS = (layers.Conv2D, layers.Conv2DTranspose, GroupedConv2D, TableConv2D)
POOLINGS = (layers.MaxPooling2D, layers.AveragePooling2D)


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


def windows(layer):
    """The Windows of a layer along height and width, or None for one whose units see single positions or everything.

    Pads as Keras's "same" does: as little as gives ceil(side / stride) positions, the odd pixel behind.
    """
    if isinstance(layer, layers.ZeroPadding2D):
        return [Window(1, 1, front, behind) for front, behind in layer.padding]
    if isinstance(layer, layers.Cropping2D):
        return [Window(1, 1, -front, -behind) for front, behind in layer.cropping]
    if isinstance(layer, TrainableSubsampling):
        sizes, strides = (2, 2), (2, 2)
    elif isinstance(layer, ZeroPadShortcut):
        sizes, strides = (1, 1), pair(layer.strides)
    elif isinstance(layer, CONVOLUTIONS):
        dilations = pair(getattr(layer, "dilation_rate", 1))
        sizes = [(size - 1) * wide + 1 for size, wide in zip(pair(layer.kernel_size), dilations, strict=True)]
        strides = pair(getattr(layer, "strides", 1))
    elif isinstance(layer, POOLINGS):
        sizes, strides = pair(layer.pool_size), pair(layer.strides)
    else:
        return None
    sides = zip(sizes, strides, layer.input.shape[1:3], layer.output.shape[1:3], strict=True)
    return [padded(layer, *side) for side in sides]


def pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def padded(layer, size, stride, before, after):
    """The Window of this size and stride that makes `after` positions of `before`."""
    same = getattr(layer, "padding", "valid") == "same"
    if isinstance(layer, layers.Conv2DTranspose):
        total = max(size - stride, 0) if same else 0
        return Window(size, stride, total // 2, total - total // 2, transposed=True)
    total = max((after - 1) * stride + size - before, 0) if same else 0
    over = max((after - 1) * stride + size - before, 0) if isinstance(layer, CeilingMaxPooling2D) else 0
    return Window(size, stride, total // 2, total - total // 2 + over)


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
    """{layer name: (Axis of the height, Axis of the width)} of a functional model of pictures (H, W, C), both known."""
    by_tensor, by_name = {}, {}
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            field = (Axis((0,), (0,), 1),) * 2
        else:
            inputs = layer.input if isinstance(layer.input, list) else [layer.input]
            field = field_of(layer, [by_tensor[id(tensor)] for tensor in inputs], model.input_shape[1:3])
        by_tensor[id(layer.output)] = by_name[layer.name] = field
    return by_name


def field_of(layer, before, sides):
    """The two Axes of a layer, given those of the layers before it and the sides of the image."""
    if isinstance(layer, layers.Multiply):
        before = [field for field in before if field[0].advance] or before
    field = tuple(joined(axes) if len(axes) > 1 else axes[0] for axes in zip(*before, strict=True))
    if isinstance(layer, EVERYWHERE):
        if len(layer.input.shape) < 4:
            return field
        positions = layer.input.shape[1:3]
        return tuple(seen_by_all(*given) for given in zip(field, positions, sides, strict=True))
    moves = windows(layer)
    return field if moves is None else tuple(map(seen_through, field, moves))
