"""Arrays of published weights in the axes, statistics and names of our builders.

The networks keep their input in [0, 1]: the mean and standard deviation that the weights expect become the layer
`normalize`.

What is changed on the way: PyTorch's kernels (out, in, H, W) turn to (H, W, in, out), its dense kernels (out, in) to
(in, out), with the rows behind a Flatten from channels first to channels last; a first kernel for BGR is turned to RGB;
a bias that we leave out before batch normalization is subtracted from the moving mean; another epsilon is added to the
moving variance.
"""

import bisect
import logging
import math

import keras
import numpy as np

from kerascnn.errors import InputError, UsageError
from kerascnn.model_names import NETWORKS
from kerascnn.pretrained.conventions import convention, mean_and_std, without_prefix

logger = logging.getLogger(__name__)

# Their names of a layer's weights, and ours; which one it is decides what the layer has.
PARTS = {
    "weight": ("kernel", "gamma"),
    "bias": ("bias", "beta"),
    "running_mean": ("moving_mean",),
    "running_var": ("moving_variance",),
}


def load_arrays(model, arrays, statistics="auto"):
    """Put {name: array} of the same network, as torchvision, timm or keras.applications name them, into `model`.

    Returns the names of the layers that keep their own weights: the head, where it has another number of classes.
    Raises InputError, before anything is changed, naming the first array that has no place, another shape, with both
    shapes, or values that no weight has, or the first weight for which there is no array; UsageError when such weights
    or statistics do not fit this network.
    """
    theirs = convention(model, arrays)
    if absent := {"normalize", "logits"} - {layer.name for layer in model.layers}:
        words = f"model {model.name} has no layer {min(absent)}"
        raise UsageError(f"{words}; give a network of kerascnn.models, as resnet50()", argument="model")
    usual = isinstance(statistics, str) and statistics == "auto"
    statistics = theirs.statistics if usual else statistics
    mean, std = mean_and_std(statistics, model.input_shape[-1], model.name)
    arrays = without_prefix(arrays, theirs.layers)
    arrays, fresh, reason = without_other_head(model, arrays, theirs)
    weights = {f"{layer.name}/{w.name}": w for layer in model.layers for w in layer.weights if "seed" not in w.name}
    expected = {place: w for place, w in weights.items() if place.split("/")[0] not in fresh}
    for place, value in converted(model, arrays, theirs, expected).items():
        weights[place].assign(value)
    set_statistics(model, mean, std)
    if isinstance(statistics, str) and statistics == "caffe":  # whose images are BGR
        first = next(layer.kernel for layer in model.layers if hasattr(layer, "kernel"))
        first.assign(np.asarray(first)[:, :, ::-1])
    if fresh:
        logger.warning("%s: %s, so the layer logits keeps its own weights", model.name, reason)
    if usual:
        logger.warning(
            "%s: statistics of the input are %r, as is usual for such a file; if it was trained with others, give them",
            model.name,
            theirs.statistics,
        )
    return fresh


def module_and_part(name):
    """`layer1.0.conv1.weight` → ("layer1.0.conv1", "weight"), of Keras's names too."""
    module, _, part = name.replace("/", ".").rpartition(".")
    return module, part


def without_other_head(model, arrays, theirs):
    """(the arrays, layers without any, why): without those of the head where its number of classes is another."""
    head = {name: value for name, value in arrays.items() if theirs.layers.get(module_and_part(name)[0]) == "logits"}
    if not head:
        return arrays, ["logits"], "the file has no head"
    sizes = {np.shape(value)[:1] if theirs.channels_first else np.shape(value)[-1:] for value in head.values()}
    ours = model.get_layer("logits").bias.shape[0]
    if len(sizes) > 1 or sizes <= {(), (ours,)}:
        return arrays, [], None
    others = {name: value for name, value in arrays.items() if name not in head}
    return others, ["logits"], f"the file has {sizes.pop()[0]} classes and the model {ours}"


def converted(model, arrays, theirs, weights):
    """{our weight: array} for all of `weights`, {layer/weight: variable}. Raises InputError as load_arrays does."""
    found, folded = {}, {}
    for name, value in arrays.items():
        module, part = module_and_part(name)
        if part == "num_batches_tracked" or module.split(".")[0] in ("aux1", "aux2"):
            continue
        value = checked(np.asarray(value), name, part)
        ours = theirs.layers.get(module)
        place = next((f"{ours}/{p}" for p in PARTS.get(part, (part,)) if f"{ours}/{p}" in weights), None)
        mean = f"{ours}_bn/moving_mean"
        if place:
            layer = model.get_layer(ours)
            shape = shape_in_file(weights[place].shape, part, theirs)
            check_input_size(model, layer, name, value, theirs)
            check_shape(value, name, shape, place, model.name)
            found[place] = arranged(value, layer, part, theirs)
        elif part == "bias" and mean in weights:
            check_shape(value, name, tuple(weights[mean].shape), mean, model.name)
            folded[mean] = value
        else:
            raise InputError(f"{name} has no place in {model.name}; give weights of the same network")
    missing = [place for place in weights if place not in found]
    # The most copied code for squeeze and excitation has no biases.
    if missing and all(place.endswith(("_se_reduce/bias", "_se_excite/bias")) for place in missing):
        found |= {place: np.zeros(weights[place].shape, np.float32) for place in missing}
    elif missing:
        raise InputError(f"nothing was given for {missing[0]} of {model.name}; give a complete file of this network")
    for place, bias in folded.items():
        found[place] = found[place] - bias
    if theirs.epsilon:
        for place in found:
            if place.endswith("moving_variance"):
                found[place] = found[place] + (theirs.epsilon - model.get_layer(place.split("/")[0]).epsilon)
    return found


def checked(value, name, part):
    """The array as float32. Raises InputError unless all of it are finite numbers, and no variance is below 0."""
    if value.dtype.kind not in "fiu" and value.dtype.name != "bfloat16":
        raise InputError(f"{name} holds {value.dtype} and no numbers; give a file of weights")
    with np.errstate(over="ignore"):
        value = value.astype(np.float32, copy=False)
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
    as_convolution = len(shape) == 2 and value.ndim == 4 and (len(value), math.prod(value.shape[1:])) == shape
    if value.shape != shape and not as_convolution:
        raise InputError(
            f"{name} of shape {value.shape} does not fit {place} of {network}, for which the file must have {shape}; "
            "give weights of the same network"
        )


def flatten_before(layer):
    """The Flatten whose output the layer takes, perhaps through Dropout; None where there is none."""
    before = layer.input._keras_history.operation
    if isinstance(before, keras.layers.Dropout):
        before = before.input._keras_history.operation
    return before if isinstance(before, keras.layers.Flatten) else None


def check_input_size(model, layer, name, value, theirs):
    """Raise InputError for the kernel of a dense layer behind Flatten that is of another size of images."""
    flatten = flatten_before(layer)
    if value.ndim < 2 or flatten is None:
        return
    height, width, channels = flatten.input.shape[1:]
    rows = math.prod(value.shape[1:]) if theirs.channels_first else len(value)
    side = math.isqrt(rows // channels)
    if rows == height * width * channels or rows != side * side * channels:
        return
    size = input_size(model, flatten, side)
    if size is None:
        return
    _, height, width, channels = model.input_shape
    raise InputError(
        f"{name} of shape {value.shape} is for images of {size} x {size} pixels, and {model.name} was built for "
        f"{height} x {width}; build it for ({size}, {size}, {channels})"
    )


def input_size(model, flatten, side):
    """The side of square images that come to `flatten` as side x side: the published one, the smallest, or None."""
    maps = keras.Model(model.input, flatten.input)
    maps.input_spec = keras.layers.InputSpec(ndim=4)  # any size

    def reached(size):
        try:
            return maps.compute_output_shape((1, size, size, model.input_shape[-1]))[1]
        except ValueError:  # smaller than a kernel
            return 0

    published = NETWORKS[model.name].input_shape[0]
    smallest = bisect.bisect_left(range(4096), side, key=reached)
    return next((size for size in (published, smallest) if reached(size) == side), None)


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
    if flatten := flatten_before(layer):
        height, width, channels = flatten.input.shape[1:]
        value = value.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(value.shape[0], -1)
    return value.T
