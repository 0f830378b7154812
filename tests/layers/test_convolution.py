import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.layers import FullConv2D, GroupedConv2D, ZeroPadShortcut


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


def test_groups_that_do_not_divide_the_channels_raise():
    with pytest.raises(
        ValueError, match="^groups is 2, which does not divide both 5 input channels and 6 filters; choose"
    ):
        GroupedConv2D(6, 3, 2).build((None, 8, 8, 5))


def test_a_shortcut_without_weights_takes_every_second_pixel_between_zero_channels():
    x = np.arange(2 * 5 * 5 * 2, dtype=np.float32).reshape(2, 5, 5, 2) + 1
    keras.config.set_image_data_format("channels_first")  # of layers that do not say it themselves
    try:
        y = ZeroPadShortcut(6, 2)(x).numpy()
    finally:
        keras.config.set_image_data_format("channels_last")
    np.testing.assert_array_equal(y[..., 2:4], x[:, ::2, ::2])
    np.testing.assert_array_equal(y[..., [0, 1, 4, 5]], 0)


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
