"""Five-layer CNN: Machine Learning, A First Course for Engineers and Scientists.

Paper   Lindholm, Wahlström, Lindsten & Schön, 2022. Cambridge University Press, example 6.3.
Idea    Convolutions with stride 2 shrink the image by themselves, so no pooling is needed. Most of the parameters
        still lie in the first dense layer.
Input   (B, 28, 28, 1) float32 in [0, 1].  Output (B, num_classes) float32 logits.

    conv1       28 × 28 × 4     5×5 convolution, ReLU
    conv2       14 × 14 × 8     5×5 convolution, stride 2, ReLU
    conv3        7 × 7 × 12     4×4 convolution, stride 2, ReLU
    embedding           200     dense, ReLU
    logits      num_classes     linear

Differs from the paper
    * The book ends in softmax; here the loss takes the logits. "Same" padding is as TensorFlow defines it: where the
      number of padded pixels is odd, the last one goes to the right and below.
"""

import keras
from keras import layers

from kerascnn.models.input_shape import check_size


def five_layer_cnn(input_shape=(28, 28, 1), num_classes=10):
    """Three convolutions and two dense layers, 122,270 trainable parameters."""
    check_size(input_shape, 1, "five_layer_cnn", num_classes)
    same = {"padding": "same", "activation": "relu"}
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1.0, name="normalize")(image)
    x = layers.Conv2D(4, 5, **same, name="conv1")(x)
    x = layers.Conv2D(8, 5, strides=2, **same, name="conv2")(x)
    x = layers.Conv2D(12, 4, strides=2, **same, name="conv3")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(200, activation="relu", name="embedding")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="five_layer_cnn")
