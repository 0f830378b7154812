"""Simple CNN: two convolutions and two dense layers, the first network of many courses.

Paper   None; a teaching example without an author of its own, here with 3×3 kernels and no padding.
Idea    Convolve, rectify, keep the largest of every 2×2 square, and again: each round sees a wider part of the
        image in fewer pixels and more channels. A dense layer then weighs all that was found.
Input   (B, 28, 28, 1) float32 in [0, 1].  Output (B, num_classes) float32 logits.

    conv1       26 × 26 × 32    3×3 convolution, ReLU
    pool1       13 × 13 × 32    2×2 maximum
    conv2       11 × 11 × 64    3×3 convolution, ReLU
    pool2        5 × 5 × 64     2×2 maximum
    embedding         1,024     dense, ReLU
    logits      num_classes     linear

Differs from the paper
    Nothing.
"""

import keras
from keras import layers

from kerascnn.models.input_shape import check_size


def simple_cnn(input_shape=(28, 28, 1), num_classes=10):
    """Two convolutions and two dense layers, 1,668,490 trainable parameters."""
    check_size(input_shape, 10, "simple_cnn", num_classes)
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1.0, name="normalize")(image)
    x = layers.Conv2D(32, 3, activation="relu", name="conv1")(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Conv2D(64, 3, activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool2")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(1024, activation="relu", name="embedding")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="simple_cnn")
