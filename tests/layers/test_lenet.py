import keras
import numpy as np
import pytest

from kerascnn.layers import CodeDistance, TableConv2D, TrainableSubsampling, scaled_tanh


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


def test_table_convolution_equals_a_convolution_of_the_listed_channels():
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


def test_table_convolution_begins_with_a_standard_deviation_that_fits_each_units_inputs():
    layer = TableConv2D([(0,)] * 200 + [(0, 1, 2, 3)] * 50, 5)
    layer.build((None, 8, 8, 4))
    kernel = layer.kernel.numpy()
    # 1 / sqrt(25 inputs) where a unit sees one channel, 1 / sqrt(100 inputs) where it sees four.
    assert kernel[..., :200].std() == pytest.approx(0.2, rel=0.05)
    assert kernel[..., 200:].std() == pytest.approx(0.1, rel=0.05)


def test_code_distance_is_minus_the_squared_distance_and_never_trained():
    layer = CodeDistance([[1, 1], [1, -1]])
    # To (1, 1): 2² + 1² = 5; to (1, -1): 2² + 1² = 5 and 0.
    np.testing.assert_array_equal(layer(np.array([[3.0, 0.0], [1.0, -1.0]])).numpy(), [[-5.0, -5.0], [-4.0, 0.0]])
    assert layer.trainable_weights == []
