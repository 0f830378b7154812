"""The CIFAR-10 network of ConvNetJS.

Paper   None; the demonstration "ConvNetJS CIFAR-10" of Karpathy, 2014, cs.stanford.edu/people/karpathy/convnetjs.
Idea    Three small convolutions, trained in a web browser while one looks on.
Input   (B, 32, 32, 3) float32 in [0, 1], at least 8 × 8; `normalize` makes the demonstration's -0.5 to 0.5 of it.
Output  (B, num_classes) float32 logits.

    conv1        32 × 32 × 16    5×5 convolution, ReLU
    pool1        16 × 16 × 16    2×2 maximum
    conv2        16 × 16 × 20    5×5 convolution, ReLU
    pool2         8 × 8 × 20     2×2 maximum
    conv3         8 × 8 × 20     5×5 convolution, ReLU
    pool3         4 × 4 × 20     2×2 maximum
    embedding        320         flattened
    logits       num_classes     linear

Differs from the paper
    * Biases begin at 0, there at 0.1, and weights are Glorot's, there drawn from a normal distribution.
"""

import keras
from keras import layers

from kerascnn.models.input_shape import check_size


def convnetjs(input_shape=(32, 32, 3), num_classes=10):
    """The ConvNetJS CIFAR-10 network, 22,466 trainable parameters."""
    check_size(input_shape, 8, "convnetjs", num_classes)
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1.0, -0.5, name="normalize")(image)
    for i, filters in enumerate((16, 20, 20), 1):
        x = layers.Conv2D(filters, 5, padding="same", activation="relu", name=f"conv{i}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{i}")(x)
    x = layers.Flatten(name="embedding")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="convnetjs")
