"""The augmentations that the fields of a recipe ask for, for the images of a data set."""

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
from kerascnn.datasets.resizing import ResizeAndCrop
from kerascnn.errors import UsageError

MOVES = "rotation", "zoom", "shear"


def augmentations(recipe, data):
    """What Recipe.augmentations holds for an ImageRecipe and a Dataset.

    Raises UsageError for a border of a random crop that is wider than the image.
    """
    height, width = data.train.image_shape[:2]
    if recipe.random_crop >= min(height, width):
        words = f"random_crop is {recipe.random_crop}, and images are of {height}x{width}"
        raise UsageError(f"{words}; give a smaller border", argument="random_crop")
    check_growth(recipe, data)
    return tuple(asked_for(recipe, data))


def asked_for(recipe, data):
    """Each of the augmentations, in their order."""
    image_shape, num_classes = data.train.image_shape, len(data.class_names)
    # photos in files of which parts are cut out as they are read need no crop here; of larger ones `size` is cut out
    resize = getattr(data.train, "training_resize", None)
    size = {"size": image_shape[:2]} if isinstance(resize, ResizeAndCrop) else {}
    if recipe.horizontal_flip == "alternating":
        yield AlternatingFlip()
    if recipe.random_resized_crop:
        if not resize:
            yield RandomResizedCrop(least_area=recipe.random_resized_crop)
    elif recipe.random_crop:
        yield RandomCrop(padding=recipe.random_crop, fill=recipe.crop_fill, **size)
    elif size:
        yield RandomCrop(**size)
    if recipe.horizontal_flip == "random":
        yield HorizontalFlip()
    if moves := distortions(recipe, min(image_shape[:2])):
        yield Distortion(**moves)
    if recipe.rand_augment:
        yield RandAugment(operations=recipe.rand_augment, magnitude=recipe.rand_augment_magnitude)
    if recipe.brightness or recipe.contrast:
        yield Intensity(brightness=recipe.brightness, contrast=recipe.contrast)
    if recipe.colour_noise:
        yield ColourNoise(std=recipe.colour_noise, covariance=colour_covariance(data.train))
    if recipe.cutout:
        yield Cutout(size=recipe.cutout)
    if recipe.mixup:
        yield MixUp(alpha=recipe.mixup, num_classes=num_classes)
    if recipe.cutmix:
        yield CutMix(alpha=recipe.cutmix, num_classes=num_classes)
    if recipe.size_schedule:
        yield GrowingImages(sizes=recipe.size_schedule)


def check_growth(recipe, data):
    """Raise UsageError unless images can grow as size_schedule says, and the network takes all of these sizes."""
    if not recipe.size_schedule:
        return
    height, width, channels = data.train.image_shape
    if recipe.size_schedule[-1] != height or height != width:
        words = f"size_schedule is {recipe.size_schedule}, and images are of {height}x{width}"
        raise UsageError(f"{words}; end with the size of square images", argument="size_schedule")
    least = recipe.size_schedule[0]
    for side, takes in ((None, "takes one size alone"), (least, f"does not take images of {least}x{least}")):
        try:
            symbolic_model(recipe.model, (side, side, channels), len(data.class_names))
        except UsageError as error:
            words = f"size_schedule is {recipe.size_schedule}, and the network {takes}: {error}"
            raise UsageError(words, argument="size_schedule") from None


def distortions(recipe, side):
    """The options of Distortion that are not those of none; side: the shorter one of the images, in pixels."""
    moves = {name: getattr(recipe, name) for name in MOVES} | {"shift": recipe.translation * side}
    if recipe.elastic:
        # Simard's sigma of 4 pixels grows with the image, and so does what is left of alpha once noise is smoothed
        moves |= {"elastic": recipe.elastic * (side / 28) ** 2, "sigma": 4 * side / 28}
    return {name: value for name, value in moves.items() if value}
