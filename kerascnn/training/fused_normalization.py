"""Batch normalization in training by TensorFlow's fused operation, on a CPU.

Keras computes it by a dozen operations, each of which goes through memory. The fused one gives the same numbers but for
rounding, forward and backward, and a step of ResNet-20 takes a quarter less (benchmarks/training_step.py). Layers stay
Keras's own: only their `call` is another one, as long as a training lasts. On GPUs XLA fuses Keras's operations.
"""

import contextlib
import functools

import keras
import tensorflow as tf

from kerascnn.training.precision import on_accelerator


@contextlib.contextmanager
def fused_normalization(model):
    """Let batch normalization of images, channels last, use the fused operation in training, as long as this lasts."""
    layers = [] if on_accelerator() else [layer for layer in model._flatten_layers() if is_fusible(layer)]
    try:
        for layer in layers:
            layer.call = functools.partial(fused_call, layer)
        yield
    finally:
        for layer in layers:
            del layer.call


def is_fusible(layer):
    """Whether it is Keras's layer itself, of feature maps (B, H, W, C), without what the operation cannot do."""
    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.built
        and layer.input_spec.ndim == 4
        and layer.axis in (-1, 3)
        and layer.moving_mean.dtype == "float32"
        and not (layer.renorm or layer.synchronized or "call" in vars(layer))
    )


def fused_call(layer, inputs, training=None, mask=None):
    """What layer.call gives; by the fused operation in training."""
    if not (training and layer.trainable) or mask is not None or inputs.dtype not in (tf.float32, tf.bfloat16):
        return type(layer).call(layer, inputs, training=training, mask=mask)
    channels = inputs.shape[-1]
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=layer.gamma if layer.scale else tf.ones(channels),
        offset=layer.beta if layer.center else tf.zeros(channels),
        mean=[],
        variance=[],
        epsilon=layer.epsilon,
        is_training=True,
    )
    count = tf.cast(tf.size(inputs) // channels, tf.float32)
    population = variance * (count - 1) / count  # it gives that of a sample
    for average, value in ((layer.moving_mean, mean), (layer.moving_variance, population)):
        average.assign(average * layer.momentum + value * (1 - layer.momentum))
    return outputs
