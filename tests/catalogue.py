"""Every network of the package with its published size. Tests run over every row; the counts come from outside.

SMALL holds for each family, and for networks that differ from theirs, an input on which they are quick to run.
"""

from typing import NamedTuple

from kerascnn.models import MODELS


class Row(NamedTuple):
    name: str
    input_shape: tuple
    classes: int
    parameters: int  # trainable ones
    source: str


CATALOGUE = (
    Row("mlp", (28, 28, 1), 10, 238_510, "784*300 + 300 + 300*10 + 10, the widths of LeCun et al. 1998, section III.C"),
    Row("simple_cnn", (28, 28, 1), 10, 1_668_490, "320 + 18,496 + 1,639,424 + 10,250, from the shapes of its layers"),
    Row("five_layer_cnn", (28, 28, 1), 10, 122_270, "Lindholm et al. 2022, example 6.3, sum of the printed counts"),
    Row("lenet5", (28, 28, 1), 10, 61_706, "156 + 2,416 + 48,120 + 10,164 + 850, as printed in many courses"),
    Row("lenet5_1998", (28, 28, 1), 10, 60_000, "LeCun et al. 1998, section II.B"),
    Row("lenet_homework", (32, 32, 3), 10, 62_958, "608 + 3,216 + 48,120 + 10,164 + 850, from its layers' shapes"),
    Row(
        "vgg_digits",
        (28, 28, 1),
        10,
        282_074,
        "9*(16 + 16*16 + 16*64 + 64*64 + 64*128 + 128*128) kernels, 4*(16 + 64 + 128) normalization, 1153*10 dense",
    ),
    Row("convnetjs", (32, 32, 3), 10, 22_466, "1,216 + 8,020 + 10,020 + 3,210 from its layers' shapes"),
    Row(
        "airbench",
        (32, 32, 3),
        10,
        1_971_328,
        "9*(24*64 + 64*64 + 64*256 + 3*256*256) kernels, 2*(64 + 256 + 256) offsets, 2,560 dense; 1.97 M printed",
    ),
    Row(
        "airbench95",
        (32, 32, 3),
        10,
        5_132_448,
        "9*(24*96 + 2*96*96 + 96*256 + 2*256*256 + 256*384 + 2*384*384) kernels, 3*(96 + 256 + 384) offsets, 3840 head",
    ),
    Row("alexnet", (227, 227, 3), 1000, 60_965_224, "Krizhevsky 2012, as computed from the shapes; BVLC's Caffe model"),
    Row("alexnet_one_tower", (227, 227, 3), 1000, 62_378_344, "tf2cv"),
    Row("alexnet_2014", (224, 224, 3), 1000, 61_100_840, "torchvision alexnet"),
    Row("zfnet", (224, 224, 3), 1000, 62_357_608, "tf2cv zfnet"),
    Row("vgg11", (224, 224, 3), 1000, 132_863_336, "torchvision"),
    Row("vgg13", (224, 224, 3), 1000, 133_047_848, "torchvision"),
    Row("vgg16c", (224, 224, 3), 1000, 133_638_952, "from the shapes of table 1, column C"),
    Row("vgg16", (224, 224, 3), 1000, 138_357_544, "torchvision"),
    Row("vgg19", (224, 224, 3), 1000, 143_667_240, "torchvision"),
    Row("vgg11_bn", (224, 224, 3), 1000, 132_868_840, "torchvision"),
    Row("vgg13_bn", (224, 224, 3), 1000, 133_053_736, "torchvision"),
    Row("vgg16_bn", (224, 224, 3), 1000, 138_365_992, "torchvision"),
    Row("vgg19_bn", (224, 224, 3), 1000, 143_678_248, "torchvision"),
    Row("googlenet", (224, 224, 3), 1000, 6_998_552, "6,990,272 weights and 8,280 biases of BVLC's Caffe model"),
    Row("googlenet_aux", (224, 224, 3), 1000, 13_378_280, "googlenet + 3,188,840 + 3,190,888 by hand from section 5"),
    Row("googlenet_bn", (224, 224, 3), 1000, 6_624_904, "torchvision googlenet without its heads"),
    Row("inception_v4", (299, 299, 3), 1000, 42_679_816, "tf2cv; timm prints 42.68 M"),
    Row("resnet18", (224, 224, 3), 1000, 11_689_512, "torchvision"),
    Row("resnet34", (224, 224, 3), 1000, 21_797_672, "torchvision"),
    Row("resnet50", (224, 224, 3), 1000, 25_557_032, "torchvision"),
    Row("resnet101", (224, 224, 3), 1000, 44_549_160, "torchvision"),
    Row("resnet152", (224, 224, 3), 1000, 60_192_808, "torchvision"),
    Row("resnet50_v1_5", (224, 224, 3), 1000, 25_557_032, "torchvision"),
    Row("resnet101_v1_5", (224, 224, 3), 1000, 44_549_160, "torchvision"),
    Row("resnet152_v1_5", (224, 224, 3), 1000, 60_192_808, "torchvision"),
    Row("plain18", (224, 224, 3), 1000, 11_515_688, "He et al. 2015 without its projections, from the shapes"),
    Row("plain34", (224, 224, 3), 1000, 21_623_848, "He et al. 2015 without its projections, from the shapes"),
    Row("resnet20", (32, 32, 3), 10, 269_722, "from the shapes; the paper rounds to 0.27 to 1.7 million"),
    Row("resnet32", (32, 32, 3), 10, 464_154, "from the shapes; the paper rounds to 0.27 to 1.7 million"),
    Row("resnet44", (32, 32, 3), 10, 658_586, "from the shapes; the paper rounds to 0.27 to 1.7 million"),
    Row("resnet56", (32, 32, 3), 10, 853_018, "from the shapes; the paper rounds to 0.27 to 1.7 million"),
    Row("resnet110", (32, 32, 3), 10, 1_727_962, "from the shapes; the paper rounds to 0.27 to 1.7 million"),
    Row("resnet20_b", (32, 32, 3), 10, 272_474, "tf2cv"),
    Row("resnet32_b", (32, 32, 3), 10, 466_906, "tf2cv"),
    Row("resnet44_b", (32, 32, 3), 10, 661_338, "tf2cv"),
    Row("resnet56_b", (32, 32, 3), 10, 855_770, "tf2cv"),
    Row("resnet110_b", (32, 32, 3), 10, 1_730_714, "tf2cv"),
    Row("plain20", (32, 32, 3), 10, 269_722, "from the shapes; the paper rounds to 0.27 to 1.7 million"),
    Row("plain56", (32, 32, 3), 10, 853_018, "from the shapes; the paper rounds to 0.27 to 1.7 million"),
    Row("se_resnet20", (32, 32, 3), 10, 272_095, "from the shapes; the paper rounds to 0.27 to 1.7 million"),
    Row("se_resnet18", (224, 224, 3), 1000, 11_778_592, "tf2cv, timm"),
    Row("se_resnet34", (224, 224, 3), 1000, 21_958_868, "tf2cv, timm"),
    Row("se_resnet50", (224, 224, 3), 1000, 28_088_024, "tf2cv, timm"),
    Row("se_resnet101", (224, 224, 3), 1000, 49_326_872, "tf2cv, timm"),
    Row("se_resnet152", (224, 224, 3), 1000, 66_821_848, "tf2cv, timm"),
    Row("senet154", (224, 224, 3), 1000, 115_088_984, "timm, tf2cv"),
    Row(
        "unet",
        (256, 256, 3),
        1,
        31_031_745,
        "from the shapes of figure 1 with 3 input channels and 1 output channel; often quoted",
    ),
    Row("unet_2015", (572, 572, 1), 2, 31_030_658, "from the shapes of figure 1"),
    Row("unet_dong", (240, 240, 4), 1, 34_513_921, "from figure 2 of Dong et al."),
    Row("unet_buda", (256, 256, 3), 1, 7_763_041, "from the authors' unet.py"),
)

SMALL = {
    **dict.fromkeys(("mlp", "simple_cnn", "five_layer_cnn", "lenet", "vgg_digits"), (28, 28, 1)),
    **dict.fromkeys(("airbench", "convnetjs", "vgg", "resnet", "resnet_cifar", "senet", "unet"), (32, 32, 3)),
    "alexnet": (67, 67, 3),
    "zfnet": (63, 63, 3),
    "googlenet": (64, 64, 3),
    "inception_v4": (75, 75, 3),
    # networks for which their family's does not do
    "lenet_homework": (32, 32, 3),
    "googlenet_aux": (79, 79, 3),
    "unet_2015": (188, 188, 1),
    "unet_dong": (32, 32, 4),
}


def family(name):
    """The module of kerascnn.models that the builder is in."""
    return MODELS[name].__module__.rpartition(".")[2]
