"""Every network of the package with its published size. Tests run over every row; the counts come from outside."""

from typing import NamedTuple


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
        "9*(16 + 16*16 + 16*64 + 64*64 + 64*128 + 128*128) kernels, 4*(16 + 64 + 128) normalisation, 1153*10 dense",
    ),
)
