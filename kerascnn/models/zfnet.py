"""ZFNet: Visualizing and Understanding Convolutional Networks.

Paper   Zeiler & Fergus, 2013. arXiv:1311.2901, figure 3.
Idea    Images of what AlexNet's feature maps respond to showed first filters that were dead or aliased. Smaller ones
        with a smaller stride fix that.
Input   (B, H, W, C) float32 in [0, 1], at least 63 × 63.  Output (B, num_classes) float32 logits.

For a 224 × 224 image:

    conv1       110 × 110 × 96    7×7 convolution, stride 2, one pixel of padding
    pool1        55 × 55 × 96     3×3 maximum, stride 2, rounded up; response normalization
    conv2        26 × 26 × 256    5×5 convolution, stride 2
    pool2        13 × 13 × 256    3×3 maximum, stride 2, rounded up; response normalization
    conv3        13 × 13 × 384    3×3 convolution
    conv4        13 × 13 × 384    3×3 convolution
    conv5        13 × 13 × 256    3×3 convolution
    pool5         6 × 6 × 256     3×3 maximum, stride 2
    fc6              4096         dense, ReLU, dropout 0.5
    embedding        4096         fc7: dense, ReLU; dropout 0.5 behind it
    logits       num_classes      linear

Differs from the paper
    * Its "contrast normalization" is not given in numbers; here it is AlexNet's response normalization.
    * Pixels go from -127.5 to 127.5, as AlexNet's here; the paper subtracts the mean of each pixel (section 3).
    * The cap on filter norms during training (section 3) is left to the trainer.
"""

import keras
from keras import layers

from kerascnn.layers import CeilingMaxPooling2D, LocalResponseNormalization
from kerascnn.models.alexnet import centred, normal
from kerascnn.models.input_shape import check_size


def zfnet(input_shape=(224, 224, 3), num_classes=1000):
    """ZFNet, 62,357,608 trainable parameters."""
    check_size(input_shape, 63, "zfnet", num_classes)

    # section 3: weights of 0.01 to begin with, biases 0
    def conv(x, filters, size, name, padding=0, strides=1):
        if padding:
            x = layers.ZeroPadding2D(padding, name=f"{name}_pad")(x)
        return layers.Conv2D(filters, size, strides, activation="relu", kernel_initializer=normal(), name=name)(x)

    def dense(x, name):
        x = layers.Dense(4096, activation="relu", kernel_initializer=normal(), name=name)(x)
        return layers.Dropout(0.5, name=f"{name}_dropout")(x)

    image = keras.Input(input_shape, name="image")
    x = conv(centred(image), 96, 7, "conv1", padding=1, strides=2)
    x = LocalResponseNormalization(name="norm1")(CeilingMaxPooling2D(3, 2, name="pool1")(x))
    x = conv(x, 256, 5, "conv2", strides=2)
    x = LocalResponseNormalization(name="norm2")(CeilingMaxPooling2D(3, 2, name="pool2")(x))
    x = conv(x, 384, 3, "conv3", padding=1)
    x = conv(x, 384, 3, "conv4", padding=1)
    x = conv(x, 256, 3, "conv5", padding=1)
    x = layers.Flatten(name="flatten")(layers.MaxPooling2D(3, 2, name="pool5")(x))
    x = dense(dense(x, "fc6"), "embedding")
    logits = layers.Dense(num_classes, kernel_initializer=normal(), dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="zfnet")
