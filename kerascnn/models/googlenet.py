"""GoogLeNet: Going Deeper with Convolutions.

Paper   Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke & Rabinovich, 2014. arXiv:1409.4842, table 1,
        figures 2 and 3.
Idea    Look at several scales at once and let the next layer choose. 1×1 convolutions first make the channels fewer, so
        that this costs a tenth of AlexNet's weights.
Input   (B, H, W, C) float32 in [0, 1], at least 31 × 31, `googlenet_bn` 15 × 15; `googlenet_aux` at least 79 × 79 and
        of known size, since its heads are dense.
Output  (B, num_classes) float32 logits; `googlenet_aux` {"logits", "aux1_logits", "aux2_logits"}, weighed 1, 0.3, 0.3.

For a 224 × 224 image; all maximum pooling is 3×3 with stride 2 and rounds up:

    conv1            112 × 112 × 64     7×7 convolution, stride 2
    pool1             56 × 56 × 64      maximum, response normalization
    conv2             56 × 56 × 192     1×1 to 64, 3×3 to 192, response normalization
    pool2             28 × 28 × 192     maximum
    inception3a, b    28 × 28 × 480
    pool3             14 × 14 × 480     maximum
    inception4a … e   14 × 14 × 832     the heads start from 4a and 4d
    pool4              7 × 7 × 832      maximum
    inception5a, b     7 × 7 × 1024
    embedding            1024           global average
    logits            num_classes       dropout 0.4, linear

Differs from the paper
    * No mean is subtracted from the images.
    * Response normalization has the constants of the authors' Caffe model: k = 1, alpha = 1e-4 / 5. They are for pixels
      up to 255; of images in [0, 1] it changes little.
    * `googlenet_bn` is what torchvision's weights fit: batch normalization everywhere and no response normalization,
      3×3 convolutions where the paper has 5×5 (a slip that was kept), 2×2 maximum in pool4, dropout 0.2.
"""

import keras
from keras import layers

from kerascnn.layers import CeilingMaxPooling2D, LocalResponseNormalization, zero_padded
from kerascnn.models.input_shape import check_size

# Table 1: the widths of 1×1; 3×3 reduce, 3×3; 5×5 reduce, 5×5; pool projection. None stands for pooling.
MODULES = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "pool3": None,
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "pool4": None,
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}


def conv(x, filters, size, name, strides=1, batch_norm=False):
    """Convolution with symmetric zero padding, batch normalization if asked for, ReLU: → (H/s, W/s, filters)."""
    x, padding = zero_padded(x, size, strides, name)
    start = {"padding": padding, "kernel_initializer": "he_normal"}
    x = layers.Conv2D(filters, size, strides, use_bias=not batch_norm, **start, name=name)(x)
    if batch_norm:
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def inception(x, widths, name, batch_norm=False):
    """Four views side by side (figure 2b): (H, W, C) → (H, W, widths 0 + 2 + 4 + 5)."""
    one, reduce3, three, reduce5, five, project = widths
    size5 = 3 if batch_norm else 5
    y1 = conv(x, one, 1, f"{name}_1x1", batch_norm=batch_norm)
    y3 = conv(x, reduce3, 1, f"{name}_3x3_reduce", batch_norm=batch_norm)
    y3 = conv(y3, three, 3, f"{name}_3x3", batch_norm=batch_norm)
    y5 = conv(x, reduce5, 1, f"{name}_5x5_reduce", batch_norm=batch_norm)
    y5 = conv(y5, five, size5, f"{name}_5x5", batch_norm=batch_norm)
    pooled = layers.MaxPooling2D(3, 1, padding="same", name=f"{name}_pool")(x)
    yp = conv(pooled, project, 1, f"{name}_project", batch_norm=batch_norm)
    return layers.Concatenate(name=f"{name}_output")([y1, y3, y5, yp])


def naive_inception(x, widths, name):
    """The module before reduction (figure 2a), to compare costs: (H, W, C) → (H, W, widths 0 + 2 + 4 + C)."""
    one, _, three, _, five, _ = widths
    y1, y3, y5 = (conv(x, n, s, f"{name}_{s}x{s}") for n, s in ((one, 1), (three, 3), (five, 5)))
    pooled = layers.MaxPooling2D(3, 1, padding="same", name=f"{name}_pool")(x)
    return layers.Concatenate(name=f"{name}_output")([y1, y3, y5, pooled])


def trunk(image, batch_norm):
    """(B, H, W, C) → by name the outputs of all modules, the last (B, H/32, W/32, 1024)."""

    def norm(x, name):
        return x if batch_norm else LocalResponseNormalization(k=1.0, alpha=1e-4 / 5, name=name)(x)

    x = conv(layers.Rescaling(1.0, name="normalize")(image), 64, 7, "conv1", 2, batch_norm)
    x = norm(CeilingMaxPooling2D(3, 2, name="pool1")(x), "norm1")
    x = conv(conv(x, 64, 1, "conv2_reduce", 1, batch_norm), 192, 3, "conv2", 1, batch_norm)
    x = CeilingMaxPooling2D(3, 2, name="pool2")(norm(x, "norm2"))
    outputs = {}
    for name, widths in MODULES.items():
        if widths:
            x = inception(x, widths, name, batch_norm)
        else:
            x = CeilingMaxPooling2D(2 if batch_norm and name == "pool4" else 3, 2, name=name)(x)
        outputs[name] = x
    return outputs


def head(x, num_classes, dropout):
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return layers.Dense(num_classes, dtype="float32", name="logits")(x)


def auxiliary_head(x, num_classes, name):
    """A classifier halfway (section 5): 5×5 average with stride 3, 1×1 convolution, two dense layers."""
    x = layers.AveragePooling2D(5, 3, name=f"{name}_pool")(x)
    x = layers.Flatten(name=f"{name}_flatten")(conv(x, 128, 1, f"{name}_conv"))
    x = layers.Dense(1024, activation="relu", name=f"{name}_fc")(x)
    x = layers.Dropout(0.7, name=f"{name}_dropout")(x)
    return layers.Dense(num_classes, dtype="float32", name=f"{name}_logits")(x)


def googlenet(input_shape=(224, 224, 3), num_classes=1000):
    """GoogLeNet without auxiliary heads, 6,998,552 trainable parameters."""
    check_size(input_shape, 31, "googlenet", num_classes, unknown=True)
    image = keras.Input(input_shape, name="image")
    logits = head(trunk(image, batch_norm=False)["inception5b"], num_classes, 0.4)
    return keras.Model(image, logits, name="googlenet")


def googlenet_aux(input_shape=(224, 224, 3), num_classes=1000):
    """GoogLeNet with both auxiliary heads, 13,378,280 trainable parameters."""
    check_size(input_shape, 79, "googlenet_aux", num_classes)
    image = keras.Input(input_shape, name="image")
    modules = trunk(image, batch_norm=False)
    outputs = {
        "logits": head(modules["inception5b"], num_classes, 0.4),
        "aux1_logits": auxiliary_head(modules["inception4a"], num_classes, "aux1"),
        "aux2_logits": auxiliary_head(modules["inception4d"], num_classes, "aux2"),
    }
    return keras.Model(image, outputs, name="googlenet_aux")


def googlenet_bn(input_shape=(224, 224, 3), num_classes=1000):
    """GoogLeNet with batch normalization as in torchvision, 6,624,904 trainable parameters."""
    check_size(input_shape, 15, "googlenet_bn", num_classes, unknown=True)
    image = keras.Input(input_shape, name="image")
    logits = head(trunk(image, batch_norm=True)["inception5b"], num_classes, 0.2)
    return keras.Model(image, logits, name="googlenet_bn")
