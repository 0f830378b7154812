"""LeNet-5: Gradient-Based Learning Applied to Document Recognition.

Paper   LeCun, Bottou, Bengio & Haffner, 1998. Proceedings of the IEEE 86(11), section II.B, figure 2.
Idea    Small kernels shared over the whole image find the same stroke wherever it lies; averaging between them
        makes the answer depend less and less on where exactly that was.
Input   (B, 28, 28, 1) float32 in [0, 1], ink bright.  Output (B, num_classes) float32 logits.

    pad         32 × 32 × 1     2 pixels of background on every side
    c1          28 × 28 × 6     5×5 convolution, tanh
    s2          14 × 14 × 6     2×2 average
    c3          10 × 10 × 16    5×5 convolution, tanh
    s4           5 × 5 × 16     2×2 average
    c5                  120     5×5 convolution on 5 × 5, which is a dense layer, tanh
    embedding            84     f6, dense, tanh
    logits      num_classes     linear

Differs from the paper
    * `lenet5` is the form taught today: every map of c3 sees all six maps of s2, averages have no trainable
      coefficient, tanh is not scaled, and ten linear outputs stand in place of the distances to fixed codes.
"""

import keras
from keras import layers

from kerascnn.models.layers import Normalize, check_size


def lenet5(input_shape=(28, 28, 1), num_classes=10):
    """LeNet-5 as in the lecture notes, 61,706 trainable parameters."""
    check_size(input_shape, 12, "lenet5")
    image = keras.Input(input_shape, name="image")
    x = Normalize()(image)
    x = layers.ZeroPadding2D(2, name="pad")(x)
    x = layers.Conv2D(6, 5, activation="tanh", name="c1")(x)
    x = layers.AveragePooling2D(2, name="s2")(x)
    x = layers.Conv2D(16, 5, activation="tanh", name="c3")(x)
    x = layers.AveragePooling2D(2, name="s4")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(120, activation="tanh", name="c5")(x)
    x = layers.Dense(84, activation="tanh", name="embedding")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="lenet5")
