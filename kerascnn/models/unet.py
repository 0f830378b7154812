"""U-Net: Convolutional Networks for Biomedical Image Segmentation.

Paper   Ronneberger, Fischer & Brox, 2015. arXiv:1505.04597, figure 1; Dong, Yang, Liu, Mo & Guo, 2017,
        arXiv:1705.03820, figure 2; Buda, Saha & Mazurowski, 2019, arXiv:1906.03720, figure 1.
Idea    A network that narrows knows what is in the image, but not where. Widening it again and joining the feature
        maps of the same size from before gives every pixel both.
Input   (B, H, W, C) float32 in [0, 1]. H and W must be multiples of 2^depth, or unknown; `unet_2015` takes any size
        from 188 × 188 on whose every pooling is even (572, 444, 412, …).
Output  (B, H, W, num_classes) float32 logits, one channel (sigmoid) for a binary mask; `unet_2015`
        (B, H - 184, W - 184, num_classes), one channel a class (softmax).

With w = 64, depth 4 and a 256 × 256 image (unet_2015 begins with 572 × 572 and every convolution takes 2 pixels away):

    encoder1    256 × 256 × w       two 3×3 convolutions; 2×2 maximum behind each encoder
    encoder2    128 × 128 × 2w
    encoder3     64 × 64 × 4w
    encoder4     32 × 32 × 8w
    bottom       16 × 16 × 16w      two 3×3 convolutions
    decoder4     32 × 32 × 8w       2×2 up-convolution, joined with encoder4, two 3×3 convolutions
    decoder3     64 × 64 × 4w
    decoder2    128 × 128 × 2w
    decoder1    256 × 256 × w
    logits      256 × 256 × num_classes    1×1 convolution

Differs from the paper
    * `unet` keeps the size by zero padding.
    * `unet_dong` widens with 3×3 up-convolutions, as its paper. `unet_buda` has half the width and batch normalization
      in place of biases, as its authors' code. Both put the widened feature maps before those of the same size.
    * Dropout of `unet_2015` "at the end of the contracting path" is 0.5 after encoder4 and bottom; the paper gives no
      rate, its authors' Caffe network does.
"""

import keras
from keras import layers

from kerascnn.errors import UsageError
from kerascnn.layers import ReflectPadding2D
from kerascnn.models.input_shape import check_size


def convs(x, filters, name, padding="same", batch_norm=False):
    """Two 3×3 convolutions with ReLU: (H, W, C) → (H, W, filters), 4 pixels less each way if padding is "valid"."""
    for i in (1, 2):
        start = {"use_bias": not batch_norm, "kernel_initializer": "he_normal"}
        x = layers.Conv2D(filters, 3, padding=padding, **start, name=f"{name}_conv{i}")(x)
        if batch_norm:
            x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_conv{i}_bn")(x)
        x = layers.ReLU(name=f"{name}_conv{i}_relu")(x)
    return x


def encoder_decoder(
    x, num_classes, width=64, depth=4, up_size=2, batch_norm=False, padding="same", dropout=0.0, skip_first=True,
    last="logits",
):  # fmt: skip
    """The skeleton of all of them: (H, W, C) → (H, W, num_classes), 184 pixels less each way if padding is "valid".

    skip_first: whether the feature maps from before come first where they are joined. last: the last layer's name.
    """
    skips = []
    for level in range(1, depth + 1):
        x = convs(x, width * 2 ** (level - 1), f"encoder{level}", padding, batch_norm)
        if dropout and level == depth:
            x = layers.Dropout(dropout, name=f"encoder{level}_dropout")(x)
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"encoder{level}_pool")(x)
    x = convs(x, width * 2**depth, "bottom", padding, batch_norm)
    if dropout:
        x = layers.Dropout(dropout, name="bottom_dropout")(x)
    for level, skip in reversed(list(enumerate(skips, 1))):
        filters = width * 2 ** (level - 1)
        start = {"strides": 2, "padding": "same", "kernel_initializer": "he_normal"}
        x = layers.Conv2DTranspose(filters, up_size, **start, name=f"decoder{level}_up")(x)
        if padding == "valid":
            margins = [(have - want) // 2 for have, want in zip(skip.shape[1:3], x.shape[1:3], strict=True)]
            skip = layers.Cropping2D(margins, name=f"decoder{level}_crop")(skip)
        x = layers.Concatenate(name=f"decoder{level}_join")([skip, x] if skip_first else [x, skip])
        x = convs(x, filters, f"decoder{level}", padding, batch_norm)
    return layers.Conv2D(num_classes, 1, dtype="float32", name=last)(x)


def build(input_shape, num_classes, name, **variant):
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1.0, name="normalize")(image)
    return keras.Model(image, encoder_decoder(x, num_classes, **variant), name=name)


def unet(input_shape=(256, 256, 3), num_classes=1, width=64, depth=4):
    """U-Net with padding, 31,031,745 trainable parameters."""
    check_size(input_shape, 2**depth, "unet", num_classes, unknown=True, factor=2**depth)
    return build(input_shape, num_classes, "unet", width=width, depth=depth)


def unet_2015(input_shape=(572, 572, 1), num_classes=2):
    """U-Net as published, 31,030,658 trainable parameters."""
    check_size(input_shape, 188, "unet_2015", num_classes)
    for side in input_shape[:2]:
        if (side - 188) % 16:
            smaller = side - (side - 188) % 16
            words = f"input_shape is {tuple(input_shape)}, and unet_2015 takes no side of {side}"
            raise UsageError(f"{words}; use {smaller} or {smaller + 16}")
    return build(input_shape, num_classes, "unet_2015", padding="valid", dropout=0.5)


def unet_dong(input_shape=(240, 240, 4), num_classes=1):
    """U-Net of Dong et al., 34,513,921 trainable parameters."""
    check_size(input_shape, 16, "unet_dong", num_classes, unknown=True, factor=16)
    return build(input_shape, num_classes, "unet_dong", up_size=3, skip_first=False)


def unet_buda(input_shape=(256, 256, 3), num_classes=1, width=32):
    """U-Net of Buda et al., 7,763,041 trainable parameters."""
    check_size(input_shape, 16, "unet_buda", num_classes, unknown=True, factor=16)
    return build(input_shape, num_classes, "unet_buda", width=width, batch_norm=True, skip_first=False)


def framed(input_shape, width=64):
    """`unet_2015` for images (H, W, C) of which every pixel is to be labelled, H = W, 96 or more, in multiples of 16.

    The image is continued by its reflection to the next size that the network takes ("overlap-tile", figure 2), and
    what it labels beyond the image, two pixels at each edge, is cut off.
    """
    check_size(input_shape, 96, "unet_2015", 2)
    side = input_shape[0]
    image = keras.Input(input_shape, name="image")
    x = ReflectPadding2D(94, name="reflected")(layers.Rescaling(1.0, name="normalize")(image))
    x = encoder_decoder(x, 2, width, padding="valid", dropout=0.5, last="labels_beyond")
    logits = layers.Cropping2D((x.shape[1] - side) // 2, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="unet_2015")
