"""The table of a network against figures that others print."""

import keras
import pytest

from kerascnn.analysis.summary import first_convolution, layer_rows, symbolic_model, totals
from kerascnn.errors import UsageError


def summed(name, *arguments):
    model = symbolic_model(name, *arguments)
    return totals(model, layer_rows(model))


def rows_by_name(name, *arguments):
    return {row.layer: row for row in layer_rows(symbolic_model(name, *arguments))}


# torchvision's documentation lists these as GFLOPs and counts a multiply-add as one.
@pytest.mark.parametrize(
    ("name", "billions"),
    [
        *(("alexnet_2014", 0.71), ("vgg11", 7.61), ("vgg16", 15.47), ("googlenet_bn", 1.50)),
        *(("resnet18", 1.81), ("resnet50_v1_5", 4.09)),
    ],
)
def test_multiply_adds_are_those_that_torchvision_lists(name, billions):
    assert summed(name)["multiply_adds"] / 1e9 == pytest.approx(billions, abs=0.0051)


def test_lenet5_by_hand():
    rows = rows_by_name("lenet5")
    assert [row.parameters for row in rows.values() if row.parameters] == [156, 2_416, 48_120, 10_164, 850]
    # LeCun et al. 1998 count connections with biases: C1 has 122,304.
    assert rows["c1"].multiply_adds + rows["c1"].activations == 122_304
    assert rows["c3"].multiply_adds == 10 * 10 * 16 * 6 * 25
    assert [row.multiply_adds for row in rows.values()][-3:] == [400 * 120, 120 * 84, 84 * 10]
    assert rows["s4"].shape == (5, 5, 16)
    assert rows["s4"].activations == 400


def test_lenet5_1998_has_the_connections_of_its_table():
    rows = rows_by_name("lenet5_1998")
    # 151,600 connections in C3, biases among them: 1,516 parameters at each of 100 positions.
    assert rows["c3"].multiply_adds + 1_600 == 151_600
    assert (rows["logits"].parameters, rows["logits"].non_trainable_parameters) == (0, 840)


def test_groups_halve_the_second_convolution_of_alexnet():
    assert rows_by_name("alexnet")["conv2"].multiply_adds == 27 * 27 * 256 * 5 * 5 * 48


def test_a_transposed_convolution_counts_its_input_positions():
    image = keras.Input((5, 5, 3))
    model = keras.Model(image, keras.layers.Conv2DTranspose(4, 3, 2, use_bias=False)(image))
    assert layer_rows(model)[-1].multiply_adds == 5 * 5 * 3 * 3 * 3 * 4


def test_the_first_layer_of_alexnet_without_sharing_is_that_of_the_course():
    # CS231n: 55*55*96 = 290,400 neurons of 11*11*3 + 1 weights are 105,705,600; sharing leaves 34,944.
    first = first_convolution(symbolic_model("alexnet"))
    assert first == {
        "layer": "conv1",
        "shared": 34_944,
        "not_shared": 105_705_600,
        "fully_connected": 290_400 * (227 * 227 * 3 + 1),
    }
    assert first_convolution(symbolic_model("mlp")) is None


def test_dense_layers_hold_most_of_vgg16_but_hardly_work():
    total = summed("vgg16")
    dense = 25_088 * 4_096 + 4_096 + 4_096 * 4_096 + 4_096 + 4_096 * 1_000 + 1_000
    assert total["dense_share_of_parameters"] == dense / 138_357_544
    assert 0.007 < total["dense_share_of_multiply_adds"] < 0.009


@pytest.mark.parametrize(
    ("name", "layer", "arithmetic"),
    [
        ("alexnet", "conv1", "(227 + 2*0 - 11)/4 + 1 = 55"),
        ("alexnet", "conv2_pad", "27 + 2*2 = 31"),
        ("alexnet", "conv2", "(27 + 2*2 - 5)/1 + 1 = 27"),
        ("lenet5_1998", "c1", "(28 + 2*2 - 5)/1 + 1 = 28"),
        ("resnet18", "stem_conv", "(224 + 2*3 - 7)/2 + 1 = 112.5 -> 112"),
        ("googlenet", "pool1", "(112 + (0+1) - 3)/2 + 1 = 56"),
        ("inception_v4", "inception_b1_b2_conv2", "height (17 + 2*0 - 1)/1 + 1 = 17, width (17 + 2*3 - 7)/1 + 1 = 17"),
        ("unet", "decoder4_up", "(16 - 1)*2 + 2 - 2*0 = 32"),
        ("unet_dong", "decoder4_up", "(15 - 1)*2 + 3 - (0+1) = 30"),
        ("unet_2015", "decoder4_crop", "64 - 2*4 = 56"),
        ("vgg16", "stage1_conv1_relu", ""),
    ],
)
@pytest.mark.long
def test_sizes_are_explained_with_their_numbers(name, layer, arithmetic):
    assert rows_by_name(name)[layer].arithmetic == arithmetic


def test_another_input_and_number_of_classes():
    total = summed("resnet18", (64, 96, 1), 7)
    assert total["input"] == [64, 96, 1]
    assert total["parameters"] == 11_689_512 - 993 * 513 - 2 * 64 * 49


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lenet5", (5, 5, 1)), r"^input_shape is \(5, 5, 1\), which does not fit lenet5; use .* at least 12 x 12 pix"),
        (("lenet5_1998", None, 11), "^num_classes is 11, and lenet5_1998 has codes for 10; use lenet5 for more$"),
        (("lenet5", None, 0), "^num_classes is 0; give a whole number of at least 1$"),
        (("lenet",), "^name is 'lenet', which is no network; choose one of"),
    ],
)
def test_what_a_builder_does_not_take_is_bad_usage(arguments, words):
    with pytest.raises(UsageError, match=words):
        symbolic_model(*arguments)


def test_a_symbolic_model_keeps_the_precision_that_was_set():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = symbolic_model("lenet5")
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("c1").output.dtype == "bfloat16"
