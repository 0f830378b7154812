"""Batch normalization by the fused operation; Keras's own is the oracle."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerascnn as kc
from kerascnn.training.fused_normalization import fused_normalization, is_fusible


def normalizing(policy="float32", **options):
    """A network of one batch normalization with weights and averages that are not those it begins with."""
    layer = keras.layers.BatchNormalization(name="bn", dtype=policy, **options)
    model = keras.Sequential([keras.Input((5, 6, 3)), layer])
    draw = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(draw.uniform(0.5, 1.5, weight.shape))
    return model


IMAGES = tf.constant(np.random.default_rng(1).normal(0.3, 2, (7, 5, 6, 3)), tf.float32)
FACTORS = tf.constant(np.random.default_rng(2).normal(size=(7, 5, 6, 3)), tf.float32)


def answers(model, images=IMAGES):
    """The outputs, their gradients by images and weights, and the averages afterwards, of a training step."""
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = model(images, training=True)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * FACTORS[: len(images)])
    gradients = tape.gradient(loss, [images, *model.trainable_variables])
    return [outputs, *gradients, *model.non_trainable_variables]


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({}, 1e-5),
        ({"momentum": 0.6, "epsilon": 1e-12, "scale": False}, 1e-5),
        ({"center": False, "epsilon": 1e-5}, 1e-5),
        ({"policy": "mixed_bfloat16"}, 0.05),
    ],
)
def test_outputs_gradients_and_averages_are_those_of_keras(options, tolerance):
    expected, model = answers(normalizing(**options)), normalizing(**options)
    with fused_normalization(model):
        assert "call" in vars(model.get_layer("bn"))
        found = answers(model)
    for array, theirs in zip(found, expected, strict=True):
        assert array.dtype == theirs.dtype
        scale = float(tf.reduce_max(tf.abs(tf.cast(theirs, tf.float32))))
        np.testing.assert_allclose(tf.cast(array, tf.float32), tf.cast(theirs, tf.float32), atol=tolerance * scale)


def test_in_inference_frozen_and_with_a_mask_it_is_keras_itself():
    model = normalizing()
    expected = model(IMAGES, training=False)
    mask = tf.constant(np.random.default_rng(3).random((7, 5, 6)) < 0.5)
    masked = normalizing().get_layer("bn")(IMAGES, training=True, mask=mask)
    with fused_normalization(model):
        np.testing.assert_array_equal(model(IMAGES, training=False), expected)
        model.get_layer("bn").trainable = False
        np.testing.assert_array_equal(model(IMAGES, training=True), expected)
        model.get_layer("bn").trainable = True
        np.testing.assert_array_equal(model.get_layer("bn")(IMAGES, training=True, mask=mask), masked)


def test_layers_are_as_before_whatever_happens():
    model = normalizing()
    config = model.get_config()
    with pytest.raises(KeyboardInterrupt), fused_normalization(model):
        raise KeyboardInterrupt
    assert "call" not in vars(model.get_layer("bn"))
    assert model.get_config() == config


def test_what_the_operation_cannot_do_is_left_to_keras():
    class Own(keras.layers.BatchNormalization):
        pass

    def fusible(layer, shape=(4, 4, 3)):
        keras.Sequential([keras.Input(shape), layer])
        return is_fusible(layer)

    assert fusible(keras.layers.BatchNormalization())
    assert not fusible(Own())
    assert not fusible(keras.layers.BatchNormalization(axis=1))
    assert not fusible(keras.layers.BatchNormalization(renorm=True))
    assert not fusible(keras.layers.BatchNormalization(synchronized=True))
    assert not fusible(keras.layers.BatchNormalization(dtype="bfloat16"))
    assert not fusible(keras.layers.BatchNormalization(), (4,))
    own = keras.layers.BatchNormalization()
    own.call = lambda inputs, training=None: inputs
    assert not fusible(own)


@pytest.mark.long
def test_a_training_by_it_ends_as_one_by_keras(tmp_path, monkeypatch):
    # noise: in images with black borders rounding decides whether a rectifier passes all of them
    images = np.random.default_rng(0).integers(0, 256, (640, 16, 16, 3), np.uint8)
    data = kc.datasets.from_arrays(images, np.arange(640) % 10, validation=0.1)

    def trained(folder):
        keras.utils.set_random_seed(0)
        model = kc.models.resnet20((16, 16, 3), 10)
        normalizations = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        own, used = model.get_weights(), set()
        look = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda *_: used.update("call" in vars(n) for n in normalizations)
        )
        recipe = kc.Recipe(epochs=1, optimizer="sgd", learning_rate=1e-3, precision="float32")
        kc.fit(model, data, recipe, folder=folder, callbacks=[look])
        assert not any("call" in vars(layer) for layer in normalizations)
        moved = [after - before for after, before in zip(model.get_weights(), own, strict=True)]
        return moved, used

    ours, used = trained(tmp_path / "fused")
    assert used == {True}
    monkeypatch.setattr("kerascnn.training.fused_normalization.is_fusible", lambda layer: False)
    theirs, used = trained(tmp_path / "keras")
    assert used == {False}
    for fused, kerass in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(fused, kerass, atol=0.05 * np.abs(kerass).max() + 1e-7)
