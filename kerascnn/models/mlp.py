"""Fully connected network with one hidden layer: the baseline without convolutions.

Paper   LeCun, Bottou, Bengio & Haffner, 1998. Proceedings of the IEEE 86(11), section III.C, the networks
        28×28-300-10 and 28×28-1000-10.
Idea    Every hidden unit has a weight of its own for every pixel, so nothing learnt in one place helps in another.
        Beside LeNet-5 it shows what sharing weights buys: fewer parameters, and digits that may shift.
Input   (B, 28, 28, 1) float32 in [0, 1], ink bright.  Output (B, num_classes) float32 logits.

    flatten             784
    embedding        hidden     dense, ReLU
    logits      num_classes     linear

Differs from the paper
    * ReLU in place of scaled tanh; linear logits for softmax cross-entropy in place of squared error.
"""

import keras
from keras import layers

from kerascnn.models.input_shape import check_size


def mlp(input_shape=(28, 28, 1), num_classes=10, hidden=300):
    """One hidden layer of `hidden` units (the paper has 300 and 1,000), 238,510 trainable parameters with 300."""
    check_size(input_shape, 1, "mlp", num_classes)
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1.0, name="normalize")(image)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(hidden, activation="relu", name="embedding")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="mlp")
