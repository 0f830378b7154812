"""How images are changed while a network trains."""

from kerascnn.analysis.summary import symbolic_model
from kerascnn.datasets import colour_covariance
from kerascnn.datasets.augmentation import (
    AlternatingFlip,
    ColourNoise,
    CutMix,
    Cutout,
    Distortion,
    GrowingImages,
    HorizontalFlip,
    Intensity,
    MixUp,
    RandAugment,
    RandomCrop,
    RandomResizedCrop,
)
from kerascnn.errors import UsageError

MOVES, INTENSITIES = ("rotation", "zoom", "shear"), ("brightness", "contrast")


def augmentations(recipe, data):
    """What Recipe.augmentations holds for an ImageRecipe and a Dataset.

    Raises UsageError for a border of a random crop that is wider than the image.
    """
    height, width = data.train.image_shape[:2]
    if recipe.random_crop >= min(height, width):
        words = f"random_crop is {recipe.random_crop}, and images are of {height}x{width}"
        raise UsageError(f"{words}; give a smaller border", argument="random_crop")
    check_growth(recipe, data)
    intensities = {name: getattr(recipe, name) for name in INTENSITIES}
    moves, num_classes = distortions(recipe, min(height, width)), len(data.class_names)
    operations = {"operations": recipe.rand_augment, "magnitude": recipe.rand_augment_magnitude}
    asked = {
        AlternatingFlip: {} if recipe.horizontal_flip == "alternating" else None,
        **crop(recipe, data.train),
        HorizontalFlip: {} if recipe.horizontal_flip == "random" else None,
        Distortion: any(moves.values()) and moves,
        RandAugment: recipe.rand_augment and operations,
        Intensity: any(intensities.values()) and intensities,
        ColourNoise: recipe.colour_noise and {"std": recipe.colour_noise, "covariance": colour_covariance(data.train)},
        Cutout: recipe.cutout and {"size": recipe.cutout},
        MixUp: recipe.mixup and {"alpha": recipe.mixup, "num_classes": num_classes},
        CutMix: recipe.cutmix and {"alpha": recipe.cutmix, "num_classes": num_classes},
        GrowingImages: recipe.size_schedule and {"sizes": recipe.size_schedule},
    }
    return tuple(kind(**options) for kind, options in asked.items() if isinstance(options, dict))


def check_growth(recipe, data):
    """Raise UsageError unless images can grow as size_schedule says, and the network takes all of these sizes."""
    if not recipe.size_schedule:
        return
    height, width, channels = data.train.image_shape
    if recipe.size_schedule[-1] != height or height != width:
        words = f"size_schedule is {recipe.size_schedule}, and images are of {height}x{width}"
        raise UsageError(f"{words}; end with the size of square images", argument="size_schedule")
    try:
        symbolic_model(recipe.model, (None, None, channels), len(data.class_names))
        symbolic_model(recipe.model, (recipe.size_schedule[0],) * 2 + (channels,), len(data.class_names))
    except UsageError as error:
        words = f"size_schedule is {recipe.size_schedule}, and the network takes one size alone: {error}"
        raise UsageError(words, argument="size_schedule") from None


def crop(recipe, examples):
    """{the kind of random crop: its options}, which are no dict where there is none."""
    larger = getattr(examples, "training_size", None)
    size = {"size": examples.image_shape[:2]} if larger else {}
    if recipe.random_resized_crop:
        return {RandomResizedCrop: {"least_area": recipe.random_resized_crop, **size}}
    border = {"padding": recipe.random_crop, "fill": "reflect"} if recipe.random_crop else {}
    return {RandomCrop: {**border, **size} or None}


def distortions(recipe, side):
    """The options of Distortion that are not those of none; side: the shorter one of the images, in pixels."""
    moves = {name: getattr(recipe, name) for name in MOVES} | {"shift": recipe.translation * side}
    if recipe.elastic:
        # Simard's sigma of 4 pixels grows with the image, and so does what is left of alpha once noise is smoothed
        moves |= {"elastic": recipe.elastic * (side / 28) ** 2, "sigma": 4 * side / 28}
    return {name: value for name, value in moves.items() if value}
