"""ResNet for CIFAR-10: the small, thin networks with which He et al. studied depth.

Paper   He, Zhang, Ren & Sun, 2015. arXiv:1512.03385, section 4.2 and table 6; Hu et al., 2017, arXiv:1709.01507, for
        the squeeze-and-excitation form.
Idea    The same network at 20 to 110 layers: without shortcuts the deeper ones get worse, with them better.
Input   (B, H, W, C) float32 in [0, 1], any size; made for 32 × 32.  Output (B, num_classes) float32 logits.

    stem         32 × 32 × 16    3×3 convolution
    stage1       32 × 32 × 16    n blocks of two 3×3 convolutions
    stage2       16 × 16 × 32    n blocks, the first of stride 2
    stage3        8 × 8 × 64     n blocks, the first of stride 2
    embedding        64          global average
    logits     num_classes       linear; 6n + 2 layers with weights

Differs from the paper
    * No mean is subtracted from the images.
    * The zero channels of option A are added half before and half behind; the paper does not say where.
    * `_b` has projection shortcuts (option B), which the paper used for ImageNet only.
"""

import keras
from keras import layers

from kerascnn.layers import ZeroPadShortcut
from kerascnn.models.input_shape import check_size
from kerascnn.models.resnet import basic, basic_convs, conv_bn, plain, relu
from kerascnn.models.senet import squeeze_excitation


def basic_a(x, filters, strides, name):
    """A basic block whose shortcut has no weights: (H, W, C) → (H/s, W/s, filters)."""
    return padded_sum(x, basic_convs(x, filters, strides, name), strides, name)


def se_basic_a(x, filters, strides, name):
    y = squeeze_excitation(basic_convs(x, filters, strides, name), f"{name}_se")
    return padded_sum(x, y, strides, name)


def padded_sum(x, y, strides, name):
    if x.shape[-1] != y.shape[-1]:
        x = ZeroPadShortcut(y.shape[-1], strides, name=f"{name}_shortcut")(x)
    return relu(layers.Add(name=f"{name}_add")([x, y]), name)


def resnet_cifar(block, n, input_shape, num_classes, name):
    """The skeleton of all of them."""
    check_size(input_shape, 1, name, num_classes, unknown=True)
    image = keras.Input(input_shape, name="image")
    x = relu(conv_bn(layers.Rescaling(1.0, name="normalize")(image), 16, 3, name="stem_conv"), "stem_conv")
    for stage, filters in enumerate((16, 32, 64), 1):
        for i in range(1, n + 1):
            x = block(x, filters, 2 if stage > 1 and i == 1 else 1, f"stage{stage}_block{i}")
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name=name)


def resnet20(input_shape=(32, 32, 3), num_classes=10):
    """ResNet-20, 269,722 trainable parameters."""
    return resnet_cifar(basic_a, 3, input_shape, num_classes, "resnet20")


def resnet32(input_shape=(32, 32, 3), num_classes=10):
    """ResNet-32, 464,154 trainable parameters."""
    return resnet_cifar(basic_a, 5, input_shape, num_classes, "resnet32")


def resnet44(input_shape=(32, 32, 3), num_classes=10):
    """ResNet-44, 658,586 trainable parameters."""
    return resnet_cifar(basic_a, 7, input_shape, num_classes, "resnet44")


def resnet56(input_shape=(32, 32, 3), num_classes=10):
    """ResNet-56, 853,018 trainable parameters."""
    return resnet_cifar(basic_a, 9, input_shape, num_classes, "resnet56")


def resnet110(input_shape=(32, 32, 3), num_classes=10):
    """ResNet-110, 1,727,962 trainable parameters."""
    return resnet_cifar(basic_a, 18, input_shape, num_classes, "resnet110")


def resnet20_b(input_shape=(32, 32, 3), num_classes=10):
    """ResNet-20 with projections, 272,474 trainable parameters."""
    return resnet_cifar(basic, 3, input_shape, num_classes, "resnet20_b")


def resnet32_b(input_shape=(32, 32, 3), num_classes=10):
    """ResNet-32 with projections, 466,906 trainable parameters."""
    return resnet_cifar(basic, 5, input_shape, num_classes, "resnet32_b")


def resnet44_b(input_shape=(32, 32, 3), num_classes=10):
    """ResNet-44 with projections, 661,338 trainable parameters."""
    return resnet_cifar(basic, 7, input_shape, num_classes, "resnet44_b")


def resnet56_b(input_shape=(32, 32, 3), num_classes=10):
    """ResNet-56 with projections, 855,770 trainable parameters."""
    return resnet_cifar(basic, 9, input_shape, num_classes, "resnet56_b")


def resnet110_b(input_shape=(32, 32, 3), num_classes=10):
    """ResNet-110 with projections, 1,730,714 trainable parameters."""
    return resnet_cifar(basic, 18, input_shape, num_classes, "resnet110_b")


def plain20(input_shape=(32, 32, 3), num_classes=10):
    """ResNet-20 without shortcuts, 269,722 trainable parameters."""
    return resnet_cifar(plain, 3, input_shape, num_classes, "plain20")


def plain56(input_shape=(32, 32, 3), num_classes=10):
    """ResNet-56 without shortcuts, 853,018 trainable parameters."""
    return resnet_cifar(plain, 9, input_shape, num_classes, "plain56")


def se_resnet20(input_shape=(32, 32, 3), num_classes=10):
    """ResNet-20 with squeeze and excitation, 272,095 trainable parameters."""
    return resnet_cifar(se_basic_a, 3, input_shape, num_classes, "se_resnet20")
