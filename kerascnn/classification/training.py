"""What training.fit needs to train a classifier, where nothing else is asked for."""

from kerascnn.classification.losses import CrossEntropy
from kerascnn.classification.metrics import Accuracy


def loss_and_metrics(recipe):
    """What fit needs for labels: cross-entropy on logits, smoothed as the recipe says, and accuracy."""
    return {
        "loss": CrossEntropy(recipe.label_smoothing),
        "metrics": [Accuracy()],
    }
