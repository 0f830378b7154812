"""airbench: the network with which CIFAR-10 is learnt fastest, and a deeper one for 95 %.

Paper   Jordan, 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv:2404.00498, sections 3.1 and 3.2; it
        descends from Page's ResNet for DAWNBench, 2018.
Idea    A first layer that whitens 2×2 patches and is never trained, and 3×3 convolutions that begin as the identity:
        learning starts with features, not with noise.
Input   (B, H, W, C) float32 in [0, 1], at least 25 × 25, or unknown; made for 32 × 32 × 3.
Output  (B, num_classes) float32 logits.

    normalize    32 × 32 × 3     mean 0 and standard deviation 1 on CIFAR-10
    whiten       31 × 31 × 24    2×2 convolution without padding, not trained; see `whiten`
    block1       15 × 15 × 64    3×3 convolution, 2×2 maximum, 3×3 convolution
    block2        7 × 7 × 256    the same
    block3        3 × 3 × 256    the same
    embedding       256          global maximum
    logits      num_classes      linear, without biases

    airbench95 has 96, 256 and 384 channels, and blocks of a third 3×3 convolution: the input of the second is added to
    what comes out of the third, before its SiLU.

Differs from the paper
    * Its network for 95 % has two convolutions a block, 128, 384 and 384 wide. The blocks of `airbench95` are those of
      its network for 96 %, as Jordan's code (cifar10-airbench) has them by now, with widths of 128, 384 and 512.
    * The biases of `whiten` stay as they are drawn; there they are trained for three epochs.
    * Weights of `logits` are drawn 256 times smaller; the records after the paper divide the logits by 256, the paper
      by 9. The rate of that layer is 256² times smaller for it than theirs. Of airbench95 it is 384.
    * SiLU behind the convolutions, GELU behind `whiten` only, as in the records after the paper.
"""

import keras
import numpy as np
from keras import layers

from kerascnn.errors import UsageError
from kerascnn.layers import Dirac
from kerascnn.models.input_shape import check_size

MEAN, STANDARD_DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of CIFAR-10's training images
PATCH = 2  # pixels along a side
LEAST_VARIANCE = 5e-4


def conv(x, filters, name):
    """A 3×3 convolution that begins as the identity: (H, W, C) → (H, W, filters)."""
    start = {"padding": "same", "use_bias": False, "kernel_initializer": Dirac()}
    return layers.Conv2D(filters, 3, **start, name=name)(x)


def norm(x, name):
    return layers.BatchNormalization(momentum=0.6, epsilon=1e-12, scale=False, name=f"{name}_bn")(x)


def silu(x, name):
    return layers.Activation("silu", name=f"{name}_silu")(x)


def block(x, filters, name, residual):
    """(H, W, C) → (H/2, W/2, filters); residual: with a third convolution, and a shortcut over the last two."""
    x = layers.MaxPooling2D(2, name=f"{name}_pool")(conv(x, filters, f"{name}_conv1"))
    x = shortcut = silu(norm(x, f"{name}_conv1"), f"{name}_conv1")
    x = silu(norm(conv(x, filters, f"{name}_conv2"), f"{name}_conv2"), f"{name}_conv2")
    if not residual:
        return x
    x = norm(conv(x, filters, f"{name}_conv3"), f"{name}_conv3")
    return silu(layers.Add(name=f"{name}_add")([x, shortcut]), f"{name}_conv3")


def airbench(input_shape=(32, 32, 3), num_classes=10):
    """The network of the CIFAR-10 speed records, 1,971,328 trainable parameters; `whiten` prepares it for training."""
    return of_widths("airbench", (64, 256, 256), input_shape, num_classes)


def airbench95(input_shape=(32, 32, 3), num_classes=10):
    """A deeper network for 95 % on CIFAR-10, 5,132,448 trainable parameters; `whiten` prepares it for training."""
    return of_widths("airbench95", (96, 256, 384), input_shape, num_classes, residual=True)


def of_widths(name, widths, input_shape, num_classes, residual=False):
    check_size(input_shape, 25, name, num_classes, unknown=True)
    channels = input_shape[2]
    image = keras.Input(input_shape, name="image")
    mean, deviation = (MEAN, STANDARD_DEVIATION) if channels == 3 else ([0.5] * channels, [0.25] * channels)
    scale, offset = [1 / d for d in deviation], [-m / d for m, d in zip(mean, deviation, strict=True)]
    x = layers.Rescaling(scale, offset, name="normalize")(image)
    limit = (channels * PATCH**2) ** -0.5
    biases = keras.initializers.RandomUniform(-limit, limit)
    x = layers.Conv2D(
        2 * channels * PATCH**2, PATCH, bias_initializer=biases, activation="gelu", trainable=False, name="whiten"
    )(x)
    for number, filters in enumerate(widths, 1):
        x = block(x, filters, f"block{number}", residual)
    x = layers.GlobalMaxPooling2D(name="embedding")(x)
    limit = 3**0.5 / widths[-1]
    small = keras.initializers.RandomUniform(-limit, limit)  # standard deviation 1 / widths[-1]
    options = {"use_bias": False, "kernel_initializer": small, "dtype": "float32"}
    logits = layers.Dense(num_classes, **options, name="logits")(x)
    return keras.Model(image, logits, name=name)


def whiten(model, images):
    """Set the filters of an airbench's layer `whiten` so that their answers to `images` are uncorrelated.

        kc.models.whiten(model, data.train.images[:5000] / 255)

    images: float (N, H, W, C) in [0, 1], a few thousand of those for training. The filters are the eigenvectors of the
    covariance of all patches, divided by the root of their eigenvalues, and then the same with the other sign. Raises
    UsageError for images of another range.
    """
    if not 0 <= np.min(images) <= np.max(images) <= 1:
        words = f"images has intensities from {np.min(images):g} to {np.max(images):g}"
        raise UsageError(f"{words}; divide uint8 by 255", argument="images")
    normalized = keras.ops.convert_to_numpy(model.get_layer("normalize")(np.asarray(images, np.float32)))
    windows = np.lib.stride_tricks.sliding_window_view(normalized, (PATCH, PATCH), (1, 2))
    patches = np.moveaxis(windows, 3, 5).reshape(-1, PATCH**2 * images.shape[3]).astype(np.float64)
    variances, directions = np.linalg.eigh(patches.T @ patches / len(patches))
    filters = directions / np.sqrt(variances + LEAST_VARIANCE)
    layer = model.get_layer("whiten")
    layer.kernel.assign(np.concatenate([filters, -filters], 1).reshape(layer.kernel.shape))
