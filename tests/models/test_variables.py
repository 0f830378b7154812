"""The values and names that TensorFlow gives the variables of a network."""

import contextlib
import gc
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import variables
from kerascnn.models import builder
from kerascnn.variables import VarianceScaling, quick_variables


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


@pytest.fixture
def dense():
    """(layer, the kernel that Keras's own initialiser gives it)."""
    layer = keras.layers.Dense(500, kernel_initializer=VarianceScaling(2.0, "fan_in", "uniform", seed=3), name="dense")
    return layer, keras.initializers.VarianceScaling(2.0, "fan_in", "uniform", seed=3)((400, 500))


def test_values_are_drawn_in_another_thread_and_there_at_the_end(dense, monkeypatch):
    layer, expected = dense
    threads, may_draw = [], threading.Event()
    draw = variables.drawing("uniform")

    def slow_draw(*arguments):
        may_draw.wait(timeout=60)
        threads.append(threading.current_thread())
        return draw(*arguments)

    monkeypatch.setattr(variables, "drawing", lambda distribution: slow_draw)
    with quick_variables():
        layer.build((None, 400))
        assert layer.kernel.shape == (400, 500)
        may_draw.set()
    np.testing.assert_array_equal(layer.kernel, expected)
    np.testing.assert_array_equal(layer.bias, np.zeros(500))
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


def test_values_that_a_variables_own_are_made_of_are_drawn_at_once(dense):
    layer, expected = dense
    draw = layer.kernel_initializer
    layer.kernel_initializer = lambda shape, dtype: 2 * draw(shape, dtype)
    with quick_variables():
        layer.build((None, 400))
    np.testing.assert_array_equal(layer.kernel, 2 * expected)


def test_values_that_are_for_no_variable_are_drawn_at_once(dense):
    layer, expected = dense
    with quick_variables():
        np.testing.assert_array_equal(layer.kernel_initializer((400, 500)), expected)


def test_what_fails_in_the_other_thread_fails_here(dense, monkeypatch):
    def failing(*arguments):
        raise MemoryError("no room")

    monkeypatch.setattr(variables, "drawing", lambda distribution: failing)
    with pytest.raises(MemoryError, match="no room"), quick_variables():
        dense[0].build((None, 400))


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_is_collected_afterwards_as_before(enabled):
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with contextlib.suppress(ValueError), quick_variables():
            assert not gc.isenabled()
            raise ValueError
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_a_strategy_makes_its_variables_itself(dense):
    layer, expected = dense
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope(), quick_variables():
        layer.build((None, 400))
        np.testing.assert_array_equal(layer.kernel, expected)
    assert layer.kernel.value.name == "dense/kernel:0"


def test_a_graph_makes_its_variables_itself():
    with tf.Graph().as_default(), quick_variables(), tf.name_scope("scope"):
        assert tf.Variable(1.0, name="number").name == "scope/number:0"


def test_names_are_whole_again_afterwards_and_under_other_backends(monkeypatch):
    with quick_variables():
        keras.layers.Dense(2).build((None, 3))
    dense = keras.layers.Dense(2, name="after")
    dense.build((None, 3))
    assert dense.kernel.value.name == "after/kernel:0"
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with quick_variables(), tf.name_scope("scope"):
        assert tf.Variable(1.0, name="number").name == "scope/number:0"
