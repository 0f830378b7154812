import dataclasses

import pytest

from kerascnn.classification.augmentation import augmentations
from kerascnn.classification.recipes import RANGES, ImageRecipe
from kerascnn.datasets.augmentation import CutMix, Cutout, Distortion, HorizontalFlip, Intensity, MixUp, RandomCrop
from kerascnn.errors import UsageError


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("model", "resnet21", "model is 'resnet21', which is no network; choose one of resnet"),
        ("image_size", 0, "image_size is 0; give a whole number from 1 to 4096"),
        ("crop_ratio", 0.0, "crop_ratio is 0; give a number from 0.01 to 1"),
        ("interpolation", "area", "interpolation is area; choose one of bilinear, bicubic, lanczos"),
        ("mixup", float("nan"), "mixup is nan; give a number from 0 to 100"),
        ("random_crop", 2.5, "random_crop is 2.5; give a whole number from 0 to 512"),
    ],
)
def test_a_value_that_no_training_can_use_is_an_error(field, value, words):
    with pytest.raises(UsageError) as caught:
        ImageRecipe(**{field: value})
    assert str(caught.value).startswith(words)
    assert caught.value.argument == field


def test_every_number_of_the_recipe_has_its_range():
    numbers = {name for name, value in vars(ImageRecipe()).items() if type(value) in (int, float)}
    assert set(RANGES) == numbers


def test_each_field_adds_its_augmentation_and_the_mixing_ones_come_last():
    still = ImageRecipe(random_crop=0, horizontal_flip="none")
    assert augmentations(still, (32, 32, 3), 10) == ()
    every = dataclasses.replace(
        still, random_crop=4, horizontal_flip="random", rotation=5, contrast=0.1, cutout=8, mixup=0.2, cutmix=1.0
    )
    assert augmentations(every, (32, 32, 3), 10) == (
        RandomCrop(padding=4, fill="reflect"),
        HorizontalFlip(),
        Distortion(rotation=5),
        Intensity(contrast=0.1),
        Cutout(size=8),
        MixUp(alpha=0.2, num_classes=10),
        CutMix(alpha=1.0, num_classes=10),
    )


def test_a_border_as_wide_as_the_image_is_an_error():
    with pytest.raises(UsageError, match=r"^random_crop is 32, and images are of 32x48; give a smaller border$"):
        augmentations(ImageRecipe(random_crop=32), (32, 48, 3), 10)
