"""Layers that Keras lacks, written in keras.ops so that they run on every backend."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerascnn")
class Normalize(keras.layers.Layer):
    """A fixed per-channel scale and offset, y = scale * x + offset: the first layer, `normalize`, of every builder.

    Stored with the model, never trained. `scale` and `offset` are numbers or one number per channel.
    (B, H, W, C) float32 -> (B, H, W, C).
    """

    def __init__(self, scale=1.0, offset=0.0, name="normalize", **kwargs):
        super().__init__(name=name, **kwargs)
        self.scale = scale
        self.offset = offset

    def call(self, x):
        return x * ops.cast(self.scale, x.dtype) + ops.cast(self.offset, x.dtype)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}


def check_size(input_shape, minimum, name):
    """Raise ValueError with one line unless input_shape is (H, W, C) with H and W at least `minimum` pixels."""
    height, width, _ = input_shape
    if height is None or width is None or min(height, width) < minimum:
        raise ValueError(f"{name} needs images of at least {minimum} x {minimum} pixels, got {height} x {width}")
