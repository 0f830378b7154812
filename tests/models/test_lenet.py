"""LeNet-5 as published, beyond what every builder is tested for."""

import keras
import numpy as np
import pytest

from kerascnn.models import lenet5_1998
from kerascnn.models.lenet import CONNECTIONS


def test_lenet5_1998_keeps_840_code_values_that_are_not_trained():
    model = lenet5_1998()
    assert [weight.shape for weight in model.non_trainable_weights] == [(10, 7 * 12)]


def test_more_classes_than_there_are_codes_raise():
    with pytest.raises(ValueError, match=r"^num_classes is 11, and lenet5_1998 has codes for 10; use lenet5 for more$"):
        lenet5_1998(num_classes=11)


def test_lenet5_1998_sees_the_background_of_the_paper_around_the_image():
    model = lenet5_1998()
    scaled = keras.Model(model.input, model.get_layer("normalize").output)(np.ones((1, 28, 28, 1), np.float32)).numpy()
    inner = np.zeros((32, 32), bool)
    inner[2:30, 2:30] = True
    np.testing.assert_allclose(scaled[0, inner], 1.175, rtol=1e-6)
    np.testing.assert_allclose(scaled[0, ~inner], -0.1, rtol=1e-6)


def test_every_c3_connection_of_lenet5_1998_is_of_table_1():
    rotated = [{(first + step) % 6 for step in steps} for steps in ((0, 1, 2), (0, 1, 2, 3)) for first in range(6)]
    # "every contiguous subset of three", then of four, "some discontinuous subsets of four", then all.
    assert [set(inputs) for inputs in CONNECTIONS[:12]] == rotated
    assert [len(set(inputs)) for inputs in CONNECTIONS[12:]] == [4, 4, 4, 6]
    assert len({frozenset(inputs) for inputs in CONNECTIONS}) == 16
    # Every row of the table has ten crosses.
    assert [sum(i in inputs for inputs in CONNECTIONS) for i in range(6)] == [10] * 6


def test_an_embedding_that_is_the_code_of_a_digit_is_that_digit():
    model = lenet5_1998()
    codes = model.get_layer("logits").codes.numpy()
    assert set(np.unique(codes)) == {-1, 1}
    logits = model.get_layer("logits")(codes).numpy()
    np.testing.assert_array_equal(np.diag(logits), 0)
    # Codes that differ in d places are 4d apart; at least eight places keep any two digits distinct.
    assert logits[~np.eye(10, dtype=bool)].max() <= -4 * 8


def test_codes_are_bitmaps_of_the_digits():
    codes = lenet5_1998().get_layer("logits").codes.numpy().reshape(10, 12, 7)
    seven = ["#######", "......#", ".....#.", ".....#.", "....#..", "....#..", "...#...", "...#..."] + ["..#...."] * 4
    assert ["".join("#" if pixel > 0 else "." for pixel in line) for line in codes[7]] == seven
