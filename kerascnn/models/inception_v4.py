"""Inception-v4: Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning.

Paper   Szegedy, Ioffe, Vanhoucke & Alemi, 2016. arXiv:1602.07261, figures 3 to 9, table 1.
Idea    Inception grown up: large kernels taken apart into 1×7 and 7×1, and a few uniform modules repeated.
Input   (B, H, W, C) float32 in [0, 1], at least 75 × 75, or unknown.  Output (B, num_classes) float32 logits.

For a 299 × 299 image:

    stem           35 × 35 × 384     figure 3
    inception_a    35 × 35 × 384     four modules, figure 4
    reduction_a    17 × 17 × 1024    figure 7 with k = 192, l = 224, m = 256, n = 384
    inception_b    17 × 17 × 1024    seven modules, figure 5
    reduction_b     8 × 8 × 1536     figure 8
    inception_c     8 × 8 × 1536     three modules, figure 6
    embedding         1536           global average
    logits         num_classes       dropout 0.2, linear

Differs from the paper
    * Batch normalization has scales as well as offsets, as in the weights that are used today.
    * As in TF-slim's code and these weights, 1×n and n×1 change places in the long branches of figures 3, 5 and 6, the
      256-wide convolution of figure 5's short branch is 7×1, not 1×7, and the last one of figure 3 has a stride of 2.
"""

import keras
from keras import layers

from kerascnn.models.input_shape import check_size


def conv(x, filters, size, name, strides=1, padding="same"):
    """Convolution without bias, batch normalization, ReLU; size is a number or (height, width)."""
    x = layers.Conv2D(filters, size, strides, padding, use_bias=False, kernel_initializer="he_normal", name=name)(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def chain(x, name, *steps):
    """Convolutions one after the other, each (filters, size) or (filters, size, strides, padding)."""
    for i, step in enumerate(steps, 1):
        filters, size, *rest = step
        x = conv(x, filters, size, f"{name}{i}", *rest)
    return x


def joined(name, *branches):
    return layers.Concatenate(name=f"{name}_output")(list(branches))


def pooled(x, filters, name):
    """3×3 average that leaves the frame out of its count, then 1×1: (H, W, C) → (H, W, filters)."""
    x = layers.AveragePooling2D(3, 1, padding="same", name=f"{name}_pool")(x)
    return conv(x, filters, 1, f"{name}_pool_conv")


def stem(x):
    """(299, 299, 3) → (35, 35, 384)."""
    x = chain(x, "stem_conv", (32, 3, 2, "valid"), (32, 3, 1, "valid"), (64, 3))
    x = joined("stem_a", layers.MaxPooling2D(3, 2, name="stem_a_pool")(x), conv(x, 96, 3, "stem_a_conv", 2, "valid"))
    short = chain(x, "stem_b1_conv", (64, 1), (96, 3, 1, "valid"))
    long = chain(x, "stem_b2_conv", (64, 1), (64, (1, 7)), (64, (7, 1)), (96, 3, 1, "valid"))
    x = joined("stem_b", short, long)
    return joined(
        "stem_c", conv(x, 192, 3, "stem_c_conv", 2, "valid"), layers.MaxPooling2D(3, 2, name="stem_c_pool")(x)
    )


def inception_a(x, name):
    """(H, W, 384) → (H, W, 384)."""
    return joined(
        name,
        conv(x, 96, 1, f"{name}_b1_conv1"),
        chain(x, f"{name}_b2_conv", (64, 1), (96, 3)),
        chain(x, f"{name}_b3_conv", (64, 1), (96, 3), (96, 3)),
        pooled(x, 96, name),
    )


def reduction_a(x, name):
    """(H, W, 384) → (H/2, W/2, 1024)."""
    return joined(
        name,
        conv(x, 384, 3, f"{name}_b1_conv1", 2, "valid"),
        chain(x, f"{name}_b2_conv", (192, 1), (224, 3), (256, 3, 2, "valid")),
        layers.MaxPooling2D(3, 2, name=f"{name}_pool")(x),
    )


def inception_b(x, name):
    """(H, W, 1024) → (H, W, 1024)."""
    return joined(
        name,
        conv(x, 384, 1, f"{name}_b1_conv1"),
        chain(x, f"{name}_b2_conv", (192, 1), (224, (1, 7)), (256, (7, 1))),
        chain(x, f"{name}_b3_conv", (192, 1), (192, (7, 1)), (224, (1, 7)), (224, (7, 1)), (256, (1, 7))),
        pooled(x, 128, name),
    )


def reduction_b(x, name):
    """(H, W, 1024) → (H/2, W/2, 1536)."""
    return joined(
        name,
        chain(x, f"{name}_b1_conv", (192, 1), (192, 3, 2, "valid")),
        chain(x, f"{name}_b2_conv", (256, 1), (256, (1, 7)), (320, (7, 1)), (320, 3, 2, "valid")),
        layers.MaxPooling2D(3, 2, name=f"{name}_pool")(x),
    )


def inception_c(x, name):
    """(H, W, 1536) → (H, W, 1536); two branches fork at their end."""
    short = conv(x, 384, 1, f"{name}_b2_conv1")
    long = chain(x, f"{name}_b3_conv", (384, 1), (448, (3, 1)), (512, (1, 3)))
    return joined(
        name,
        conv(x, 256, 1, f"{name}_b1_conv1"),
        conv(short, 256, (1, 3), f"{name}_b2_conv2a"),
        conv(short, 256, (3, 1), f"{name}_b2_conv2b"),
        conv(long, 256, (1, 3), f"{name}_b3_conv4a"),
        conv(long, 256, (3, 1), f"{name}_b3_conv4b"),
        pooled(x, 256, name),
    )


def inception_v4(input_shape=(299, 299, 3), num_classes=1000):
    """Inception-v4, 42,679,816 trainable parameters."""
    check_size(input_shape, 75, "inception_v4", num_classes, unknown=True)
    image = keras.Input(input_shape, name="image")
    x = stem(layers.Rescaling(1.0, name="normalize")(image))
    for module, count in ((inception_a, 4), (reduction_a, 1), (inception_b, 7), (reduction_b, 1), (inception_c, 3)):
        for i in range(1, count + 1):
            x = module(x, module.__name__ + (str(i) if count > 1 else ""))
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="inception_v4")
