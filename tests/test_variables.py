"""The values and names that TensorFlow gives the variables of a network."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.models import builder
from kerascnn.variables import VarianceScaling, short_variable_names


@pytest.mark.parametrize("shape", [(5, 7), (3, 3, 16, 24)])
@pytest.mark.parametrize("seed", [0, 2**31 + 5, None])
@pytest.mark.parametrize(
    ("mode", "distribution"),
    [
        ("fan_in", "truncated_normal"),
        ("fan_out", "untruncated_normal"),
        ("fan_avg", "truncated_normal"),
        ("fan_avg", "uniform"),
    ],
)
def test_values_are_those_of_keras(shape, seed, mode, distribution):
    ours = VarianceScaling(2.0, mode, distribution, seed)
    keras_own = keras.initializers.VarianceScaling(2.0, mode, distribution, ours.seed)
    np.testing.assert_array_equal(ours(shape), keras_own(shape))
    assert ours(shape, "float16").dtype == tf.float16


def test_other_axes_and_single_ones_are_those_of_keras():
    axes = {"seed": 7, "input_axes": [0], "output_axes": [1]}
    for shape, options in (((3, 4, 5), axes), ((6,), {"seed": 7})):
        own = keras.initializers.VarianceScaling(2.0, **options)
        np.testing.assert_array_equal(VarianceScaling(2.0, **options)(shape), own(shape))


def test_tensorflow_names_the_variables_of_a_resnet_by_their_role_alone():
    network = builder("resnet18")((32, 32, 3), 10)
    names = {variable.path: variable.value.name for variable in network.variables}
    assert names["stage2_block1_project/kernel"] == "kernel:0"
    assert names["stage3_block2_conv1_bn/moving_mean"] == "moving_mean:0"


def test_names_are_whole_again_afterwards_and_under_other_backends(monkeypatch):
    with short_variable_names():
        keras.layers.Dense(2).build((None, 3))
    dense = keras.layers.Dense(2, name="after")
    dense.build((None, 3))
    assert dense.kernel.value.name == "after/kernel:0"
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with short_variable_names(), tf.name_scope("scope"):
        assert tf.Variable(1.0, name="number").name == "scope/number:0"
