"""SENet: Squeeze-and-Excitation Networks.

Paper   Hu, Shen, Albanie, Sun & Wu, 2017. arXiv:1709.01507, section 3, table 1 and appendix A (SENet-154).
Idea    A block looks at the mean of each of its channels over the whole image and decides from these how loud each
        channel shall be. It costs hardly anything and fits into any network: here, into ResNet.
Input   (B, H, W, C) float32 in [0, 1], at least 3 × 3.  Output (B, num_classes) float32 logits.

    se_resnet*    as resnet*, each block's output scaled channel by channel before the addition
    senet154      for a 224 × 224 image:
    stem          112 × 112 × 128    three 3×3 convolutions, 64, 64 and 128 wide, the first of stride 2
    pool           56 × 56 × 128     3×3 maximum, stride 2
    stage1         56 × 56 × 256     3 blocks: 1×1 to 128, 3×3 to 256 in 64 groups, 1×1 to 256
    stage2         28 × 28 × 512     8 blocks, twice as wide
    stage3         14 × 14 × 1024    36 blocks, twice as wide
    stage4          7 × 7 × 2048     3 blocks, twice as wide
    embedding           2048         global average
    logits       num_classes         dropout 0.2, linear

Differs from the paper
    * No mean is subtracted from the images.
    * As in the authors' code the stride lies in the first convolution of SE-ResNet's bottlenecks and in the
      3×3 of SENet-154, excitation layers have biases, and pooling rounds up.
"""

from keras import layers

from kerascnn.layers import CeilingMaxPooling2D, GroupedConv2D, zero_padded
from kerascnn.models.resnet import basic_convs, bottleneck_convs, conv_bn, relu, resnet, shortcut


def squeeze_excitation(x, name, ratio=16):
    """Scale each channel by what all channel means together say of it: (H, W, C) → (H, W, C)."""
    s = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    narrow = max(1, x.shape[-1] // ratio)
    s = layers.Dense(narrow, activation="relu", name=f"{name}_reduce")(s)
    s = layers.Dense(x.shape[-1], activation="sigmoid", name=f"{name}_excite")(s)
    return layers.Multiply(name=f"{name}_scale")([x, s])


def se_basic(x, filters, strides, name):
    y = squeeze_excitation(basic_convs(x, filters, strides, name), f"{name}_se")
    return shortcut(x, y, strides, name)


def se_bottleneck(x, filters, strides, name):
    y = squeeze_excitation(bottleneck_convs(x, filters, strides, name), f"{name}_se")
    return shortcut(x, y, strides, name)


def stem(x):
    """(H, W, C) → (H/4, W/4, 64)."""
    x = relu(conv_bn(x, 64, 7, 2, name="stem_conv"), "stem_conv")
    return CeilingMaxPooling2D(3, 2, name="pool")(x)


def deep_stem(x):
    """(H, W, C) → (H/4, W/4, 128)."""
    for i, (filters, strides) in enumerate(((64, 2), (64, 1), (128, 1)), 1):
        x = relu(conv_bn(x, filters, 3, strides, name=f"stem_conv{i}"), f"stem_conv{i}")
    return CeilingMaxPooling2D(3, 2, name="pool")(x)


def grouped_bottleneck(x, filters, strides, name):
    """1×1 to 2·filters, 3×3 in 64 groups and 1×1, both to 4·filters: (H, W, C) → (H/s, W/s, 4·filters)."""
    y = relu(conv_bn(x, 2 * filters, 1, name=f"{name}_conv1"), f"{name}_conv1")
    y, padding = zero_padded(y, 3, strides, f"{name}_conv2")
    start = {"use_bias": False, "kernel_initializer": "he_normal"}
    y = GroupedConv2D(4 * filters, 3, 64, strides, padding, **start, name=f"{name}_conv2")(y)
    y = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_conv2_bn")(y)
    y = conv_bn(relu(y, f"{name}_conv2"), 4 * filters, 1, name=f"{name}_conv3")
    y = squeeze_excitation(y, f"{name}_se")
    if x.shape[-1] != y.shape[-1]:
        x = conv_bn(x, y.shape[-1], 3 if strides == 2 else 1, strides, name=f"{name}_project")
    return relu(layers.Add(name=f"{name}_add")([x, y]), name)


def se_resnet18(input_shape=(224, 224, 3), num_classes=1000):
    """SE-ResNet-18, 11,778,592 trainable parameters."""
    return resnet(se_basic, (2, 2, 2, 2), input_shape, num_classes, "se_resnet18", stem, minimum=3)


def se_resnet34(input_shape=(224, 224, 3), num_classes=1000):
    """SE-ResNet-34, 21,958,868 trainable parameters."""
    return resnet(se_basic, (3, 4, 6, 3), input_shape, num_classes, "se_resnet34", stem, minimum=3)


def se_resnet50(input_shape=(224, 224, 3), num_classes=1000):
    """SE-ResNet-50, 28,088,024 trainable parameters."""
    return resnet(se_bottleneck, (3, 4, 6, 3), input_shape, num_classes, "se_resnet50", stem, minimum=3)


def se_resnet101(input_shape=(224, 224, 3), num_classes=1000):
    """SE-ResNet-101, 49,326,872 trainable parameters."""
    return resnet(se_bottleneck, (3, 4, 23, 3), input_shape, num_classes, "se_resnet101", stem, minimum=3)


def se_resnet152(input_shape=(224, 224, 3), num_classes=1000):
    """SE-ResNet-152, 66,821,848 trainable parameters."""
    return resnet(se_bottleneck, (3, 8, 36, 3), input_shape, num_classes, "se_resnet152", stem, minimum=3)


def senet154(input_shape=(224, 224, 3), num_classes=1000):
    """SENet-154, 115,088,984 trainable parameters."""
    return resnet(
        grouped_bottleneck, (3, 8, 36, 3), input_shape, num_classes, "senet154", deep_stem, dropout=0.2, minimum=3
    )
