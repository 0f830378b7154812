"""Normalization that Keras lacks, in keras.ops so that it runs on every backend."""

import keras
from keras import ops

from kerascnn.errors import UsageError


@keras.saving.register_keras_serializable(package="kerascnn")
class BatchRenormalization(keras.layers.Layer):
    """Batch normalization that trains with the statistics it will be used with, for small or uneven batches.

    Ioffe, "Batch Renormalization: Towards Reducing Minibatch Dependence in Batch-Normalized Models", 2017,
    arXiv:1702.03275, algorithm 1: y = gamma * ((x - mean) / sigma * r + d) + beta, where r and d lead from the batch's
    mean and standard deviation to the moving ones. r stays within 1/r_max … r_max and d within -d_max … d_max, and no
    gradient flows through them. The bounds follow section 4's schedule, in training steps: until `begin` r = 1 and
    d = 0, which is batch normalization; then they open linearly until `r_end` and `d_end`.

    The moving average is of the standard deviation, as in the paper, not of the variance.
    (B, …, C) float -> the same shape, normalised over all axes but the last.
    """

    def __init__(
        self, momentum=0.99, epsilon=1e-3, r_max=3.0, d_max=5.0, begin=5000, r_end=40_000, d_end=25_000, **kwargs
    ):  # fmt: skip
        super().__init__(**kwargs)
        if not (0 <= begin < min(r_end, d_end) and r_max >= 1 and d_max >= 0):
            raise UsageError(
                f"begin {begin}, r_end {r_end}, d_end {d_end}, r_max {r_max}, d_max {d_max} are no schedule; "
                "use begin below both ends, r_max of at least 1 and d_max of at least 0"
            )
        self.momentum, self.epsilon = momentum, epsilon
        self.r_max, self.d_max = r_max, d_max
        self.begin, self.r_end, self.d_end = begin, r_end, d_end

    def build(self, input_shape):
        # no half precision: a moving average takes steps that it has no digits for
        each = {"shape": (input_shape[-1],), "autocast": False}
        self.gamma = self.add_weight(name="gamma", initializer="ones", **each)
        self.beta = self.add_weight(name="beta", initializer="zeros", **each)
        self.moving_mean = self.add_weight(name="moving_mean", initializer="zeros", trainable=False, **each)
        self.moving_sigma = self.add_weight(name="moving_sigma", initializer="ones", trainable=False, **each)
        self.step = self.add_weight(name="step", shape=(), initializer="zeros", dtype="int32", trainable=False)

    def bounds(self, step):
        """(r_max, d_max) at a training step, counted from 0: scalars, float32."""
        step = ops.cast(step, "float32")
        share_r = ops.clip((step - self.begin) / (self.r_end - self.begin), 0.0, 1.0)
        share_d = ops.clip((step - self.begin) / (self.d_end - self.begin), 0.0, 1.0)
        return 1.0 + share_r * (self.r_max - 1.0), share_d * self.d_max

    def call(self, x, training=False):
        inputs, x = x, ops.cast(x, "float32")
        if training and self.trainable:
            mean, variance = ops.moments(x, axes=list(range(len(x.shape) - 1)))
            sigma = ops.sqrt(variance + self.epsilon)
            r_max, d_max = self.bounds(self.step)
            r = ops.stop_gradient(ops.clip(sigma / self.moving_sigma, 1 / r_max, r_max))
            d = ops.stop_gradient(ops.clip((mean - self.moving_mean) / self.moving_sigma, -d_max, d_max))
            y = (x - mean) / sigma * r + d
            for moving, batch in ((self.moving_mean, mean), (self.moving_sigma, sigma)):
                moving.assign(self.momentum * moving + (1 - self.momentum) * ops.stop_gradient(batch))
            self.step.assign(self.step + 1)
        else:
            y = (x - self.moving_mean) / self.moving_sigma
        return ops.cast(y * self.gamma + self.beta, inputs.dtype)

    def get_config(self):
        names = ("momentum", "epsilon", "r_max", "d_max", "begin", "r_end", "d_end")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="kerascnn")
class LocalResponseNormalization(keras.layers.Layer):
    """y = x / (k + alpha * s) ** beta, s the sum of the squares of `size` neighbouring channels, x's in the middle.

    Krizhevsky, Sutskever & Hinton, 2012, section 3.3, with its constants. Caffe divides alpha by `size`; TensorFlow's
    op takes the radius size // 2. (B, H, W, C) float -> (B, H, W, C).
    """

    def __init__(self, size=5, k=2.0, alpha=1e-4, beta=0.75, **kwargs):
        super().__init__(**kwargs)
        if size < 1 or size % 2 == 0:
            raise UsageError(f"size is {size}; give an odd number of neighbouring channels", argument="size")
        self.size, self.k, self.alpha, self.beta = size, k, alpha, beta

    def build(self, input_shape):
        channels = range(input_shape[-1])
        self.band = [[float(abs(i - j) <= self.size // 2) for j in channels] for i in channels]

    def call(self, x):
        # A product with a band matrix is the sum over neighbours, and fast on every backend.
        half = keras.backend.standardize_dtype(x.dtype) == "float16"  # in which no square is above 65,504
        wide = ops.cast(x, "float32") if half else x
        total = ops.matmul(ops.square(wide), ops.cast(self.band, wide.dtype))
        return x * ops.cast(ops.power(self.k + self.alpha * total, -self.beta), x.dtype)

    def get_config(self):
        return {**super().get_config(), "size": self.size, "k": self.k, "alpha": self.alpha, "beta": self.beta}
