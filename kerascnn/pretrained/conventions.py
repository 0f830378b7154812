"""Whose weights a file holds, told by its names: which layers they are of, and what they expect of an image."""

from typing import NamedTuple

import numpy as np

from kerascnn.errors import UsageError
from kerascnn.pretrained.names import KERAS, TORCH

# (mean, standard deviation) of images in [0, 1]; a number is for every channel.
STATISTICS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    # The usual ones: standard deviations are means over images; those of all pixels are 0.2470, 0.2435, 0.2616.
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "mnist": (0.1307, 0.3081),
    "half": (0.5, 0.5),  # -1 … 1: of TensorFlow, and what is left of torchvision's transform_input
    "caffe": ((123.68 / 255, 116.779 / 255, 103.939 / 255), 1 / 255),
    None: (0.0, 1.0),
}
USUAL = {
    **dict.fromkeys(("googlenet_bn", "inception_v4"), "half"),
    "unet_buda": None,  # its preprocessing is of a whole patient, not of a pixel
    "lenet5": "mnist",
    "lenet_homework": "half",
}


class Convention(NamedTuple):
    """How somebody's weights are to be read: names, statistics of the input, order of axes."""

    layers: dict  # {their module: our layer}
    statistics: str | None  # a key of STATISTICS
    channels_first: bool
    epsilon: float | None = None


def convention(model, names):
    """The Convention of an array file for `model`, told by its names: Keras's have a slash, PyTorch's dots.

    Raises UsageError when there are no such weights of this network.
    """
    of_keras = any("/" in name for name in names)
    whose, table = ("keras.applications", KERAS) if of_keras else ("PyTorch", TORCH)
    if model.name not in table:
        words = f"model {model.name} takes no weights of {whose}"
        raise UsageError(f"{words}; choose one of {', '.join(sorted(table))}", argument="model")
    layers = table[model.name]
    if of_keras:
        return Convention(layers, "caffe", channels_first=False, epsilon=1.001e-5)
    usual = USUAL.get(model.name, "imagenet")
    # Of the CIFAR networks, akamaster's files call the head `linear` and had ImageNet's statistics.
    if "linear" in layers and not any(name.endswith("linear.weight") for name in names):
        usual = "cifar10"
    return Convention(layers, usual, channels_first=True)


def usual_resize(name, image_size):
    """How photos are resized where published weights of the network `name` are measured: crop_ratio, interpolation.

    torchvision's and timm's settings of the weights that `convention` knows; image_size: the pixels of a side.
    """
    kernel = "bicubic" if name == "inception_v4" else "bilinear"
    return {"crop_ratio": 224 / 256 if image_size > 64 else 1.0, "interpolation": kernel}


def without_prefix(arrays, modules):
    """The arrays without what all names begin with (`module.`, `model.`, …), if names of `modules` are behind it."""
    # torch.optim.swa_utils.AveragedModel counts beside the network
    arrays = short = {name: value for name, value in arrays.items() if name != "n_averaged"}
    while not any(name.rpartition(".")[0] in modules for name in short):
        if len({name.partition(".")[0] for name in short}) != 1 or not all("." in name for name in short):
            return arrays
        short = {name.partition(".")[2]: value for name, value in short.items()}
    return short


def mean_and_std(statistics, channels, network):
    """(mean, standard deviation), lists of one number a channel, of a key of STATISTICS or such a pair.

    Raises UsageError for anything else.
    """
    pair = statistics
    if statistics is None or isinstance(statistics, str):
        if statistics not in STATISTICS:
            names = ", ".join(map(repr, STATISTICS))
            raise UsageError(
                f"statistics is {statistics!r}; choose one of {names}, or (mean, std)", argument="statistics"
            )
        pair = STATISTICS[statistics]
    try:
        mean, std = (np.broadcast_to(np.asarray(values, np.float64), (channels,)) for values in pair)
    except (TypeError, ValueError):
        mean = std = np.array(np.nan)
    if not (np.isfinite([mean, std]).all() and (std > 0).all()):
        raise UsageError(
            f"statistics is {statistics!r}, but {network} has {channels} input channels; "
            "give (mean, std), each a number or one a channel, the second above 0",
            argument="statistics",
        )
    return mean.tolist(), std.tolist()
