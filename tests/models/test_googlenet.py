"""Inception modules, beyond what every builder is tested for."""

import keras
import pytest

from kerascnn.analysis.summary import multiply_adds
from kerascnn.models.googlenet import MODULES, inception, naive_inception


def test_the_reduced_inception_module_costs_a_tenth_of_the_naive_one_in_5x5_convolutions():
    image = keras.Input((28, 28, 192))
    naive = keras.Model(image, naive_inception(image, MODULES["inception3a"], "naive"))
    reduced = keras.Model(image, inception(image, MODULES["inception3a"], "reduced"))
    # Input channels stay when they are only pooled, so that every naive module makes the next one dearer.
    assert naive.output_shape == (None, 28, 28, 64 + 128 + 32 + 192)
    assert reduced.output_shape == (None, 28, 28, 256)
    # Ng's "Deep Learning Specialization", course 4: 120 million multiplications become 12.4 million.
    assert multiply_adds(naive.get_layer("naive_5x5")) == 28 * 28 * 32 * 5 * 5 * 192 == 120_422_400
    parts = [multiply_adds(reduced.get_layer(f"reduced_5x5{end}")) for end in ("_reduce", "")]
    assert parts == [28 * 28 * 192 * 16, 28 * 28 * 16 * 5 * 5 * 32]
    assert sum(parts) == pytest.approx(12.4e6, rel=0.01)
