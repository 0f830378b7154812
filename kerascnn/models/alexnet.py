"""AlexNet: ImageNet Classification with Deep Convolutional Neural Networks.

Paper   Krizhevsky, Sutskever & Hinton, 2012. NIPS 25, section 3.5 and figure 2; Krizhevsky, 2014, arXiv:1404.5997, for
        the widths of `alexnet_2014`.
Idea    A network like LeNet, but with 60 million weights, ReLU in place of tanh, dropout, and a million photos.
        It was split over two GPUs: what looks like a choice, groups, was a lack of memory.
Input   (B, H, W, C) float32 in [0, 1], at least 67 × 67 (`alexnet_2014` 63 × 63).
Output  (B, num_classes) float32 logits.

For a 227 × 227 image (`alexnet_2014`: 224 × 224 and 2 pixels of padding, and narrower):

    conv1       55 × 55 × 96     11×11 convolution, stride 4; 64 channels in 2014
    pool1       27 × 27 × 96     response normalization, 3×3 maximum, stride 2
    conv2       27 × 27 × 256    5×5 convolution in two groups; 192 channels in 2014
    pool2       13 × 13 × 256    response normalization, 3×3 maximum, stride 2
    conv3       13 × 13 × 384    3×3 convolution
    conv4       13 × 13 × 384    3×3 convolution in two groups; 256 channels in 2014
    conv5       13 × 13 × 256    3×3 convolution in two groups
    pool5        6 × 6 × 256     3×3 maximum, stride 2
    fc6             4096         dense, ReLU; dropout 0.5 behind it, in 2014 before it
    embedding       4096         fc7: dense, ReLU; dropout 0.5 behind fc7, in 2014 before it
    logits      num_classes      linear

Differs from the paper
    * The image is 227 × 227: with the 224 × 224 that the paper names, its own 55 × 55 does not come out.
    * Pixels go from -127.5 to 127.5: the paper subtracts the mean of its training images from 0 to 255 (section 2), for
      which weights of 0.01 are made.
    * `alexnet_2014` has no response normalization, as torchvision's weights.
    * `alexnet_one_tower` has no groups: every channel sees all channels.
"""

import keras
from keras import layers

from kerascnn.layers import GroupedConv2D, LocalResponseNormalization
from kerascnn.models.input_shape import check_size


def normal():
    """Section 5: weights from N(0, 0.01). A new one for each layer, since one draws the same numbers again."""
    return keras.initializers.RandomNormal(stddev=0.01)


def centred(image):
    """[0, 1] → -127.5 to 127.5; of smaller numbers, weights of 0.01 would leave nothing after a few layers."""
    return layers.Rescaling(255.0, -127.5, name="normalize")(image)


def conv(x, filters, size, name, *, groups=1, padding=0, strides=1, bias=0.0):
    """Convolution and ReLU: (H, W, C) → ((H + 2·padding - size) // strides + 1, …, filters); bias: where it begins."""
    start = {"kernel_initializer": normal(), "bias_initializer": keras.initializers.Constant(bias)}
    if padding:
        x = layers.ZeroPadding2D(padding, name=f"{name}_pad")(x)
    if groups > 1:
        x = GroupedConv2D(filters, size, groups, strides, **start, name=name)(x)
    else:
        x = layers.Conv2D(filters, size, strides, **start, name=name)(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def pool(x, name):
    return layers.MaxPooling2D(3, 2, name=name)(x)


def hidden(x, name):
    start = {"kernel_initializer": normal(), "bias_initializer": "ones"}
    return layers.Dense(4096, activation="relu", **start, name=name)(x)


def paper_network(groups, input_shape, num_classes, name):
    """AlexNet of 2012 with this many groups in convolutions 2, 4 and 5."""
    check_size(input_shape, 67, name, num_classes)
    image = keras.Input(input_shape, name="image")
    x = conv(centred(image), 96, 11, "conv1", strides=4)
    x = pool(LocalResponseNormalization(name="norm1")(x), "pool1")
    x = conv(x, 256, 5, "conv2", groups=groups, padding=2, bias=1.0)
    x = pool(LocalResponseNormalization(name="norm2")(x), "pool2")
    x = conv(x, 384, 3, "conv3", padding=1)
    x = conv(x, 384, 3, "conv4", groups=groups, padding=1, bias=1.0)
    x = conv(x, 256, 3, "conv5", groups=groups, padding=1, bias=1.0)
    x = layers.Flatten(name="flatten")(pool(x, "pool5"))
    x = layers.Dropout(0.5, name="fc6_dropout")(hidden(x, "fc6"))
    x = layers.Dropout(0.5, name="fc7_dropout")(hidden(x, "embedding"))
    logits = layers.Dense(num_classes, kernel_initializer=normal(), dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name=name)


def alexnet(input_shape=(227, 227, 3), num_classes=1000):
    """AlexNet in two towers, 60,965,224 trainable parameters."""
    return paper_network(2, input_shape, num_classes, "alexnet")


def alexnet_one_tower(input_shape=(227, 227, 3), num_classes=1000):
    """AlexNet without groups, 62,378,344 trainable parameters."""
    return paper_network(1, input_shape, num_classes, "alexnet_one_tower")


def alexnet_2014(input_shape=(224, 224, 3), num_classes=1000):
    """AlexNet with the widths of 2014, as torchvision has it, 61,100,840 trainable parameters."""
    check_size(input_shape, 63, "alexnet_2014", num_classes)
    image = keras.Input(input_shape, name="image")
    x = pool(conv(centred(image), 64, 11, "conv1", padding=2, strides=4), "pool1")
    x = pool(conv(x, 192, 5, "conv2", padding=2, bias=1.0), "pool2")
    x = conv(x, 384, 3, "conv3", padding=1)
    x = conv(x, 256, 3, "conv4", padding=1, bias=1.0)
    x = pool(conv(x, 256, 3, "conv5", padding=1, bias=1.0), "pool5")
    x = layers.Flatten(name="flatten")(x)
    x = hidden(layers.Dropout(0.5, name="fc6_dropout")(x), "fc6")
    x = hidden(layers.Dropout(0.5, name="fc7_dropout")(x), "embedding")
    logits = layers.Dense(num_classes, kernel_initializer=normal(), dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="alexnet_2014")
