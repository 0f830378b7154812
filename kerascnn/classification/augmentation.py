"""How images are changed while a network trains."""

from kerascnn.datasets.augmentation import (
    AlternatingFlip,
    CutMix,
    Cutout,
    Distortion,
    HorizontalFlip,
    Intensity,
    MixUp,
    RandomCrop,
)
from kerascnn.errors import UsageError

MOVES, INTENSITIES = ("rotation", "zoom", "shear"), ("brightness", "contrast")


def augmentations(recipe, image_shape, num_classes):
    """What Recipe.augmentations holds for an ImageRecipe and images (H, W, C).

    Raises UsageError for a border of a random crop that is wider than the image.
    """
    height, width = image_shape[:2]
    if recipe.random_crop >= min(height, width):
        words = f"random_crop is {recipe.random_crop}, and images are of {height}x{width}"
        raise UsageError(f"{words}; give a smaller border", argument="random_crop")
    moves, intensities = ({name: getattr(recipe, name) for name in names} for names in (MOVES, INTENSITIES))
    asked = {
        AlternatingFlip: {} if recipe.horizontal_flip == "alternating" else None,
        RandomCrop: recipe.random_crop and {"padding": recipe.random_crop, "fill": "reflect"},
        HorizontalFlip: {} if recipe.horizontal_flip == "random" else None,
        Distortion: any(moves.values()) and moves,
        Intensity: any(intensities.values()) and intensities,
        Cutout: recipe.cutout and {"size": recipe.cutout},
        MixUp: recipe.mixup and {"alpha": recipe.mixup, "num_classes": num_classes},
        CutMix: recipe.cutmix and {"alpha": recipe.cutmix, "num_classes": num_classes},
    }
    return tuple(kind(**options) for kind, options in asked.items() if isinstance(options, dict))
