"""The names of all networks, known without loading Keras: for flags, help and messages."""

import difflib

from kerascnn.errors import UsageError

# Trainable parameters with default arguments, as published; kerascnn.models has the builders.
PARAMETERS = {
    "mlp": 238_510,
    "simple_cnn": 1_668_490,
    "five_layer_cnn": 122_270,
    "lenet5": 61_706,
    "lenet5_1998": 60_000,
    "lenet_homework": 62_958,
    "vgg_digits": 282_074,
    "convnetjs": 22_466,
    "alexnet": 60_965_224,
    "alexnet_one_tower": 62_378_344,
    "alexnet_2014": 61_100_840,
    "zfnet": 62_357_608,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16c": 133_638_952,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
    "googlenet": 6_998_552,
    "googlenet_aux": 13_378_280,
    "googlenet_bn": 6_624_904,
    "inception_v4": 42_679_816,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnet50_v1_5": 25_557_032,
    "resnet101_v1_5": 44_549_160,
    "resnet152_v1_5": 60_192_808,
    "plain18": 11_515_688,
    "plain34": 21_623_848,
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "resnet110": 1_727_962,
    "resnet20_b": 272_474,
    "resnet32_b": 466_906,
    "resnet44_b": 661_338,
    "resnet56_b": 855_770,
    "resnet110_b": 1_730_714,
    "plain20": 269_722,
    "plain56": 853_018,
    "se_resnet20": 272_095,
    "se_resnet18": 11_778_592,
    "se_resnet34": 21_958_868,
    "se_resnet50": 28_088_024,
    "se_resnet101": 49_326_872,
    "se_resnet152": 66_821_848,
    "senet154": 115_088_984,
    "unet": 31_031_745,
    "unet_2015": 31_030_658,
    "unet_dong": 34_513_921,
    "unet_buda": 7_763_041,
}


def check_name(name):
    """Raise UsageError unless `name` is a key of PARAMETERS; the message lists the near matches, or all names."""
    if name not in PARAMETERS:
        choices = difflib.get_close_matches(str(name).lower(), PARAMETERS, n=5) or PARAMETERS
        raise UsageError(
            f"unknown model {name!r}; choose one of {', '.join(choices)} (kerascnn.model_names.PARAMETERS has all)"
        )
