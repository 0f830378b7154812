"""The statistics of batch normalization, measured for the weights that are kept.

While a network trains, its moving averages follow other weights than those that are kept (moving averages of weights,
or the best epoch's) and see distorted images. Wu & Johnson, "Rethinking 'Batch' in BatchNorm", 2021, arXiv:2105.07576,
section 3, measure them once more at the end ("PreciseBN"), for which a thousand images are enough; section 5 has the
loss that images of another kind cause.
"""

import keras
import numpy as np

from kerascnn.datasets.batches import evaluation_batches

IMAGES, BATCH = 5000, 250


def measure(model, examples, seed):
    """Set the moving averages of every batch normalization in `model` to the averages over images of `examples`.

    examples: Examples, of which at most 5,000 are drawn with `seed` and seen as they are, undistorted.
    """
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if not layers:
        return
    drawn = np.random.default_rng(seed).permutation(len(examples))[:IMAGES]
    momenta, seen = [layer.momentum for layer in layers], 0
    for images, _ in evaluation_batches(examples.take(drawn), min(BATCH, len(drawn))):
        for layer in layers:
            # the moving average is the mean over all images so far; the last batch may be smaller
            layer.momentum = seen / (seen + len(images))
        seen += len(images)
        model(images, training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
