"""What TensorFlow and Keras call the variables of a network."""

import keras
import tensorflow as tf

from kerascnn.models import builder
from kerascnn.variable_names import short_variable_names


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
