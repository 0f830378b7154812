import numpy as np
import pytest

from kerascnn.layers import CeilingMaxPooling2D, MinPooling2D


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


def test_strides_larger_than_the_windows_raise():
    with pytest.raises(ValueError, match=r"^strides is \(3, 3\), larger than pool_size \(2, 2\); use smaller ones$"):
        CeilingMaxPooling2D(2, 3)
