"""Classic image filters as Keras layers, channels last, in keras.ops: nothing in them is trained.

A filter lays its kernel on every pixel's neighbourhood and sums the products: cross-correlation, as OpenCV's filter2D
and every convolutional network compute it. The convolution of mathematics turns the kernel by 180 degrees first. x runs
to the right and y down. Each channel is filtered on its own.

Sources: Prewitt, 1970; Sobel & Feldman, 1968; Scharr, 2000 (thesis, Heidelberg); Burt & Adelson, 1983 (1-4-6-4-1);
OpenCV's documentation of filter2D, getGaussianKernel, medianBlur and BorderTypes.
"""

from functools import partial

import keras
import numpy as np
from keras import ops

from kerascnn.errors import UsageError
from kerascnn.layers.pooling import MinPooling2D

BORDERS = ("zero", "replicate", "reflect")


def outer(column, row):
    """The kernel (len(column), len(row)) that filters with `column` along y and with `row` along x."""
    return np.outer(column, row).tolist()


def check_odd(size):
    """The size. Raises UsageError unless it is an odd whole number of at least 1."""
    if not isinstance(size, int) or size < 1 or size % 2 == 0:
        raise UsageError(f"size is {size!r}; give an odd whole number of at least 1", argument="size")
    return size


def gaussian(sigma, size=None):
    """The Gaussian kernel (size, size) of `sigma` pixels, summing to 1, as OpenCV's getGaussianKernel has it.

    `size` is odd; by default it reaches 4 sigma to each side, as OpenCV chooses for float images. Raises UsageError
    unless sigma is above 0 and size odd.
    """
    if not 0 < sigma < float("inf"):
        raise UsageError(f"sigma is {sigma}; give a number above 0", argument="sigma")
    size = check_odd(round(8 * sigma + 1) | 1 if size is None else size)
    distance = np.arange(size) - size // 2
    weights = np.exp(-(distance**2) / (2 * sigma**2))
    weights /= weights.sum()
    return outer(weights, weights)


KERNELS = {
    "mean": outer([1 / 3, 1 / 3, 1 / 3], [1 / 3, 1 / 3, 1 / 3]),
    "gaussian": outer([1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16], [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16]),
    "gaussian_sigma_3": gaussian(3.0),
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "edge_detect": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    "laplacian_4": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "laplacian_8": [[1, 1, 1], [1, -8, 1], [1, 1, 1]],
    "second_derivative_xx": [[1, -2, 1]],
    "second_derivative_yy": [[1], [-2], [1]],
    "second_derivative_xy": [[0.25, 0, -0.25], [0, 0, 0], [-0.25, 0, 0.25]],
    "prewitt_x": [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]],
    "prewitt_y": [[-1, -1, -1], [0, 0, 0], [1, 1, 1]],
    "sobel_x": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "sobel_y": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    "scharr_x": [[-3, 0, 3], [-10, 0, 10], [-3, 0, 3]],
    "scharr_y": [[-3, -10, -3], [0, 0, 0], [3, 10, 3]],
}


@keras.saving.register_keras_serializable(package="kerascnn")
class FixedFilter(keras.layers.Layer):
    """Each channel cross-correlated with one fixed kernel, a table of h rows of w finite numbers.

    "valid" lays the kernel only where it fits, "same" on every pixel (the kernel's anchor is [h // 2][w // 2], as in
    OpenCV), "full" wherever it touches the image. What lies outside is 0 (border "zero"), the nearest pixel
    ("replicate") or the image reflected at its outermost pixels ("reflect", OpenCV's default). `strides` n keeps every
    n-th row and column of the result. Raises UsageError for arguments of other kinds and for an image smaller than the
    kernel under "valid".

    (B, H, W, C) float -> (B, ceil(H' / strides), ceil(W' / strides), C), where H' is H + h - 1 (full), H (same) or
    H - h + 1 (valid), and so W'.
    """

    def __init__(self, kernel, padding="same", strides=1, border="zero", **kwargs):
        super().__init__(**kwargs)
        self.kernel = check_kernel(kernel)
        self.padding = check_choice("padding", padding, ("full", "same", "valid"))
        if not isinstance(strides, int) or strides < 1:
            raise UsageError(f"strides is {strides!r}; give a whole number of at least 1", argument="strides")
        self.strides = strides
        self.border = check_choice("border", border, BORDERS)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, x):
        x = ops.cast(x, self.compute_dtype)
        size = len(self.kernel), len(self.kernel[0])
        if self.padding == "same":
            x = pad(x, [(side // 2, side - 1 - side // 2) for side in size], self.border)
        elif self.padding == "full":
            x = pad(x, [(side - 1, side - 1) for side in size], self.border)
        elif any(have is not None and have < need for have, need in zip(x.shape[1:3], size, strict=True)):
            raise UsageError(
                f"padding is 'valid', and an image of {x.shape[1]} x {x.shape[2]} pixels is smaller than the kernel of "
                f"{size[0]} x {size[1]}; use 'same' or a larger image"
            )
        kernel = ops.tile(ops.reshape(ops.cast(self.kernel, x.dtype), (*size, 1, 1)), (1, 1, x.shape[-1], 1))
        return ops.depthwise_conv(x, kernel, self.strides, "valid", "channels_last")

    def get_config(self):
        own = {name: getattr(self, name) for name in ("kernel", "padding", "strides", "border")}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kerascnn")
class MedianFilter(keras.layers.Layer):
    """The median of the size x size pixels around each pixel, channel by channel; `size` is odd.

    Outside lies the nearest pixel, as for OpenCV's medianBlur. Raises UsageError unless size is odd.
    (B, H, W, C) float -> (B, H, W, C).
    """

    def __init__(self, size=3, **kwargs):
        super().__init__(**kwargs)
        self.size = check_odd(size)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, x):
        reach = self.size // 2
        wide = pad(x, [(reach, reach), (reach, reach)], "replicate")
        cuts = [slice(i, i - 2 * reach or None) for i in range(self.size)]
        neighbours = ops.stack([wide[:, rows, columns] for rows in cuts for columns in cuts], axis=-1)
        return ops.sort(neighbours, axis=-1)[..., self.size**2 // 2]

    def get_config(self):
        return {**super().get_config(), "size": self.size}


# Each makes the layer; the linear ones take FixedFilter's padding, strides and border.
FILTERS = {
    **{name: partial(FixedFilter, kernel) for name, kernel in KERNELS.items()},
    "median": partial(MedianFilter, 5),
    "max_pooling": partial(keras.layers.MaxPooling2D, 4, padding="same", data_format="channels_last"),
    "min_pooling": partial(MinPooling2D, 4, padding="same"),
    "average_pooling": partial(keras.layers.AveragePooling2D, 4, padding="same", data_format="channels_last"),
}


def pad(x, widths, border):
    """x (B, H, W, C) with `widths` ((above, below), (left, right)) pixels more, which hold what `border` says."""
    if border == "zero":
        return ops.pad(x, [(0, 0), *widths, (0, 0)])
    for axis, (before, after) in enumerate(widths, 1):
        last = ops.shape(x)[axis] - 1
        places = ops.arange(-before, last + 1 + after)
        if border == "replicate":
            places = ops.clip(places, 0, last)
        else:  # 0 1 2 3 2 1, again and again
            places = last - ops.abs(last - places % ops.maximum(2 * last, 1))
        x = ops.take(x, places, axis=axis)
    return x


def check_kernel(kernel):
    """The kernel as a list of rows of float. Raises UsageError unless all are finite and the rows of one length."""
    try:
        table = np.array(kernel, "float64")
    except (TypeError, ValueError):
        table = np.empty(0)
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        raise UsageError(f"kernel is {kernel!r}; give rows of finite numbers, all of one length", argument="kernel")
    return table.tolist()


def check_choice(name, value, choices):
    """The value. Raises UsageError unless it is one of `choices`."""
    if value not in choices:
        raise UsageError(f"{name} is {value!r}; choose one of {', '.join(choices)}", argument=name)
    return value
