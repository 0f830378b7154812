"""Published weights into our builders: which of their tensors belongs to which of our layers, and in what shape.

A PyTorch state dict as torchvision and timm name it, {name: array}, is renamed by the rules of the network's family.
Convolution kernels turn from (out, in, H, W) to (H, W, in, out), dense ones from (out, in) to (in, out); behind a
Flatten their rows also turn from channels first to channels last.
"""

import re

import numpy as np

from kerascnn.errors import InputError
from kerascnn.models import MODELS

RESNET = (
    (r"conv1", "stem_conv"),
    (r"bn1", "stem_conv_bn"),
    (r"layer(\d)\.(\d+)\.conv(\d)", r"stage\1_block{\2}_conv\3"),
    (r"layer(\d)\.(\d+)\.bn(\d)", r"stage\1_block{\2}_conv\3_bn"),
    (r"layer(\d)\.(\d+)\.downsample\.0", r"stage\1_block{\2}_project"),
    (r"layer(\d)\.(\d+)\.downsample\.1", r"stage\1_block{\2}_project_bn"),
    (r"fc", "logits"),
)
SENET = (
    (r"layer0\.conv1", "stem_conv"),
    (r"layer0\.bn1", "stem_conv_bn"),
    *RESNET[2:6],
    (r"layer(\d)\.(\d+)\.se_module\.fc1", r"stage\1_block{\2}_se_reduce"),
    (r"layer(\d)\.(\d+)\.se_module\.fc2", r"stage\1_block{\2}_se_excite"),
    (r"last_linear", "logits"),
)
SENET154 = (
    (r"layer0\.conv(\d)", r"stem_conv\1"),
    (r"layer0\.bn(\d)", r"stem_conv\1_bn"),
    *SENET[2:],
)
ALEXNET = (
    *((rf"features\.{i}", name) for i, name in ((0, "conv1"), (3, "conv2"), (6, "conv3"), (8, "conv4"), (10, "conv5"))),
    *((rf"classifier\.{i}", name) for i, name in ((1, "fc6"), (4, "embedding"), (6, "logits"))),
)
GOOGLENET = (
    (r"conv1\.conv", "conv1"),
    (r"conv1\.bn", "conv1_bn"),
    (r"conv2\.conv", "conv2_reduce"),
    (r"conv2\.bn", "conv2_reduce_bn"),
    (r"conv3\.conv", "conv2"),
    (r"conv3\.bn", "conv2_bn"),
    *(
        (rf"(inception\w+)\.{theirs}\.{part}", rf"\1_{ours}{end}")
        for theirs, ours in (
            *(("branch1", "1x1"), ("branch2\\.0", "3x3_reduce"), ("branch2\\.1", "3x3")),
            *(("branch3\\.0", "5x5_reduce"), ("branch3\\.1", "5x5"), ("branch4\\.1", "project")),
        )
        for part, end in (("conv", ""), ("bn", "_bn"))
    ),
    (r"fc", "logits"),
)


def vgg_rules(model):
    """torchvision numbers the layers of `features` through, pooling and ReLU included."""
    rules, number = [], 0
    for layer in model.layers:
        kind = type(layer).__name__
        if kind in ("Conv2D", "BatchNormalization"):
            rules.append((rf"features\.{number}", layer.name))
        number += kind in ("Conv2D", "BatchNormalization", "ReLU", "MaxPooling2D")
    names = ((0, "fc1"), (3, "embedding"), (6, "logits"))
    return (*rules, *((rf"classifier\.{i}", name) for i, name in names))


def inception_v4_rules(model):
    """timm's 22 `features`, one after the other."""
    stem = {
        **{f"{i}": f"stem_conv{i + 1}" for i in range(3)},
        "3.conv": "stem_a_conv",
        **{f"4.branch0.{i}": f"stem_b1_conv{i + 1}" for i in range(2)},
        **{f"4.branch1.{i}": f"stem_b2_conv{i + 1}" for i in range(4)},
        "5.conv": "stem_c_conv",
    }
    modules = [(6 + i, f"inception_a{i + 1}") for i in range(4)] + [(10, "reduction_a")]
    modules += [(11 + i, f"inception_b{i + 1}") for i in range(7)] + [(18, "reduction_b")]
    places = dict(stem)
    for number, name in modules:
        places |= {f"{number}.branch0": f"{name}_b1_conv1", f"{number}.branch3.1": f"{name}_pool_conv"}
        places |= {f"{number}.branch{b}.{i}": f"{name}_b{b + 1}_conv{i + 1}" for b in range(3) for i in range(5)}
    for i in range(3):
        number, name = 19 + i, f"inception_c{i + 1}"
        places |= {f"{number}.branch0": f"{name}_b1_conv1", f"{number}.branch3.1": f"{name}_pool_conv"}
        places |= {f"{number}.branch1_0": f"{name}_b2_conv1"}
        places |= {f"{number}.branch1_1{x}": f"{name}_b2_conv2{x}" for x in "ab"}
        places |= {f"{number}.branch2_{j}": f"{name}_b3_conv{j + 1}" for j in range(3)}
        places |= {f"{number}.branch2_3{x}": f"{name}_b3_conv4{x}" for x in "ab"}
    rules = [
        (rf"features\.{re.escape(theirs)}\.{part}", ours + end)
        for theirs, ours in places.items()
        for part, end in (("conv", ""), ("bn", "_bn"))
    ]
    return (*rules, (r"last_linear", "logits"))


def rules_of(model):
    """The renaming rules of a model's family, pairs of a pattern for the whole of their name and our layer's name."""
    family = MODELS[model.name]
    if model.name == "senet154":
        return SENET154
    if family == "vgg":
        return vgg_rules(model)
    if family == "inception_v4":
        return inception_v4_rules(model)
    named = {"resnet": RESNET, "senet": SENET, "alexnet": ALEXNET, "googlenet": GOOGLENET}
    if family not in named:
        raise InputError(f"no published weights are known for {model.name}")
    return named[family]


def our_name(theirs, rules):
    """Our layer's name for a module of theirs, or None; {n} stands for n + 1, since their blocks count from 0."""
    for pattern, name in rules:
        if match := re.fullmatch(pattern, theirs):
            return re.sub(r"\{(\d+)\}", lambda number: str(int(number[1]) + 1), match.expand(name))
    return None


PARTS = {"weight": ("kernel", "gamma"), "bias": ("bias", "beta"), "running_mean": ("moving_mean",)}
PARTS["running_var"] = ("moving_variance",)


def load_state(model, state):
    """Put a PyTorch state dict {name: array} of the same network into `model`.

    Raises InputError naming the first tensor that has no place, or another shape, and the first weight left without.
    """
    rules = rules_of(model)
    waiting = {
        f"{layer.name}/{w.name}": (layer, w) for layer in model.layers for w in layer.weights if "seed" not in w.name
    }
    for theirs, value in state.items():
        module, _, part = theirs.rpartition(".")
        if part == "num_batches_tracked":
            continue
        name = our_name(module, rules)
        key = next((f"{name}/{p}" for p in PARTS.get(part, ()) if f"{name}/{p}" in waiting), None)
        if key is None:
            raise InputError(f"{theirs} has no place in {model.name}; give weights of the same network")
        layer, weight = waiting.pop(key)
        value = arranged(np.asarray(value), layer, weight)
        if value.shape != tuple(weight.shape):
            raise InputError(f"{theirs} of shape {value.shape} does not fit {key} of shape {tuple(weight.shape)}")
        weight.assign(value)
    if waiting:
        raise InputError(f"nothing was given for {next(iter(waiting))} of {model.name}; the file is not complete")


def arranged(value, layer, weight):
    """A tensor of theirs in our order of axes."""
    if weight.name != "kernel":
        return value
    if len(weight.shape) == 4:
        return value.transpose(2, 3, 1, 0)
    value = value.reshape(value.shape[0], -1)
    before = layer.input._keras_history.operation
    if type(before).__name__ == "Dropout":
        before = before.input._keras_history.operation
    if type(before).__name__ == "Flatten":
        height, width, channels = before.input.shape[1:]
        value = value.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(value.shape[0], -1)
    return value.T
