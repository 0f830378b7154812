"""Convolutions and paddings that Keras lacks, channels last, in keras.ops so that they run on every backend."""

import keras
from keras import ops

from kerascnn.errors import UsageError


@keras.saving.register_keras_serializable(package="kerascnn")
class Dirac(keras.initializers.VarianceScaling):
    """Kernels (k, k, C, filters) of which filter i passes channel i of the input on.

    Filters beyond the C-th are uniform within 1 / sqrt(k²C), as PyTorch draws them.
    Zagoruyko & Komodakis, "DiracNets", 2017, arXiv:1706.00388.
    """

    def __init__(self, seed=None):
        super().__init__(1 / 3, "fan_in", "uniform", seed)

    def __call__(self, shape, dtype=None):
        height, width, channels, filters = shape
        middle = [[height // 2, (height - 1) // 2], [width // 2, (width - 1) // 2]]
        identity = ops.eye(channels, min(channels, filters), dtype=dtype)[None, None]
        return ops.concatenate(
            [ops.pad(identity, [*middle, [0, 0], [0, 0]]), super().__call__(shape, dtype)[..., channels:]], -1
        )

    def get_config(self):
        return {"seed": super().get_config()["seed"]}


@keras.saving.register_keras_serializable(package="kerascnn")
class FullConv2D(keras.layers.Conv2D):
    """A convolution that lays its kernel wherever it touches the image ("full" padding), outside of which is 0.

    Takes Conv2D's arguments but padding and data_format. The gradient of a "valid" convolution is one, with the kernel
    turned.
    (B, H, W, C) float -> (B, (H + k - 2) // strides + 1, the same of W, filters) with k = kernel_size.
    """

    def __init__(self, *arguments, **kwargs):
        super().__init__(*arguments, **{**kwargs, "padding": "valid", "data_format": "channels_last"})

    def margins(self):
        reach = [rate * (size - 1) for rate, size in zip(self.dilation_rate, self.kernel_size, strict=True)]
        return [(0, 0), *((side, side) for side in reach), (0, 0)]

    def call(self, x):
        return super().call(ops.pad(x, self.margins()))

    def compute_output_shape(self, input_shape):
        sides = zip(input_shape, self.margins(), strict=True)
        return super().compute_output_shape([side and side + before + after for side, (before, after) in sides])


@keras.saving.register_keras_serializable(package="kerascnn")
class GroupedConv2D(keras.layers.Layer):
    """A convolution in which each of `groups` equal parts of the output channels sees its part of the input only.

    One kernel of the usual grouped shape (size, size, C / groups, filters), split, convolved and
    concatenated: Keras's own runs through XLA on the CPU, 12 to 430 times slower.
    (B, H, W, C) float -> (B, (H - kernel_size) // strides + 1, the same of W, filters), or ceil(H / strides) under
    "same".
    """

    def __init__(
        self, filters, kernel_size, groups, strides=1, padding="valid", use_bias=True,
        kernel_initializer="glorot_uniform", bias_initializer="zeros", **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.groups, self.strides = filters, kernel_size, groups, strides
        self.padding, self.use_bias = padding, use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape):
        if input_shape[-1] % self.groups or self.filters % self.groups:
            raise UsageError(
                f"groups is {self.groups}, which does not divide both {input_shape[-1]} input channels and "
                f"{self.filters} filters; choose numbers that it divides"
            )
        shape = (self.kernel_size, self.kernel_size, input_shape[-1] // self.groups, self.filters)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=self.kernel_initializer)
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer=self.bias_initializer)

    def call(self, x):
        parts = zip(ops.split(x, self.groups, -1), ops.split(self.kernel, self.groups, -1), strict=True)
        y = ops.concatenate(
            [ops.conv(part, kernel, self.strides, self.padding, "channels_last") for part, kernel in parts], -1
        )
        return y + self.bias if self.use_bias else y

    def compute_output_spec(self, x):
        # Keras would trace all groups to find the shape; SENet-154 has 3,200 of them.
        lost = 1 if self.padding == "same" else self.kernel_size
        sides = [side and ((side - lost) // self.strides + 1) for side in x.shape[1:3]]
        return keras.KerasTensor((x.shape[0], *sides, self.filters), self.compute_dtype)

    def get_config(self):
        names = ("filters", "kernel_size", "groups", "strides", "padding", "use_bias")
        own = {name: getattr(self, name) for name in names}
        own["kernel_initializer"] = keras.initializers.serialize(self.kernel_initializer)
        own["bias_initializer"] = keras.initializers.serialize(self.bias_initializer)
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kerascnn")
class ZeroPadShortcut(keras.layers.Layer):
    """Option A of He et al., 2015, section 4.2: every strides-th pixel, and zero channels until there are `filters`.

    The new channels are added half before and half behind, as in the CIFAR networks of most later code.
    (B, H, W, C) float -> (B, ceil(H / strides), ceil(W / strides), filters).
    """

    def __init__(self, filters, strides, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.strides = filters, strides

    def call(self, x):
        new = self.filters - x.shape[-1]
        # of one pixel each; the gradient of a slice runs on one core
        x = ops.average_pool(x, 1, self.strides, data_format="channels_last")
        return ops.pad(x, [(0, 0), (0, 0), (0, 0), (new // 2, new - new // 2)])

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "strides": self.strides}


@keras.saving.register_keras_serializable(package="kerascnn")
class ReflectPadding2D(keras.layers.Layer):
    """Each side continued by `margin` pixels of its reflection, the edge not repeated.

    (B, H, W, C) float -> (B, H + 2 margin, W + 2 margin, C); margin is less than H and W.
    """

    def __init__(self, margin, **kwargs):
        super().__init__(**kwargs)
        self.margin = margin

    def call(self, x):
        return ops.pad(x, [(0, 0), (self.margin, self.margin), (self.margin, self.margin), (0, 0)], mode="reflect")

    def get_config(self):
        return {**super().get_config(), "margin": self.margin}


def zero_padded(x, size, strides, name):
    """(x, the padding that a convolution is given) for symmetric zero padding of `size` // 2 pixels.

    Without a stride that is what "same" does, and needs no layer and no copy of x; with one, "same" pads unevenly.
    """
    if strides == 1:
        return x, "same"
    return (keras.layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x) if size > 1 else x), "valid"
