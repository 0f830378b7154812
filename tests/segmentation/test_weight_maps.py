import numpy as np
import pytest

from kerascnn.segmentation.weight_maps import border_weights


def test_classes_are_balanced_where_there_is_one_object():
    mask = np.zeros((1, 10, 10, 1), np.uint8)
    mask[0, 2:4, 2:4] = 1
    weights = border_weights(mask, share=0.04)
    assert set(np.unique(weights)) == {np.float32(12.5), np.float32(0.5 / 0.96)}
    # together, both classes weigh the same
    assert weights[mask > 0].sum() == pytest.approx(weights[mask == 0].sum())


def test_the_border_between_two_objects_is_that_of_equation_2():
    mask = np.zeros((1, 9, 20, 1), np.uint8)
    mask[0, :, :5] = mask[0, :, 8:] = 1
    weights = border_weights(mask, share=0.5, w0=10.0, sigma=5.0)[0, 4, :, 0]
    # columns 5, 6 and 7 lie 1, 2, 3 pixels from the left object and 3, 2, 1 from the right one
    assert weights[5:8] == pytest.approx(1 + 10 * np.exp(-(4**2) / 50))
    assert weights[0] == weights[15] == 1
