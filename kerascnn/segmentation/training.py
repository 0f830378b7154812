"""What training.fit needs to train a segmentation network, where a recipe of a task says nothing else."""

from kerascnn.segmentation.losses import SEGMENTATION_LOSSES
from kerascnn.segmentation.metrics import PooledDice


def loss_and_metrics(recipe):
    """What fit needs for masks: soft Dice with cross-entropy, and the Dice coefficient."""
    return {"loss": SEGMENTATION_LOSSES["dice_cross_entropy"](), "metrics": [PooledDice()]}
