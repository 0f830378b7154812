"""How images are changed while a network trains."""

from kerascnn.datasets.augmentation import CutMix, Cutout, Distortion, HorizontalFlip, Intensity, MixUp, RandomCrop

MOVES, INTENSITIES = ("rotation", "zoom", "shear"), ("brightness", "contrast")


def augmentations(recipe, num_classes):
    """What Recipe.augmentations holds for an ImageRecipe."""
    moves, intensities = ({name: getattr(recipe, name) for name in names} for names in (MOVES, INTENSITIES))
    asked = {
        RandomCrop: recipe.random_crop and {"padding": recipe.random_crop, "fill": "reflect"},
        HorizontalFlip: {} if recipe.horizontal_flip else None,
        Distortion: any(moves.values()) and moves,
        Intensity: any(intensities.values()) and intensities,
        Cutout: recipe.cutout and {"size": recipe.cutout},
        MixUp: recipe.mixup and {"alpha": recipe.mixup, "num_classes": num_classes},
        CutMix: recipe.cutmix and {"alpha": recipe.cutmix, "num_classes": num_classes},
    }
    return tuple(kind(**options) for kind, options in asked.items() if isinstance(options, dict))
