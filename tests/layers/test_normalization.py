import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.layers import BatchRenormalization, LocalResponseNormalization


def renormalised(x, moving, step, momentum=0.9, epsilon=1e-3, r_max=3.0, d_max=5.0, begin=2, r_end=10, d_end=6):
    """Algorithm 1 of Ioffe 2017 in float64, one step: (y, moving mean and standard deviation after it)."""
    mean, sigma = x.mean((0, 1, 2)), np.sqrt(x.var((0, 1, 2)) + epsilon)
    r_bound = np.interp(step, [begin, r_end], [1, r_max])
    d_bound = np.interp(step, [begin, d_end], [0, d_max])
    r = np.clip(sigma / moving[1], 1 / r_bound, r_bound)
    d = np.clip((mean - moving[0]) / moving[1], -d_bound, d_bound)
    new = [momentum * old + (1 - momentum) * now for old, now in zip(moving, (mean, sigma), strict=True)]
    return (x - mean) / sigma * r + d, new


def test_batch_renormalization_follows_algorithm_1_and_its_schedules():
    draw = np.random.default_rng(0)
    layer = BatchRenormalization(momentum=0.9, begin=2, r_end=10, d_end=6)
    moving = [np.zeros(3), np.ones(3)]
    for step in range(13):
        x = draw.normal([2.0, -9.0, 0.1], [1.0, 6.0, 0.1], size=(4, 5, 6, 3))
        expected, moving = renormalised(x, moving, step)
        np.testing.assert_allclose(layer(x.astype(np.float32), training=True).numpy(), expected, atol=2e-4)
    x = draw.normal(size=(4, 5, 6, 3))
    np.testing.assert_allclose(layer(x.astype(np.float32)).numpy(), (x - moving[0]) / moving[1], rtol=1e-4, atol=1e-4)


def test_a_frozen_batch_renormalization_stays_as_it_is():
    layer = BatchRenormalization()
    x = tf.constant(np.random.default_rng(0).normal(3, 2, size=(4, 5, 6, 3)), tf.float32)
    layer(x)
    layer.trainable = False
    before = [weight.numpy() for weight in layer.weights]
    np.testing.assert_array_equal(layer(x, training=True), layer(x))
    for weight, value in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_batch_renormalization_begins_as_batch_normalization_with_its_gradient():
    x = tf.constant(np.random.default_rng(0).normal(3, 2, size=(4, 5, 6, 3)), tf.float32)
    weight = tf.constant(np.random.default_rng(1).normal(size=(4, 5, 6, 3)), tf.float32)
    results = []
    for layer in (BatchRenormalization(), keras.layers.BatchNormalization()):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(weight * y)
        results.append((y.numpy(), tape.gradient(loss, x).numpy()))
    for ours, keras_own in zip(*results, strict=True):
        np.testing.assert_allclose(ours, keras_own, atol=1e-4)


def test_batch_renormalization_keeps_its_averages_in_float32_under_half_precision():
    layer = BatchRenormalization(momentum=0.999, dtype="mixed_bfloat16")
    x = np.random.default_rng(0).normal([5.0, -1.0], 1, size=(4, 8, 8, 2)).astype(np.float32)
    half = tf.cast(x, tf.bfloat16)
    for _ in range(3):
        y = layer(half, training=True)
    assert y.dtype == tf.bfloat16
    seen = half.numpy().astype(np.float64).mean((0, 1, 2))
    np.testing.assert_allclose(layer.moving_mean.numpy(), (1 - 0.999**3) * seen, rtol=1e-4)


def test_a_schedule_that_ends_before_it_begins_raises():
    with pytest.raises(ValueError, match=r"^begin 10, r_end 5, .* are no schedule; use begin below both ends"):
        BatchRenormalization(begin=10, r_end=5)


def test_response_normalization_is_tensorflows():
    x = np.random.default_rng(0).normal(0, 20, (2, 3, 4, 11)).astype(np.float32)
    ours = LocalResponseNormalization()(x)
    theirs = tf.nn.local_response_normalization(x, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_an_even_number_of_neighbouring_channels_raises():
    with pytest.raises(ValueError, match="^size is 4; give an odd number of neighbouring channels$"):
        LocalResponseNormalization(size=4)


def test_large_responses_are_normalized_in_half_precision_as_in_full():
    responses = np.linspace(-900, 900, 40, dtype=np.float32).reshape(1, 2, 2, 10)  # their squares are beyond float16
    expected, half = (LocalResponseNormalization(dtype=dtype)(responses) for dtype in ("float32", "float16"))
    np.testing.assert_allclose(half, expected, rtol=3e-3)
