"""VGG for digits: the small batch-normalised network with the best MNIST error of this project.

Paper   None of its own. Blocks of 3×3 convolutions between poolings after Simonyan & Zisserman, 2014,
        arXiv:1409.1556, section 2; batch normalization after Ioffe & Szegedy, 2015, arXiv:1502.03167, section 3.2;
        dropout before the classifier after Srivastava et al., 2014, JMLR 15.
Idea    Few channels while the image is large, many once it is small: nearly all work is spent where shapes,
        not pixels, are told apart.
Input   (B, 28, 28, 1) float32 in [0, 1], ink bright.  Output (B, num_classes) float32 logits.

    block1      24 × 24 × 16    two 3×3 convolutions without padding
    pool1       12 × 12 × 16    2×2 maximum
    block2      12 × 12 × 64    two 3×3 convolutions
    pool2         6 × 6 × 64    2×2 maximum
    block3       6 × 6 × 128    two 3×3 convolutions
    pool3        3 × 3 × 128    2×2 maximum
    embedding          1,152    flattened
    logits       num_classes    dropout 0.4, linear

Differs from the paper
    * There is none to differ from. Every convolution is followed by batch normalization and ReLU and has no bias.
"""

import keras
from keras import layers

from kerascnn.models.input_shape import check_size


def vgg_digits(input_shape=(28, 28, 1), num_classes=10):
    """The strongest digit network here, 282,074 trainable parameters."""
    check_size(input_shape, 12, "vgg_digits", num_classes)
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1.0, name="normalize")(image)
    for block, (filters, padding) in enumerate(((16, "valid"), (64, "same"), (128, "same")), 1):
        start = {"padding": padding, "use_bias": False, "kernel_initializer": "he_normal"}
        for conv in (f"block{block}_conv1", f"block{block}_conv2"):
            x = layers.Conv2D(filters, 3, **start, name=conv)(x)
            x = layers.BatchNormalization(momentum=0.95, name=f"{conv}_norm")(x)
            x = layers.ReLU(name=f"{conv}_relu")(x)
        x = layers.MaxPooling2D(2, name=f"pool{block}")(x)
    x = layers.Flatten(name="embedding")(x)
    x = layers.Dropout(0.4, name="dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="vgg_digits")
