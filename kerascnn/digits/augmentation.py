"""How digits are distorted while a network trains."""

from kerascnn.datasets.augmentation import Distortion

FIELDS = ("shift", "rotation", "zoom", "shear", "elastic")


def augmentations(recipe):
    """What Recipe.augmentations holds for a DigitRecipe."""
    limits = {name: getattr(recipe, name) for name in FIELDS}
    return (Distortion(**limits),) if any(limits.values()) else ()
