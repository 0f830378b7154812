"""The statistics of batch normalization, measured for the weights that are kept.

While a network trains, its moving averages follow other weights than those that are kept (moving averages of weights,
or the best epoch's) and see distorted images. Wu & Johnson, "Rethinking 'Batch' in BatchNorm", 2021, arXiv:2105.07576,
section 3, measure them once more at the end ("PreciseBN"), for which a thousand images are enough; section 5 has the
loss that images of another kind cause.
"""

import keras
import tensorflow as tf

from kerascnn.datasets.batches import as_graph


def measure(model, batches):
    """Set the moving averages of every batch normalization in `model` that is trainable to the averages over images.

    batches: a tf.data.Dataset of images float32 (B, H, W, C), seen as they are, undistorted; the network runs on each
    of them once.
    """
    layers = [
        layer
        for layer in model._flatten_layers()  # the public `layers` are not those inside of layers
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    if not layers:
        return
    momenta, seen = [layer.momentum for layer in layers], 0

    def move(images, momentum):
        for layer in layers:
            layer.momentum = tf.cast(momentum, layer.moving_mean.dtype)
        model(images, training=True)

    try:
        move = as_graph(move, batches.element_spec, tf.TensorSpec([]))
        for images in batches:
            count = len(keras.tree.flatten(images)[0])
            # the moving average is the mean over all images so far; the last batch may be smaller
            move(images, tf.constant(seen / (seen + count)))
            seen += count
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
