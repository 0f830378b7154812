"""What others call the layers of our networks: rules from their names to ours, by family.

A rule is a pattern for the whole name of one of their modules and the name of our layer; {n} in it stands for n + 1,
since PyTorch counts blocks from 0. torchvision's names are taken, timm's where torchvision lacks the network, and those
of keras.applications.
"""

import re

from kerascnn.errors import UsageError
from kerascnn.model_names import PARAMETERS

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

# The authors' brain-segmentation-pytorch.
UNET_BUDA = (
    *((rf"encoder(\d)\.enc\d{part}(\d)", rf"encoder\1_conv\2{end}") for part, end in (("conv", ""), ("norm", "_bn"))),
    *((rf"decoder(\d)\.dec\d{part}(\d)", rf"decoder\1_conv\2{end}") for part, end in (("conv", ""), ("norm", "_bn"))),
    *((rf"bottleneck\.bottleneck{part}(\d)", rf"bottom_conv\1{end}") for part, end in (("conv", ""), ("norm", "_bn"))),
    (r"upconv(\d)", r"decoder\1_up"),
    (r"conv", "logits"),
)


def vgg_rules(model):
    """torchvision numbers the layers of `features` through, pooling and ReLU too; timm names the dense ones anew."""
    rules, number = [], 0
    for layer in model.layers:
        kind = type(layer).__name__
        if kind in ("Conv2D", "BatchNormalization"):
            rules.append((rf"features\.{number}", layer.name))
        number += kind in ("Conv2D", "BatchNormalization", "ReLU", "MaxPooling2D")
    names = ((0, "fc1", "fc1"), (3, "fc2", "embedding"), (6, "head", "logits"))
    timm = {"fc1": r"pre_logits\.fc1", "fc2": r"pre_logits\.fc2", "head": r"head\.fc"}
    return (*rules, *((rf"classifier\.{i}|{timm[part]}", name) for i, part, name in names))


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


KERAS_RESNET = (
    (r"conv1_(conv|bn)", r"stem_conv<\1>"),
    *((rf"conv{s + 1}_block(\d+)_0_(conv|bn)", rf"stage{s}_block\1_project<\2>") for s in (1, 2, 3, 4)),
    *((rf"conv{s + 1}_block(\d+)_(\d)_(conv|bn)", rf"stage{s}_block\1_conv\2<\3>") for s in (1, 2, 3, 4)),
    (r"predictions", "logits"),
)
KERAS_VGG = (
    (r"block(\d)_conv(\d)", r"stage\1_conv\2"),
    *((theirs, ours) for theirs, ours in (("fc1", "fc1"), ("fc2", "embedding"), ("predictions", "logits"))),
)
KERAS = {
    **dict.fromkeys(("vgg16", "vgg19"), KERAS_VGG),
    **dict.fromkeys(("resnet50", "resnet101", "resnet152"), KERAS_RESNET),
}
TORCH = {
    "alexnet_2014": ALEXNET,
    "googlenet_bn": GOOGLENET,
    "inception_v4": inception_v4_rules,
    **dict.fromkeys(("resnet18", "resnet34", "resnet50_v1_5", "resnet101_v1_5", "resnet152_v1_5"), RESNET),
    **dict.fromkeys(("se_resnet50", "se_resnet101", "se_resnet152"), SENET),
    "senet154": SENET154,
    "unet_buda": UNET_BUDA,
    **dict.fromkeys(
        [name for name in PARAMETERS if name.startswith("vgg") and name not in ("vgg16c", "vgg_digits")], vgg_rules
    ),
}


def rules_of(model, table, whose):
    """The rules of a network in TORCH or KERAS. Raises UsageError when there are no weights of theirs for it."""
    if model.name not in table:
        raise UsageError(f"{whose} weights do not fit {model.name}; they fit {', '.join(sorted(table))}")
    rules = table[model.name]
    return rules(model) if callable(rules) else rules


def our_name(theirs, rules):
    """Our layer's name for a module of theirs, or None."""
    for pattern, name in rules:
        if match := re.fullmatch(pattern, theirs):
            name = match.expand(name).replace("<conv>", "").replace("<bn>", "_bn")
            return re.sub(r"\{(\d+)\}", lambda number: str(int(number[1]) + 1), name)
    return None
