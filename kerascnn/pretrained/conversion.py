"""Arrays of published weights in the axes, statistics and names of our builders.

The networks keep their input in [0, 1]: the mean and standard deviation that the weights expect become the layer
`normalize`.

What is changed on the way: PyTorch's kernels (out, in, H, W) turn to (H, W, in, out), its dense kernels (out, in) to
(in, out), with the rows behind a Flatten from channels first to channels last; a first kernel for BGR is turned to RGB;
a bias that we leave out before batch normalization is subtracted from the moving mean; another epsilon is added to the
moving variance.
"""

from typing import NamedTuple

import numpy as np

from kerascnn.errors import InputError, UsageError
from kerascnn.pretrained.names import KERAS, TORCH

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5,) * 3, (0.5,) * 3  # what is left of torchvision's transform_input, and of TensorFlow's -1 … 1
UNCHANGED = (0.0,) * 3, (1.0,) * 3  # preprocessing is of a whole patient, not of a pixel
CAFFE = tuple(mean / 255 for mean in (123.68, 116.779, 103.939)), (1 / 255,) * 3


class Convention(NamedTuple):
    """How somebody's weights are to be read: names, statistics of the input in [0, 1], order of axes and colours."""

    layers: dict  # {their module: our layer}
    statistics: tuple
    channels_first: bool
    bgr: bool = False
    epsilon: float | None = None


def convention(model, names):
    """The Convention of an array file for `model`, told by its names: Keras's have a slash, PyTorch's dots.

    Raises UsageError when there are no such weights of this network.
    """
    of_keras = any("/" in name for name in names)
    whose, table = ("keras.applications", KERAS) if of_keras else ("PyTorch", TORCH)
    if model.name not in table:
        raise UsageError(f"{whose} weights do not fit {model.name}; they fit {', '.join(sorted(table))}")
    if of_keras:
        return Convention(table[model.name], CAFFE, channels_first=False, bgr=True, epsilon=1.001e-5)
    statistics = {"googlenet_bn": HALF, "inception_v4": HALF, "unet_buda": UNCHANGED}.get(model.name, IMAGENET)
    return Convention(table[model.name], statistics, channels_first=True)


# Their names of a layer's weights, and ours; which one it is decides what the layer has.
PARTS = {
    "weight": ("kernel", "gamma"),
    "bias": ("bias", "beta"),
    "running_mean": ("moving_mean",),
    "running_var": ("moving_variance",),
}


def load_arrays(model, arrays):
    """Put {name: array} of the same network, as torchvision, timm or keras.applications name them, into `model`.

    Raises InputError, before anything is changed, naming the first array that has no place, another shape, with both
    shapes, or values that no weight has, or the first weight for which there is no array; UsageError when such weights
    do not fit this network.
    """
    theirs = convention(model, arrays)
    layers = {layer.name: layer for layer in model.layers}
    weights = {f"{layer.name}/{w.name}": w for layer in model.layers for w in layer.weights if "seed" not in w.name}
    found, folded = {}, {}
    for name, value in arrays.items():
        module, _, part = name.replace("/", ".").rpartition(".")
        if part == "num_batches_tracked" or module.split(".")[0] in ("aux1", "aux2"):
            continue
        value = checked(np.asarray(value), name, part)
        ours = theirs.layers.get(module)
        place = next((f"{ours}/{p}" for p in PARTS.get(part, (part,)) if f"{ours}/{p}" in weights), None)
        mean = f"{ours}_bn/moving_mean"
        if place:
            check_shape(value, name, shape_in_file(weights[place].shape, part, theirs), place, model.name)
            found[place] = arranged(value, layers[ours], part, theirs)
        elif part == "bias" and mean in weights:
            check_shape(value, name, tuple(weights[mean].shape), mean, model.name)
            folded[mean] = value
        else:
            raise InputError(f"{name} has no place in {model.name}; give weights of the same network")
    missing = [place for place in weights if place not in found]
    if missing:
        raise InputError(f"nothing was given for {missing[0]} of {model.name}; give a complete file of this network")
    for place, bias in folded.items():
        found[place] = found[place] - bias
    for place, value in found.items():
        if theirs.epsilon and place.endswith("moving_variance"):
            value = value + (theirs.epsilon - layers[place.split("/")[0]].epsilon)
        weights[place].assign(value)
    if model.input_shape[-1] == len(theirs.statistics[0]):
        set_statistics(model, *theirs.statistics)
    if theirs.bgr:
        first = next(layer.kernel for layer in model.layers if hasattr(layer, "kernel"))
        first.assign(np.asarray(first)[:, :, ::-1])


def checked(value, name, part):
    """The array as float32. Raises InputError unless all of it are finite numbers, and no variance is below 0."""
    if value.dtype.kind not in "fiu":
        raise InputError(f"{name} holds {value.dtype} and no numbers; give a file of weights")
    value = value.astype(np.float32)
    if not np.isfinite(value).all():
        raise InputError(f"{name} holds values that are not finite; give weights of a finished training")
    if part in ("running_var", "moving_variance") and (value < 0).any():
        raise InputError(f"{name} holds a variance below 0; give weights of a finished training")
    return value


def shape_in_file(shape, part, theirs):
    """The shape that an array of theirs has for a weight of ours of this shape."""
    if part not in ("weight", "kernel") or not theirs.channels_first:
        return tuple(shape)
    return tuple(shape[axis] for axis in {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[len(shape)])


def check_shape(value, name, shape, place, network):
    """Raise InputError unless the array has this shape; a dense kernel may be stored as a convolution."""
    as_convolution = len(shape) == 2 and value.ndim == 4 and (len(value), value[0].size) == shape
    if value.shape != shape and not as_convolution:
        raise InputError(
            f"{name} of shape {value.shape} does not fit {place} of {network}, for which the file must have {shape}; "
            "give weights of the same network"
        )


def set_statistics(model, mean, std):
    """Make `normalize` the step from [0, 1] to (x - mean) / std, both per channel."""
    normalize = model.get_layer("normalize")
    normalize.scale = [1 / s for s in std]
    normalize.offset = [-m / s for m, s in zip(mean, std, strict=True)]
    # Traced functions have the old numbers in them.
    model.train_function = model.test_function = model.predict_function = None


def arranged(value, layer, part, theirs):
    """A kernel of theirs in our order of axes; every other array as it is."""
    if part not in ("weight", "kernel") or not theirs.channels_first or value.ndim == 1:
        return value
    if len(layer.kernel.shape) == 4:
        return value.transpose(2, 3, 1, 0)
    value = value.reshape(value.shape[0], -1)
    before = layer.input._keras_history.operation
    if type(before).__name__ == "Dropout":
        before = before.input._keras_history.operation
    if type(before).__name__ == "Flatten":
        height, width, channels = before.input.shape[1:]
        value = value.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(value.shape[0], -1)
    return value.T
