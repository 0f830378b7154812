"""The names of all networks, known without loading Keras: for flags, help and messages."""

import difflib
from typing import NamedTuple

from kerascnn.errors import UsageError


class Network(NamedTuple):
    """What stands beside a network's name: title, and with default arguments its input shape and published size."""

    title: str
    input_shape: tuple
    parameters: int  # trainable ones


# kerascnn.models has the builders.
NETWORKS = {
    "mlp": Network("One hidden layer of `hidden` units (the paper has 300 and 1,000)", (28, 28, 1), 238_510),
    "simple_cnn": Network("Two convolutions and two dense layers", (28, 28, 1), 1_668_490),
    "five_layer_cnn": Network("Three convolutions and two dense layers", (28, 28, 1), 122_270),
    "lenet5": Network("LeNet-5 as it is taught today", (28, 28, 1), 61_706),
    "lenet5_1998": Network("LeNet-5 as published", (28, 28, 1), 60_000),
    "lenet_homework": Network("The LeNet-5 of homework sheets", (32, 32, 3), 62_958),
    "vgg_digits": Network("The strongest digit network here", (28, 28, 1), 282_074),
    "convnetjs": Network("The ConvNetJS CIFAR-10 network", (32, 32, 3), 22_466),
    "airbench": Network("The network of the CIFAR-10 speed records", (32, 32, 3), 1_971_328),
    "airbench95": Network("A deeper network for 95 % on CIFAR-10", (32, 32, 3), 5_132_448),
    "alexnet": Network("AlexNet in two towers", (227, 227, 3), 60_965_224),
    "alexnet_one_tower": Network("AlexNet without groups", (227, 227, 3), 62_378_344),
    "alexnet_2014": Network("AlexNet with the widths of 2014, as torchvision has it", (224, 224, 3), 61_100_840),
    "zfnet": Network("ZFNet", (224, 224, 3), 62_357_608),
    "vgg11": Network("VGG-11, column A", (224, 224, 3), 132_863_336),
    "vgg13": Network("VGG-13, column B", (224, 224, 3), 133_047_848),
    "vgg16c": Network("VGG-16 with 1×1 convolutions, column C", (224, 224, 3), 133_638_952),
    "vgg16": Network("VGG-16, column D", (224, 224, 3), 138_357_544),
    "vgg19": Network("VGG-19, column E", (224, 224, 3), 143_667_240),
    "vgg11_bn": Network("VGG-11 with batch normalization", (224, 224, 3), 132_868_840),
    "vgg13_bn": Network("VGG-13 with batch normalization", (224, 224, 3), 133_053_736),
    "vgg16_bn": Network("VGG-16 with batch normalization", (224, 224, 3), 138_365_992),
    "vgg19_bn": Network("VGG-19 with batch normalization", (224, 224, 3), 143_678_248),
    "googlenet": Network("GoogLeNet without auxiliary heads", (224, 224, 3), 6_998_552),
    "googlenet_aux": Network("GoogLeNet with both auxiliary heads", (224, 224, 3), 13_378_280),
    "googlenet_bn": Network("GoogLeNet with batch normalization as in torchvision", (224, 224, 3), 6_624_904),
    "inception_v4": Network("Inception-v4", (299, 299, 3), 42_679_816),
    "resnet18": Network("ResNet-18", (224, 224, 3), 11_689_512),
    "resnet34": Network("ResNet-34", (224, 224, 3), 21_797_672),
    "resnet50": Network("ResNet-50", (224, 224, 3), 25_557_032),
    "resnet101": Network("ResNet-101", (224, 224, 3), 44_549_160),
    "resnet152": Network("ResNet-152", (224, 224, 3), 60_192_808),
    "resnet50_v1_5": Network("ResNet-50 with the stride in the 3×3 convolution", (224, 224, 3), 25_557_032),
    "resnet101_v1_5": Network("ResNet-101 with the stride in the 3×3 convolution", (224, 224, 3), 44_549_160),
    "resnet152_v1_5": Network("ResNet-152 with the stride in the 3×3 convolution", (224, 224, 3), 60_192_808),
    "plain18": Network("ResNet-18 without shortcuts", (224, 224, 3), 11_515_688),
    "plain34": Network("ResNet-34 without shortcuts", (224, 224, 3), 21_623_848),
    "resnet20": Network("ResNet-20", (32, 32, 3), 269_722),
    "resnet32": Network("ResNet-32", (32, 32, 3), 464_154),
    "resnet44": Network("ResNet-44", (32, 32, 3), 658_586),
    "resnet56": Network("ResNet-56", (32, 32, 3), 853_018),
    "resnet110": Network("ResNet-110", (32, 32, 3), 1_727_962),
    "resnet20_b": Network("ResNet-20 with projections", (32, 32, 3), 272_474),
    "resnet32_b": Network("ResNet-32 with projections", (32, 32, 3), 466_906),
    "resnet44_b": Network("ResNet-44 with projections", (32, 32, 3), 661_338),
    "resnet56_b": Network("ResNet-56 with projections", (32, 32, 3), 855_770),
    "resnet110_b": Network("ResNet-110 with projections", (32, 32, 3), 1_730_714),
    "plain20": Network("ResNet-20 without shortcuts", (32, 32, 3), 269_722),
    "plain56": Network("ResNet-56 without shortcuts", (32, 32, 3), 853_018),
    "se_resnet20": Network("ResNet-20 with squeeze and excitation", (32, 32, 3), 272_095),
    "se_resnet18": Network("SE-ResNet-18", (224, 224, 3), 11_778_592),
    "se_resnet34": Network("SE-ResNet-34", (224, 224, 3), 21_958_868),
    "se_resnet50": Network("SE-ResNet-50", (224, 224, 3), 28_088_024),
    "se_resnet101": Network("SE-ResNet-101", (224, 224, 3), 49_326_872),
    "se_resnet152": Network("SE-ResNet-152", (224, 224, 3), 66_821_848),
    "senet154": Network("SENet-154", (224, 224, 3), 115_088_984),
    "unet": Network("U-Net with padding", (256, 256, 3), 31_031_745),
    "unet_2015": Network("U-Net as published", (572, 572, 1), 31_030_658),
    "unet_dong": Network("U-Net of Dong et al.", (240, 240, 4), 34_513_921),
    "unet_buda": Network("U-Net of Buda et al.", (256, 256, 3), 7_763_041),
}


def check_name(name, field=None):
    """Raise UsageError unless `name` is a key of NETWORKS; the message lists the near matches, or all names.

    field: the one of a recipe that says the name.
    """
    if name not in NETWORKS:
        choices = difflib.get_close_matches(str(name).lower(), NETWORKS, n=5) or NETWORKS
        raise UsageError(
            f"{field or 'name'} is {name!r}, which is no network; choose one of {', '.join(choices)} "
            "(kerascnn.model_names.NETWORKS has all)",
            argument=field,
        )
