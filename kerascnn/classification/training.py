"""What training.fit needs to train a classifier, where nothing else is asked for."""

import numpy as np

from kerascnn import models
from kerascnn.classification.losses import CrossEntropy
from kerascnn.classification.metrics import Accuracy
from kerascnn.datasets.batches import counted_images, evaluation_batches
from kerascnn.datasets.image_files import vanished_files_named
from kerascnn.training.checks import check_decodes

WHITENING_BATCH = 500  # images at most, of ten batches


def loss_and_metrics(recipe):
    """What fit needs for labels: cross-entropy on logits, smoothed as the recipe says, and accuracy."""
    return {
        "loss": CrossEntropy(recipe.label_smoothing),
        "metrics": [Accuracy()],
    }


def untrained(name, data):
    """The network called `name` for a Dataset's images and classes, weights drawn from Keras's global seed.

    What an airbench begins with is taken from its images for training.
    """
    model = models.builder(name)(data.train.image_shape, len(data.class_names))
    if "whiten" in [layer.name for layer in model.layers]:
        drawn = np.random.default_rng(0).permutation(len(data.train))[: 10 * WHITENING_BATCH]
        batches = evaluation_batches(data.train.take(drawn), WHITENING_BATCH).take(10)
        with vanished_files_named(data.train):
            check_decodes(data.train)
            models.whiten(model, np.concatenate([counted_images(*batch) for batch in batches]))
    return model
