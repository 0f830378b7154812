"""Pooling that Keras lacks, channels last, in keras.ops so that it runs on every backend."""

import keras
from keras import ops

from kerascnn.errors import UsageError


@keras.saving.register_keras_serializable(package="kerascnn")
class CeilingMaxPooling2D(keras.layers.MaxPooling2D):
    """Maximum pooling without padding whose last window may hang over the edge, as Caffe rounds sizes up.

    Strides are at most pool_size, or a window could lie outside altogether.
    (B, H, W, C) float -> (B, ceil((H - pool_size) / strides) + 1, the same of W, C).
    """

    def __init__(self, *arguments, **kwargs):
        super().__init__(*arguments, **{**kwargs, "data_format": "channels_last"})
        if any(stride > size for stride, size in zip(self.strides, self.pool_size, strict=True)):
            raise UsageError(f"strides is {self.strides}, larger than pool_size {self.pool_size}; use smaller ones")

    def call(self, x):
        over = [(0, 0), *((0, stride - 1) for stride in self.strides), (0, 0)]
        return super().call(ops.pad(x, over, constant_values=float("-inf")))

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        over = [None if side is None else side + s - 1 for side, s in zip((height, width), self.strides, strict=True)]
        return super().compute_output_shape((batch, *over, channels))


@keras.saving.register_keras_serializable(package="kerascnn")
class MinPooling2D(keras.layers.MaxPooling2D):
    """Minimum pooling, with the arguments of Keras's MaxPooling2D: the maximum of the negative, negated.

    (B, H, W, C) float -> (B, (H - pool_size) // strides + 1, the same of W, C), or ceil(H / strides) under "same".
    """

    def __init__(self, *arguments, **kwargs):
        super().__init__(*arguments, **{**kwargs, "data_format": "channels_last"})

    def call(self, x):
        return -super().call(-x)
