"""What others call the layers of our networks: for each network, {module of theirs: layer of ours}.

torchvision's names are taken, timm's where torchvision lacks the network, those of keras.applications, and for CIFAR
ResNets and LeNets those of common PyTorch code. A family has one table, which also names blocks that only its deepest
network has.
"""

from itertools import product

BLOCKS = range(1, 37)  # stage 3 of ResNet-152 has 36


def with_bn(convolutions):
    """The same for the two parts, `conv` and `bn`, of every module in the table."""
    return {f"{theirs}.conv": ours for theirs, ours in convolutions.items()} | {
        f"{theirs}.bn": f"{ours}_bn" for theirs, ours in convolutions.items()
    }


def residual_stages():
    """Of torchvision, which counts blocks from 0, timm, and most code for CIFAR."""
    names = {}
    for stage, block in product((1, 2, 3, 4), BLOCKS):
        theirs, ours = f"layer{stage}.{block - 1}", f"stage{stage}_block{block}"
        for i in (1, 2, 3):
            names |= {f"{theirs}.conv{i}": f"{ours}_conv{i}", f"{theirs}.bn{i}": f"{ours}_conv{i}_bn"}
        for shortcut in ("downsample", "shortcut"):
            names |= {f"{theirs}.{shortcut}.0": f"{ours}_project", f"{theirs}.{shortcut}.1": f"{ours}_project_bn"}
        for first, second in (("se_module.fc1", "se_module.fc2"), ("se.fc.0", "se.fc.2")):
            names |= {f"{theirs}.{first}": f"{ours}_se_reduce", f"{theirs}.{second}": f"{ours}_se_excite"}
    return names


def keras_resnet():
    names = {"conv1_conv": "stem_conv", "conv1_bn": "stem_conv_bn", "predictions": "logits"}
    for stage, block, (i, part) in product((1, 2, 3, 4), BLOCKS, enumerate(("project", "conv1", "conv2", "conv3"))):
        theirs, ours = f"conv{stage + 1}_block{block}_{i}", f"stage{stage}_block{block}_{part}"
        names |= {f"{theirs}_conv": ours, f"{theirs}_bn": f"{ours}_bn"}
    return names


def vgg(depths, batch_norm):
    """torchvision numbers the layers of `features` through, ReLU and pooling too; timm names the dense ones anew."""
    names, number = {}, 0
    for stage, depth in enumerate(depths, 1):
        for i in range(1, depth + 1):
            names[f"features.{number}"] = f"stage{stage}_conv{i}"
            if batch_norm:
                names[f"features.{number + 1}"] = f"stage{stage}_conv{i}_bn"
            number += 3 if batch_norm else 2
        number += 1
    dense = (("classifier.0", "pre_logits.fc1"), ("classifier.3", "pre_logits.fc2"), ("classifier.6", "head.fc"))
    for theirs, ours in zip(dense, ("fc1", "embedding", "logits"), strict=True):
        names |= dict.fromkeys(theirs, ours)
    return names


def googlenet():
    branches = {"branch1": "1x1", "branch2.0": "3x3_reduce", "branch2.1": "3x3"}
    branches |= {"branch3.0": "5x5_reduce", "branch3.1": "5x5", "branch4.1": "project"}
    modules = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
    convolutions = {"conv1": "conv1", "conv2": "conv2_reduce", "conv3": "conv2"} | {
        f"inception{module}.{theirs}": f"inception{module}_{ours}"
        for module, (theirs, ours) in product(modules, branches.items())
    }
    return with_bn(convolutions) | {"fc": "logits"}


def inception_v4():
    """timm's 22 `features`, one after the other; branches of one convolution have no number for it."""
    chains = [*(f"inception_a{i}" for i in (1, 2, 3, 4)), "reduction_a"]
    chains += [*(f"inception_b{i}" for i in range(1, 8)), "reduction_b"]
    forks = ["inception_c1", "inception_c2", "inception_c3"]
    names = {f"{i}": f"stem_conv{i + 1}" for i in range(3)} | {"3.conv": "stem_a_conv", "5.conv": "stem_c_conv"}
    names |= {f"4.branch{b - 1}.{i - 1}": f"stem_b{b}_conv{i}" for b, i in product((1, 2), (1, 2, 3, 4))}
    for number, ours in enumerate(chains + forks, 6):
        names |= {f"{number}.branch0": f"{ours}_b1_conv1", f"{number}.branch3.1": f"{ours}_pool_conv"}
    for (number, ours), b, i in product(enumerate(chains, 6), (1, 2, 3), (1, 2, 3, 4, 5)):
        names[f"{number}.branch{b - 1}.{i - 1}"] = f"{ours}_b{b}_conv{i}"
    for number, ours in enumerate(forks, 19):
        names[f"{number}.branch1_0"] = f"{ours}_b2_conv1"
        names |= {f"{number}.branch2_{i - 1}": f"{ours}_b3_conv{i}" for i in (1, 2, 3)}
        for fork in "ab":
            names |= {f"{number}.branch1_1{fork}": f"{ours}_b2_conv2{fork}"}
            names |= {f"{number}.branch2_3{fork}": f"{ours}_b3_conv4{fork}"}
    return with_bn({f"features.{theirs}": ours for theirs, ours in names.items()}) | {"last_linear": "logits"}


def unet_buda():
    """Of the authors' brain-segmentation-pytorch."""
    blocks = {"bottleneck.bottleneck": "bottom"}
    for level in (1, 2, 3, 4):
        blocks |= {f"encoder{level}.enc{level}": f"encoder{level}", f"decoder{level}.dec{level}": f"decoder{level}"}
    names = {f"upconv{level}": f"decoder{level}_up" for level in (1, 2, 3, 4)} | {"conv": "logits"}
    for (theirs, ours), i in product(blocks.items(), (1, 2)):
        names |= {f"{theirs}conv{i}": f"{ours}_conv{i}", f"{theirs}norm{i}": f"{ours}_conv{i}_bn"}
    return names


ALEXNET = {
    **{"features.0": "conv1", "features.3": "conv2", "features.6": "conv3", "features.8": "conv4"},
    **{"features.10": "conv5", "classifier.1": "fc6", "classifier.4": "embedding", "classifier.6": "logits"},
}
STAGES = residual_stages()
RESNET = {"conv1": "stem_conv", "bn1": "stem_conv_bn", **STAGES, "fc": "logits"}
CIFAR = {**RESNET, "linear": "logits"}
SENET = {"layer0.conv1": "stem_conv", "layer0.bn1": "stem_conv_bn", **STAGES, "last_linear": "logits"}
SENET154 = {
    **{f"layer0.conv{i}": f"stem_conv{i}" for i in (1, 2, 3)},
    **{f"layer0.bn{i}": f"stem_conv{i}_bn" for i in (1, 2, 3)},
    **STAGES,
    "last_linear": "logits",
}
LENET = {"conv1": "c1", "conv2": "c3", "fc1": "c5", "fc2": "embedding", "fc3": "logits"}
KERAS_VGG = {
    **{f"block{stage}_conv{i}": f"stage{stage}_conv{i}" for stage, i in product((1, 2, 3, 4, 5), (1, 2, 3, 4))},
    **{"fc1": "fc1", "fc2": "embedding", "predictions": "logits"},
}
VGG_DEPTHS = {"vgg11": (1, 1, 2, 2, 2), "vgg13": (2,) * 5, "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}

TORCH = {
    "alexnet_2014": ALEXNET,
    "googlenet_bn": googlenet(),
    "inception_v4": inception_v4(),
    **dict.fromkeys(("resnet18", "resnet34", "resnet50_v1_5", "resnet101_v1_5", "resnet152_v1_5"), RESNET),
    **dict.fromkeys((f"resnet{n}{b}" for n in (20, 32, 44, 56, 110) for b in ("", "_b")), CIFAR),
    "se_resnet20": CIFAR,
    **dict.fromkeys(("lenet5", "lenet_homework"), LENET),
    **dict.fromkeys(("se_resnet50", "se_resnet101", "se_resnet152"), SENET),
    "senet154": SENET154,
    "unet_buda": unet_buda(),
    **{name: vgg(depths, batch_norm=False) for name, depths in VGG_DEPTHS.items()},
    **{f"{name}_bn": vgg(depths, batch_norm=True) for name, depths in VGG_DEPTHS.items()},
}
KERAS = {
    **dict.fromkeys(("vgg16", "vgg19"), KERAS_VGG),
    **dict.fromkeys(("resnet50", "resnet101", "resnet152"), keras_resnet()),
}
