"""VGG: Very Deep Convolutional Networks for Large-Scale Image Recognition.

Paper   Simonyan & Zisserman, 2014. arXiv:1409.1556, table 1, columns A to E.
Idea    Nothing but 3×3 convolutions: two of them see as much as a 5×5 and three as much as a 7×7, with fewer weights
        and more ReLUs in between.
Input   (B, H, W, C) float32 in [0, 1], at least 32 × 32.  Output (B, num_classes) float32 logits.

For a 224 × 224 image; n convolutions a stage: (1, 1, 2, 2, 2) in VGG-11, (2, 2, 2, 2, 2) in VGG-13, (2, 2, 3, 3, 3) in
VGG-16, (2, 2, 4, 4, 4) in VGG-19:

    stage1       112 × 112 × 64    n 3×3 convolutions, 2×2 maximum
    stage2        56 × 56 × 128    the same
    stage3        28 × 28 × 256    the same; in VGG-16 C the last of three is 1×1
    stage4        14 × 14 × 512    the same
    stage5         7 × 7 × 512     the same
    fc1               4096         dense, ReLU, dropout 0.5
    embedding         4096         dense, ReLU; dropout 0.5 behind it
    logits        num_classes      linear

Differs from the paper
    * No mean is subtracted from the images; published weights bring theirs.
    * Weights begin as in He et al., 2015 (arXiv:1502.01852); the paper began deep networks with trained shallow ones.
    * `_bn` has batch normalization after every convolution (Ioffe & Szegedy, 2015), as in widespread weights.
"""

import keras
from keras import layers

from kerascnn.models.input_shape import check_size


def vgg(sizes, input_shape, num_classes, name, batch_norm=False):
    """The skeleton of all of them; sizes: for each of the five stages the kernel sizes of its convolutions."""
    check_size(input_shape, 32, name, num_classes)
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1.0, name="normalize")(image)
    for stage, (kernels, filters) in enumerate(zip(sizes, (64, 128, 256, 512, 512), strict=True), 1):
        for i, size in enumerate(kernels, 1):
            conv = f"stage{stage}_conv{i}"
            x = layers.Conv2D(filters, size, padding="same", kernel_initializer="he_normal", name=conv)(x)
            if batch_norm:
                x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{conv}_bn")(x)
            x = layers.ReLU(name=f"{conv}_relu")(x)
        x = layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(4096, activation="relu", kernel_initializer="he_normal", name="fc1")(x)
    x = layers.Dropout(0.5, name="fc1_dropout")(x)
    x = layers.Dense(4096, activation="relu", kernel_initializer="he_normal", name="embedding")(x)
    x = layers.Dropout(0.5, name="embedding_dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name=name)


A = [[3], [3], [3] * 2, [3] * 2, [3] * 2]
B = [[3] * 2] * 5
C = [[3] * 2, [3] * 2, [3, 3, 1], [3, 3, 1], [3, 3, 1]]
D = [[3] * 2, [3] * 2, [3] * 3, [3] * 3, [3] * 3]
E = [[3] * 2, [3] * 2, [3] * 4, [3] * 4, [3] * 4]


def vgg11(input_shape=(224, 224, 3), num_classes=1000):
    """VGG-11, column A, 132,863,336 trainable parameters."""
    return vgg(A, input_shape, num_classes, "vgg11")


def vgg13(input_shape=(224, 224, 3), num_classes=1000):
    """VGG-13, column B, 133,047,848 trainable parameters."""
    return vgg(B, input_shape, num_classes, "vgg13")


def vgg16c(input_shape=(224, 224, 3), num_classes=1000):
    """VGG-16 with 1×1 convolutions, column C, 133,638,952 trainable parameters."""
    return vgg(C, input_shape, num_classes, "vgg16c")


def vgg16(input_shape=(224, 224, 3), num_classes=1000):
    """VGG-16, column D, 138,357,544 trainable parameters."""
    return vgg(D, input_shape, num_classes, "vgg16")


def vgg19(input_shape=(224, 224, 3), num_classes=1000):
    """VGG-19, column E, 143,667,240 trainable parameters."""
    return vgg(E, input_shape, num_classes, "vgg19")


def vgg11_bn(input_shape=(224, 224, 3), num_classes=1000):
    """VGG-11 with batch normalization, 132,868,840 trainable parameters."""
    return vgg(A, input_shape, num_classes, "vgg11_bn", batch_norm=True)


def vgg13_bn(input_shape=(224, 224, 3), num_classes=1000):
    """VGG-13 with batch normalization, 133,053,736 trainable parameters."""
    return vgg(B, input_shape, num_classes, "vgg13_bn", batch_norm=True)


def vgg16_bn(input_shape=(224, 224, 3), num_classes=1000):
    """VGG-16 with batch normalization, 138,365,992 trainable parameters."""
    return vgg(D, input_shape, num_classes, "vgg16_bn", batch_norm=True)


def vgg19_bn(input_shape=(224, 224, 3), num_classes=1000):
    """VGG-19 with batch normalization, 143,678,248 trainable parameters."""
    return vgg(E, input_shape, num_classes, "vgg19_bn", batch_norm=True)
