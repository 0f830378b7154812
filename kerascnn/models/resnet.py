"""ResNet: Deep Residual Learning for Image Recognition.

Paper   He, Zhang, Ren & Sun, 2015. arXiv:1512.03385, table 1; section 3.3 for the plain networks.
Idea    A block learns a correction to its input, y = relu(x + f(x)); with f = 0 it is the identity, so more layers
        need not make the network worse.
Input   (B, H, W, C) float32 in [0, 1], any size.  Output (B, num_classes) float32 logits.

For a 224 × 224 image, with e = 1 for basic blocks and 4 for bottlenecks:

    stem       112 × 112 × 64     7×7 convolution, stride 2
    pool        56 × 56 × 64      3×3 maximum, stride 2
    stage1      56 × 56 × 64e     depths[0] blocks
    stage2      28 × 28 × 128e    depths[1] blocks, the first of stride 2
    stage3      14 × 14 × 256e    depths[2] blocks, the first of stride 2
    stage4       7 × 7 × 512e     depths[3] blocks, the first of stride 2
    embedding         512e        global average
    logits      num_classes       linear

Differs from the paper
    * No mean is subtracted from the images; published weights bring theirs.
    * Shortcuts between different shapes are projections (option B), as in all published weights; the plain networks
      have no shortcuts and so the size of ResNets with option A.
    * `_v1_5` puts a bottleneck's stride into its 3×3 convolution, as torchvision does; the others, as the paper, into
      the first 1×1.
"""

import keras
from keras import layers

from kerascnn.layers import zero_padded
from kerascnn.models.input_shape import check_size


def conv_bn(x, filters, size, strides=1, *, name):
    """Convolution with symmetric zero padding, then batch normalization: (H, W, C) → (H/s, W/s, filters)."""
    x, padding = zero_padded(x, size, strides, name)
    initial = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    start = {"padding": padding, "use_bias": False, "kernel_initializer": initial}
    x = layers.Conv2D(filters, size, strides, **start, name=name)(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)


def relu(x, name):
    return layers.ReLU(name=f"{name}_relu")(x)


def shortcut(x, y, strides, name):
    """relu(x + y), with x projected by a 1×1 convolution where the shapes differ."""
    if strides != 1 or x.shape[-1] != y.shape[-1]:
        x = conv_bn(x, y.shape[-1], 1, strides, name=f"{name}_project")
    return relu(layers.Add(name=f"{name}_add")([x, y]), name)


def basic_convs(x, filters, strides, name):
    """Two 3×3 convolutions: (H, W, C) → (H/s, W/s, filters), the second without ReLU."""
    y = relu(conv_bn(x, filters, 3, strides, name=f"{name}_conv1"), f"{name}_conv1")
    return conv_bn(y, filters, 3, name=f"{name}_conv2")


def bottleneck_convs(x, filters, strides, name, stride_in=1):
    """1×1 down, 3×3, 1×1 up: (H, W, C) → (H/s, W/s, 4·filters); convolution 1 or 2 has the stride."""
    first, second = (strides, 1) if stride_in == 1 else (1, strides)
    y = relu(conv_bn(x, filters, 1, first, name=f"{name}_conv1"), f"{name}_conv1")
    y = relu(conv_bn(y, filters, 3, second, name=f"{name}_conv2"), f"{name}_conv2")
    return conv_bn(y, 4 * filters, 1, name=f"{name}_conv3")


def basic(x, filters, strides, name):
    return shortcut(x, basic_convs(x, filters, strides, name), strides, name)


def plain(x, filters, strides, name):
    return relu(basic_convs(x, filters, strides, name), name)


def bottleneck(x, filters, strides, name):
    return shortcut(x, bottleneck_convs(x, filters, strides, name), strides, name)


def bottleneck_v1_5(x, filters, strides, name):
    return shortcut(x, bottleneck_convs(x, filters, strides, name, stride_in=2), strides, name)


def stem(x):
    """(H, W, C) → (H/4, W/4, 64)."""
    x = relu(conv_bn(x, 64, 7, 2, name="stem_conv"), "stem_conv")
    return layers.MaxPooling2D(3, 2, name="pool")(layers.ZeroPadding2D(1, name="pool_pad")(x))


def resnet(block, depths, input_shape, num_classes, name, stem=stem, dropout=0.0, minimum=1):
    """The skeleton of every ResNet for ImageNet; senet.py passes its own block, stem and dropout at the end."""
    check_size(input_shape, minimum, name, num_classes, unknown=True)
    image = keras.Input(input_shape, name="image")
    x = stem(layers.Rescaling(1.0, name="normalize")(image))
    for stage, depth in enumerate(depths, 1):
        for i in range(1, depth + 1):
            strides = 2 if stage > 1 and i == 1 else 1
            x = block(x, 64 * 2 ** (stage - 1), strides, f"stage{stage}_block{i}")
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name=name)


def resnet18(input_shape=(224, 224, 3), num_classes=1000):
    """ResNet-18, 11,689,512 trainable parameters."""
    return resnet(basic, (2, 2, 2, 2), input_shape, num_classes, "resnet18")


def resnet34(input_shape=(224, 224, 3), num_classes=1000):
    """ResNet-34, 21,797,672 trainable parameters."""
    return resnet(basic, (3, 4, 6, 3), input_shape, num_classes, "resnet34")


def resnet50(input_shape=(224, 224, 3), num_classes=1000):
    """ResNet-50, 25,557,032 trainable parameters."""
    return resnet(bottleneck, (3, 4, 6, 3), input_shape, num_classes, "resnet50")


def resnet101(input_shape=(224, 224, 3), num_classes=1000):
    """ResNet-101, 44,549,160 trainable parameters."""
    return resnet(bottleneck, (3, 4, 23, 3), input_shape, num_classes, "resnet101")


def resnet152(input_shape=(224, 224, 3), num_classes=1000):
    """ResNet-152, 60,192,808 trainable parameters."""
    return resnet(bottleneck, (3, 8, 36, 3), input_shape, num_classes, "resnet152")


def resnet50_v1_5(input_shape=(224, 224, 3), num_classes=1000):
    """ResNet-50 with the stride in the 3×3 convolution, 25,557,032 trainable parameters."""
    return resnet(bottleneck_v1_5, (3, 4, 6, 3), input_shape, num_classes, "resnet50_v1_5")


def resnet101_v1_5(input_shape=(224, 224, 3), num_classes=1000):
    """ResNet-101 with the stride in the 3×3 convolution, 44,549,160 trainable parameters."""
    return resnet(bottleneck_v1_5, (3, 4, 23, 3), input_shape, num_classes, "resnet101_v1_5")


def resnet152_v1_5(input_shape=(224, 224, 3), num_classes=1000):
    """ResNet-152 with the stride in the 3×3 convolution, 60,192,808 trainable parameters."""
    return resnet(bottleneck_v1_5, (3, 8, 36, 3), input_shape, num_classes, "resnet152_v1_5")


def plain18(input_shape=(224, 224, 3), num_classes=1000):
    """ResNet-18 without shortcuts, 11,515,688 trainable parameters."""
    return resnet(plain, (2, 2, 2, 2), input_shape, num_classes, "plain18")


def plain34(input_shape=(224, 224, 3), num_classes=1000):
    """ResNet-34 without shortcuts, 21,623,848 trainable parameters."""
    return resnet(plain, (3, 4, 6, 3), input_shape, num_classes, "plain34")
