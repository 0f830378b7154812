"""What training.fit needs to train a segmentation network, where a recipe of a task says nothing else."""

from kerascnn.errors import UsageError
from kerascnn.segmentation.losses import SEGMENTATION_LOSSES
from kerascnn.segmentation.metrics import PooledDice


def loss_and_metrics(recipe):
    """What fit needs for masks: soft Dice with cross-entropy, and the Dice coefficient.

    Raises UsageError for label_smoothing.
    """
    if recipe.label_smoothing:
        words = f"label_smoothing is {recipe.label_smoothing}, which is for classes, not for masks"
        raise UsageError(f"{words}; leave it out", argument="label_smoothing")
    return {"loss": SEGMENTATION_LOSSES["dice_cross_entropy"](), "metrics": [PooledDice()]}
