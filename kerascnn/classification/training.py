"""What training.fit needs to train a classifier, where nothing else is asked for."""

import keras

from kerascnn.classification.losses import SparseCrossEntropy


def loss_and_metrics(recipe):
    """What fit needs for labels: cross-entropy on logits, smoothed as the recipe says, and accuracy."""
    return {
        "loss": SparseCrossEntropy(recipe.label_smoothing),
        "metrics": [keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    }
