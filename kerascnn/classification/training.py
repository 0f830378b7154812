"""What training.fit needs to train a classifier, where nothing else is asked for."""

import dataclasses
import logging

import keras
import numpy as np

from kerascnn import models
from kerascnn.analysis.summary import symbolic_model
from kerascnn.classification.losses import CrossEntropy
from kerascnn.classification.metrics import Accuracy
from kerascnn.datasets.batches import counted_images, evaluation_batches
from kerascnn.datasets.image_files import vanished_files_named
from kerascnn.training.checks import check_decodes

logger = logging.getLogger(__name__)

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


def at_usual_rate(recipe, data):
    """The recipe at a tenth of its learning rate where its network has no batch normalization.

    Simonyan & Zisserman, 2014, arXiv:1409.1556, section 3.1, and Krizhevsky et al., 2012, section 5, take 0.01.
    """
    model = symbolic_model(recipe.model, data.train.image_shape, len(data.class_names))
    if any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers):
        return recipe
    rate = recipe.training.learning_rate / 10
    logger.info("%s has no batch normalization: learning_rate is %g unless another one is given", recipe.model, rate)
    return dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, learning_rate=rate))
