import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.layers.convolution import FullConv2D, GroupedConv2D, ReflectPadding2D, ZeroPadShortcut
from kerascnn.layers.lenet import CodeDistance, TableConv2D, TrainableSubsampling, scaled_tanh
from kerascnn.layers.normalization import BatchRenormalization, LocalResponseNormalization, Normalize
from kerascnn.layers.pooling import CeilingMaxPooling2D, MinPooling2D
from kerascnn.models.input_shape import check_multiple

LAYERS = [
    (Normalize(scale=[2.0, 3.0, 4.0], offset=-0.5), (5, 6, 3)),
    (TrainableSubsampling(scaled_tanh), (5, 6, 3)),
    (TableConv2D([(0, 2), (1,)], 3, scaled_tanh), (5, 6, 3)),
    (CodeDistance([[1, -1, 1], [-1, -1, 1]]), (3,)),
    (LocalResponseNormalization(size=3, k=1.0), (5, 6, 4)),
    (CeilingMaxPooling2D(3, 2), (6, 7, 4)),
    (MinPooling2D(3, 2, padding="same"), (6, 7, 4)),
    (GroupedConv2D(6, 3, 2, 2, "same"), (5, 6, 4)),
    (ZeroPadShortcut(6, 2), (5, 6, 4)),
    (ReflectPadding2D(2), (5, 6, 3)),
    (FullConv2D(3, (2, 3), strides=2), (5, 6, 4)),
    (BatchRenormalization(begin=0, r_end=4, d_end=2), (5, 6, 4)),
]


def test_normalize_scales_and_shifts_each_channel():
    x = np.array([[[[0.0, 0.5, 1.0]]]], np.float32)
    y = Normalize(scale=[2.0, 4.0, 8.0], offset=[1.0, -1.0, 0.5])(x).numpy()
    np.testing.assert_array_equal(y, [[[[1.0, 1.0, 8.5]]]])


def test_scaled_tanh_keeps_plus_and_minus_one_and_ends_at_1_7159():
    y = scaled_tanh(np.array([-1.0, 0.0, 1.0, 100.0], np.float32)).numpy()
    np.testing.assert_allclose(y, [-1.0, 0.0, 1.0, 1.7159], atol=2e-5)


def test_subsampling_begins_as_an_average_of_2_by_2():
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    # (0 + 1 + 4 + 5) / 4 = 2.5 and so on.
    np.testing.assert_array_equal(TrainableSubsampling()(x).numpy()[0, :, :, 0], [[2.5, 4.5], [10.5, 12.5]])


def test_subsampling_is_the_sum_times_a_coefficient_plus_a_bias_per_channel():
    layer = TrainableSubsampling()
    layer.build((None, 2, 2, 2))
    layer.set_weights([np.array([2.0, -1.0]), np.array([0.5, 3.0])])
    x = np.array([[[[1, 10], [2, 20]], [[3, 30], [4, 40]]]], np.float32)  # (1, 2, 2, 2)
    # 2 * (1 + 2 + 3 + 4) + 0.5 and -1 * (10 + 20 + 30 + 40) + 3.
    np.testing.assert_array_equal(layer(x).numpy(), [[[[20.5, -97.0]]]])


def test_table_convolution_equals_a_convolution_of_the_listed_maps():
    table, rng = [(0, 2), (1,), (0, 1, 2)], np.random.default_rng(0)
    layer = TableConv2D(table, 3)
    x = rng.random((2, 6, 5, 3), dtype=np.float32)
    layer(x)
    kernels, bias = rng.random((3, 3, 1, 6), dtype=np.float32), np.array([1.0, 2.0, 3.0], np.float32)
    layer.set_weights([kernels, bias])
    y, first = layer(x).numpy(), 0
    assert y.shape == (2, 4, 3, 3)
    for j, inputs in enumerate(table):
        kernel = kernels[:, :, 0, first : first + len(inputs), None]  # (3, 3, inputs, 1)
        expected = keras.ops.conv(x[..., list(inputs)], kernel, padding="valid").numpy()[..., 0] + bias[j]
        np.testing.assert_allclose(y[..., j], expected, rtol=1e-5)
        first += len(inputs)


def test_table_convolution_begins_with_one_spread_for_every_unit():
    layer = TableConv2D([(0,)] * 200 + [(0, 1, 2, 3)] * 50, 5)
    layer.build((None, 8, 8, 4))
    kernel = layer.kernel.numpy()
    # 1 / sqrt(25 inputs) where a unit sees one map, 1 / sqrt(100 inputs) where it sees four.
    assert kernel[..., :200].std() == pytest.approx(0.2, rel=0.05)
    assert kernel[..., 200:].std() == pytest.approx(0.1, rel=0.05)


def test_code_distance_is_minus_the_squared_distance_and_never_trained():
    layer = CodeDistance([[1, 1], [1, -1]])
    # To (1, 1): 2² + 1² = 5; to (1, -1): 2² + 1² = 5 and 0.
    np.testing.assert_array_equal(layer(np.array([[3.0, 0.0], [1.0, -1.0]])).numpy(), [[-5.0, -5.0], [-4.0, 0.0]])
    assert layer.trainable_weights == []


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda value: type(value).__name__)
def test_a_layer_saved_and_reloaded_gives_the_same_output(layer, shape, tmp_path):
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).random((2, *shape), dtype=np.float32)
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(x).numpy(), model(x).numpy())
    assert again.layers[1].get_config() == layer.get_config()


def test_response_normalisation_is_tensorflows():
    x = np.random.default_rng(0).normal(0, 20, (2, 3, 4, 11)).astype(np.float32)
    ours = LocalResponseNormalization()(x)
    theirs = tf.nn.local_response_normalization(x, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize(
    ("side", "size", "strides", "expected"), [(112, 3, 2, 56), (7, 2, 2, 4), (5, 3, 2, 2), (8, 3, 3, 3)]
)
def test_pooling_rounds_up_and_takes_what_hangs_over_as_nothing(side, size, strides, expected):
    x = np.random.default_rng(0).normal(-5, 1, (1, side, side, 2)).astype(np.float32)
    layer = CeilingMaxPooling2D(size, strides)
    assert layer.compute_output_shape(x.shape) == (1, expected, expected, 2)
    starts = range(0, strides * expected, strides)
    by_hand = [[x[0, i : i + size, j : j + size].max((0, 1)) for j in starts] for i in starts]
    np.testing.assert_array_equal(layer(x)[0], by_hand)


def test_minimum_pooling_takes_the_least_of_each_window_and_nothing_from_outside():
    x = np.array([[3, 1, 4], [1, 5, 9], [2, 6, 5]], np.float32).reshape(1, 3, 3, 1)
    np.testing.assert_array_equal(MinPooling2D(2, 1)(x)[0, :, :, 0], [[1, 1], [1, 5]])
    np.testing.assert_array_equal(MinPooling2D(2, 2, padding="same")(x)[0, :, :, 0], [[1, 4], [2, 5]])


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_a_grouped_convolution_is_that_of_tensorflow(strides, padding):
    x = np.random.default_rng(0).random((2, 7, 9, 6), dtype=np.float32)
    layer = GroupedConv2D(9, 3, 3, strides, padding, bias_initializer="ones")
    ours = layer(x)
    theirs = tf.nn.conv2d(x, layer.kernel, strides, padding.upper()) + 1
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    spec = layer.compute_output_spec(keras.KerasTensor(x.shape))
    assert spec.shape == ours.shape


def test_groups_that_do_not_divide_the_maps_are_refused():
    with pytest.raises(ValueError, match="5 input maps and 6 filters do not divide into 2 groups"):
        GroupedConv2D(6, 3, 2).build((None, 8, 8, 5))


def test_a_shortcut_without_weights_takes_every_second_pixel_between_zero_maps():
    x = np.arange(2 * 5 * 5 * 2, dtype=np.float32).reshape(2, 5, 5, 2) + 1
    y = ZeroPadShortcut(6, 2)(x).numpy()
    np.testing.assert_array_equal(y[..., 2:4], x[:, ::2, ::2])
    np.testing.assert_array_equal(y[..., [0, 1, 4, 5]], 0)


@pytest.mark.parametrize("shape", [(0, 16, 3), (17, 16, 3), (16, 16), (16, 16, None)])
def test_sides_that_are_no_multiple_are_refused(shape):
    with pytest.raises(ValueError, match=r"does not fit unet; use .* at least 16 x 16 pixels, in multiples of 16$"):
        check_multiple(shape, 16, "unet")
    check_multiple((None, 32, 3), 16, "unet")


def test_full_convolution_is_scipys_of_each_channel_with_the_kernel_turned():
    from scipy.signal import correlate2d

    draw = np.random.default_rng(0)
    x = draw.normal(size=(1, 6, 7, 2)).astype(np.float32)
    layer = FullConv2D(1, (3, 2))
    y = layer(x).numpy()
    kernel = layer.kernel.numpy()
    expected = sum(correlate2d(x[0, ..., c], kernel[..., c, 0], mode="full") for c in range(2))
    np.testing.assert_allclose(y[0, ..., 0], expected, atol=1e-5)


@pytest.mark.parametrize(("strides", "sides"), [(1, (8, 8)), (2, (4, 4)), (3, (3, 3))])
def test_full_convolution_has_the_size_its_shape_says(strides, sides):
    layer = FullConv2D(4, (3, 2), strides=strides)
    x = np.zeros((1, 6, 7, 2), np.float32)
    assert layer.compute_output_shape(x.shape) == (1, *sides, 4)
    assert layer(x).shape == (1, *sides, 4)


def test_layers_refuse_what_they_cannot_do():
    with pytest.raises(ValueError, match="^size is 4; give an odd number of neighbouring channels$"):
        LocalResponseNormalization(size=4)
    with pytest.raises(ValueError, match=r"^strides \(3, 3\) are larger than the windows \(2, 2\); use smaller ones$"):
        CeilingMaxPooling2D(2, 3)
