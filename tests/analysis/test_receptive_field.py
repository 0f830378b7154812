"""Receptive fields against published ones, and against where gradients reach."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kerascnn.analysis.receptive_field import POINTWISE, receptive_fields
from kerascnn.analysis.summary import symbolic_model
from kerascnn.errors import UsageError
from kerascnn.layers.convolution import FullConv2D, ReflectPadding2D, ZeroPadShortcut
from kerascnn.layers.pooling import CeilingMaxPooling2D


# Araujo, Norris & Sim, Distill 2019, table 1, for these networks as published; before global pooling.
@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [
        ("alexnet", "pool5", 195),
        ("vgg16", "stage5_pool", 212),
        ("resnet50", "stage4_block3_relu", 483),
        ("resnet101", "stage4_block3_relu", 1027),
        ("resnet152", "stage4_block3_relu", 1507),
        ("inception_v4", "inception_c3_output", 2071),
    ],
)
def test_the_published_sizes_come_out(name, layer, size):
    field = receptive_fields(symbolic_model(name))[layer]
    assert [axis.size for axis in field] == [size, size]
    assert [axis.stride for axis in field] == [32, 32]


def test_alexnet_pool5_lies_where_the_arithmetic_says():
    field, _ = receptive_fields(symbolic_model("alexnet"))["pool5"]
    # Without padding unit 0 would begin at pixel 0; conv2 pads 2 of stride 8, conv3 to conv5 1 of stride 16 each.
    assert field.at(0) == (-64, 130)
    assert field.centre == 33
    assert field.at(5) == (96, 290)


@pytest.mark.parametrize("name", ["flatten", "embedding", "logits"])
def test_dense_layers_see_the_whole_image(name):
    field, _ = receptive_fields(symbolic_model("alexnet"))[name]
    assert (field.at(0), field.stride, field.size) == ((0, 226), None, 227)


def test_a_gate_leaves_the_field_alone():
    with_gate, without = (receptive_fields(symbolic_model(name)) for name in ("se_resnet50", "resnet50"))
    assert with_gate["stage4_block3_relu"][0].size == without["stage4_block3_relu"][0].size
    assert with_gate["stage1_block1_se_squeeze"][0].stride is None


def conv(size, strides=1, **rest):
    return layers.Conv2D(1, size, strides, use_bias=False, kernel_initializer="ones", **rest)


def widened(size, strides=2, **rest):
    return layers.Conv2DTranspose(1, size, strides, use_bias=False, kernel_initializer="ones", **rest)


def full(size, strides=1):
    return FullConv2D(1, size, strides, use_bias=False, kernel_initializer="ones")


def chain(*steps):
    def build(x):
        for step in steps:
            x = step(x)
        return x

    return build


def residual(x):
    x = conv(3, 2, padding="same")(x)
    y = conv(3, padding="same")(conv(3, padding="same")(x))
    return layers.AveragePooling2D(3, 2, padding="same")(layers.Add()([x, y]))


def option_a(x):
    y = conv(3, 1)(layers.ZeroPadding2D(1)(conv(3, 2)(layers.ZeroPadding2D(1)(x))))
    return layers.Add()([ZeroPadShortcut(1, 2)(x), y])


def small_unet(size):
    def build(x):
        skip = conv(3, padding="same")(x)
        low = conv(3, padding="same")(layers.AveragePooling2D(2)(skip))
        lower = conv(3, padding="same")(layers.AveragePooling2D(2)(low))
        low = layers.Concatenate()([low, widened(size, padding="same")(lower)])
        up = widened(size, padding="same")(conv(3, padding="same")(low))
        return conv(3, padding="same")(layers.Concatenate()([skip, up]))

    return build


def cropped_unet(x):
    skip = conv(3)(x)
    up = widened(2)(conv(3)(layers.AveragePooling2D(2)(skip)))
    over = skip.shape[1] - up.shape[1]
    return conv(3)(layers.Concatenate()([layers.Cropping2D(over // 2)(skip), up]))


NETWORKS = {
    "valid": (chain(conv(5), layers.AveragePooling2D(2), conv(3, 2)), 40),
    "same with stride": (chain(conv(5, 2, padding="same"), conv(3, 2, padding="same")), 37),
    "even kernels": (chain(conv(4, padding="same"), conv(2, 2, padding="same")), 40),
    "dilated": (chain(conv(3, dilation_rate=3), conv(3)), 40),
    "not square": (chain(conv((1, 7)), conv((5, 1), (2, 1))), 40),
    "full": (chain(full(5), full(4, 2), conv(3)), 40),
    "reflected": (chain(ReflectPadding2D(2), conv(5), conv(3, 2)), 40),
    "residual": (residual, 48),
    "option a": (option_a, 40),
    "wider by 2": (chain(layers.AveragePooling2D(2), conv(3), widened(2), conv(3)), 40),
    "wider by 3": (chain(conv(3, 2), widened(5, 3), conv(3, 2)), 40),
    "wider without padding": (chain(conv(3, 2), widened(3), widened(4)), 30),
    "u-net 2": (small_unet(2), 48),
    "u-net 3": (small_unet(3), 48),
    "cropped u-net": (cropped_unet, 40),
}


def support(model, place):
    """The first and the last row and column of the image on which the gradient of the units at `place` is not zero."""
    image = tf.ones((1, *model.input_shape[1:]))
    with tf.GradientTape() as tape:
        tape.watch(image)
        unit = tf.reduce_sum(model(image)[0, place[0], place[1]])
    rows, columns = np.nonzero(tape.gradient(unit, image).numpy()[0].sum(-1))
    return (rows.min(), rows.max()), (columns.min(), columns.max())


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_of_a_unit_reaches_exactly_its_field(name):
    build, side = NETWORKS[name]
    image = keras.Input((side, side, 1))
    model = keras.Model(image, build(image))
    fields = receptive_fields(model)[model.layers[-1].name]
    middle = model.output_shape[1] // 2
    # Neighbours differ behind a transposed convolution.
    for place in range(middle, middle + 6):
        found = support(model, (min(place, model.output_shape[1] - 1), min(place, model.output_shape[2] - 1)))
        for axis, positions, (first, last) in zip(fields, model.output_shape[1:3], found, strict=True):
            left, right = axis.at(min(place, positions - 1))
            assert (first, last) == (max(0, left), min(side - 1, right))


@pytest.mark.parametrize("name", ["convnetjs", "lenet5", "resnet20", "googlenet", "unet_buda"])
@pytest.mark.long
def test_the_gradient_of_a_network_reaches_exactly_the_field_of_its_units(name):
    shape, layer = {
        "convnetjs": ((32, 32, 3), None),
        "lenet5": ((28, 28, 1), "s4"),
        "resnet20": ((32, 32, 3), "stage2_block1_add"),
        "googlenet": ((64, 64, 3), "inception3a_output"),
        "unet_buda": ((64, 64, 3), "encoder2_conv2"),
    }[name]
    model = symbolic_model(name, shape)
    layer = layer or next(one.name for one in model.layers if isinstance(one, layers.Flatten))
    if name == "convnetjs":
        layer = model.get_layer(layer).input._keras_history.operation.name
    whole = open_network(model)
    part = keras.Model(whole.input, whole.get_layer(layer).output)
    middle = part.output_shape[1] // 2
    found = support(part, (middle, middle))
    for axis, (first, last) in zip(receptive_fields(model)[layer], found, strict=True):
        left, right = axis.at(middle)
        assert (first, last) == (max(0, left), min(shape[0] - 1, right))


def open_network(model):
    """A copy whose every path lets gradients through: weights 1, linear activations, average for maximum pooling."""

    def opened(layer):
        config = layer.get_config()
        if isinstance(layer, CeilingMaxPooling2D):
            return layers.AveragePooling2D(3, 2, padding="same", name=layer.name)
        if isinstance(layer, layers.MaxPooling2D):
            kept = {key: config[key] for key in ("name", "pool_size", "strides", "padding")}
            return layers.AveragePooling2D(**kept)
        if isinstance(layer, layers.ReLU):
            return layers.Activation("linear", name=layer.name)
        if "kernel_initializer" in config:
            config |= {"kernel_initializer": "ones", "bias_initializer": "zeros", "activation": "linear"}
        if type(layer).__name__ == "LocalResponseNormalization":
            return layers.Activation("linear", name=layer.name)
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=opened)


class Shifted(layers.Layer):
    """Each pixel takes the place of its neighbour."""

    def call(self, x):
        return keras.ops.roll(x, 1, axis=1)


def test_an_unknown_layer_raises_until_its_window_is_stated(monkeypatch):
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, Shifted(name="shift")(image))
    words = "^model has a layer shift, a Shifted, and what a unit of it sees is not known; add Shifted to WINDOWS"
    with pytest.raises(UsageError, match=words):
        receptive_fields(model)
    monkeypatch.setattr("kerascnn.analysis.receptive_field.POINTWISE", POINTWISE | {Shifted})
    assert receptive_fields(model)["shift"][0].size == 1
