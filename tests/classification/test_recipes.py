import dataclasses

import keras
import numpy as np
import pytest

import kerascnn as kc
from kerascnn.analysis.summary import symbolic_model
from kerascnn.classification.augmentation import augmentations
from kerascnn.classification.data import load_images
from kerascnn.classification.recipes import RANGES, RECIPES, FinetuneRecipe, ImageRecipe
from kerascnn.cli.classification import smoke
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
from kerascnn.datasets.augmentation.resized_crop import RandomPart
from kerascnn.datasets.resizing import ResizeAndCrop
from kerascnn.errors import UsageError

COLOURS = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
DATA = kc.datasets.from_arrays(COLOURS, np.arange(40) % 10)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("model", "resnet21", "model is 'resnet21', which is no network; choose one of resnet"),
        ("image_size", 0, "image_size is 0; give a whole number from 1 to 4096"),
        ("crop_ratio", 0.0, "crop_ratio is 0; give a number from 0.01 to 1"),
        ("interpolation", "area", "interpolation is area; choose one of bilinear, bicubic, lanczos"),
        ("mixup", float("nan"), "mixup is nan; give a number from 0 to 100"),
        ("random_crop", 2.5, "random_crop is 2.5; give a whole number from 0 to 512"),
        ("train_size", 200, "train_size is 200, and image_size is 224; give a larger one, or leave it out"),
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
    assert augmentations(still, DATA) == ()
    every = dataclasses.replace(
        still, random_crop=4, horizontal_flip="random", rotation=5, translation=0.25, elastic=34.0, rand_augment=2,
        contrast=0.1, colour_noise=0.1, cutout=8, mixup=0.2, cutmix=1.0,
    )  # fmt: skip
    covariance = np.cov(DATA.train.images.reshape(-1, 3).T / 255, bias=True)
    ours = augmentations(every, DATA)
    np.testing.assert_allclose(ours[5].covariance, covariance, rtol=1e-4)
    # Simard's 34 and 4 pixels for images of 28: 34 (8/7)^2 and 4 (8/7) for those of 32
    elastic = {"elastic": pytest.approx(44.408, abs=0.001), "sigma": pytest.approx(4.5714, abs=0.001)}
    assert ours == (
        RandomCrop(padding=4, fill="reflect"),
        HorizontalFlip(),
        Distortion(rotation=5, shift=8.0, **elastic),
        RandAugment(operations=2, magnitude=9),
        Intensity(contrast=0.1),
        ColourNoise(std=0.1, covariance=ours[5].covariance),
        Cutout(size=8),
        MixUp(alpha=0.2, num_classes=10),
        CutMix(alpha=1.0, num_classes=10),
    )


def test_images_of_airbench_alternate_before_the_crop_and_others_move_and_change_as_asked():
    recipe = ImageRecipe(
        random_crop=2, crop_fill="constant", horizontal_flip="alternating", zoom=0.1, shear=0.2, brightness=0.3
    )
    assert augmentations(recipe, DATA) == (
        AlternatingFlip(),
        RandomCrop(padding=2, fill="constant"),
        Distortion(zoom=0.1, shear=0.2),
        Intensity(brightness=0.3),
    )


def test_all_images_for_training_are_those_of_both_splits():
    split, whole = (load_images("synthetic", None, validation=kept) for kept in (True, False))
    both = np.concatenate([split.train.images, split.validation.images])
    np.testing.assert_array_equal(whole.train.images, both)
    np.testing.assert_array_equal(whole.train.labels, np.concatenate([split.train.labels, split.validation.labels]))
    assert (len(both), whole.validation) == (740, None)
    np.testing.assert_array_equal(whole.test.images, split.test.images)


# What the papers and Jordan's airbench94_muon say, whose rates are of losses that are summed over 2,000 images.
PAPERS = {
    # Krizhevsky et al., 2012, section 5: and three reductions by 10, when the validation error stopped improving
    "alexnet": {
        "epochs": 90, "batch_size": 128, "optimizer": "sgd", "momentum": 0.9, "nesterov": False, "learning_rate": 0.01,
        "weight_decay": 5e-4, "coupled_weight_decay": True, "schedule": "plateau", "decay_factor": 0.1,
    },
    # He et al., 2015, section 4.2: 64,000 steps, 32,000 and 48,000 of them at higher rates, of 45,000 images
    "resnet20_2015": {
        "epochs": round(64_000 * 128 / 45_000), "batch_size": 128, "optimizer": "sgd", "momentum": 0.9,
        "nesterov": False, "learning_rate": 0.1, "weight_decay": 1e-4, "coupled_weight_decay": True,
        "schedule": "step", "decay_factor": 0.1, "warmup_epochs": 0,
        "decay_epochs": (round(32_000 * 128 / 45_000), round(48_000 * 128 / 45_000)),
    },
    "cifar_fast": {
        "batch_size": 2000, "optimizer": "muon", "learning_rate": 0.24, "momentum": 0.6, "schedule": "linear",
        "bias_learning_rate": 0.053 * 2000, "label_smoothing": 0.2, "nesterov": True,
        # its head's weights are drawn 256 times larger, and the logits divided by 256
        "head_learning_rate": 0.67 * 2000 / 256**2,
        # 2e-6 an image in its step of 2,000, of which the momentum of SGD makes 1 / (1 - 0.85) times as much
        "weight_decay": pytest.approx(2e-6 * 2000 / (1 - 0.85) / 0.24, rel=0.02),
    },
    # Jordan's airbench94_muon, for half as many images in a step, lower by as much as his rates for 95 % are than those
    # for 94 % (10 to 11.5); that of Muon as for 96 % (9 to 11.5), and by the root of the images
    "airbench95": {
        "batch_size": 1000, "learning_rate": pytest.approx(0.24 * 9 / 11.5 / 2**0.5, rel=0.03),
        "bias_learning_rate": pytest.approx(0.053 * 1000 * 10 / 11.5, rel=0.02),
        "head_learning_rate": pytest.approx(0.67 * 1000 / 384**2 * 10 / 11.5, rel=0.02),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PAPERS)
def test_a_recipe_that_is_called_after_a_paper_has_its_numbers(name):
    training = RECIPES[name].training
    assert {field: getattr(training, field) for field in PAPERS[name]} == PAPERS[name]


def test_photos_for_alexnet_are_cut_out_of_256_pixels_and_those_for_resnet20_have_black_borders():
    recipe = RECIPES["alexnet"]
    assert (recipe.image_size, recipe.train_size, recipe.colour_noise, recipe.tta) == (227, 256, 0.1, "ten_crop")
    assert (recipe.random_crop, recipe.horizontal_flip, 227 / recipe.crop_ratio) == (0, "random", 256)
    recipe = RECIPES["resnet20_2015"]
    assert (recipe.random_crop, recipe.crop_fill, recipe.horizontal_flip) == (4, "constant", "random")


# alexnet takes no numerals of 28 pixels, and says so
@pytest.mark.parametrize("name", sorted(RECIPES.keys() - {"alexnet"}))
def test_every_recipe_has_a_run_of_seconds(name):
    tried = smoke(RECIPES[name])
    assert (tried.data, tried.training.epochs, tried.training.batch_size) == ("synthetic", 2, 32)
    data = load_images(tried.data, None)
    assert symbolic_model(tried.model, data.train.image_shape, 10).output_shape == (None, 10)
    assert augmentations(tried, data)


def test_alexnet_begins_as_in_its_paper():
    # section 5: N(0, 0.01); biases 1 in the second, fourth and fifth convolution and the dense hidden layers, else 0
    keras.utils.set_random_seed(0)
    model = kc.models.alexnet((227, 227, 3), 10)
    biased = set()
    for layer in model.layers:
        for weight in layer.trainable_weights:
            values = np.asarray(weight)
            if values.ndim > 1:
                assert (values.mean(), values.std()) == pytest.approx((0, 0.01), abs=3e-4)
            else:
                assert set(np.unique(values)) in ({0}, {1})
                biased |= {layer.name} if values[0] else set()
    assert biased == {"conv2", "conv4", "conv5", "fc6", "embedding"}


def test_a_border_as_wide_as_the_image_is_an_error():
    with pytest.raises(UsageError, match=r"^random_crop is 32, and images are of 32x32; give a smaller border$"):
        augmentations(ImageRecipe(random_crop=32), DATA)


def test_a_resized_crop_takes_the_place_of_the_other_and_is_cut_out_of_photos_as_they_are_read():
    recipe = ImageRecipe(random_resized_crop=0.25, horizontal_flip="none")
    assert augmentations(recipe, DATA) == (RandomResizedCrop(least_area=0.25),)

    class Photos:
        image_shape, training_resize = (224, 224, 3), RandomPart((224, 224), 0.25)

    assert augmentations(recipe, dataclasses.replace(DATA, train=Photos)) == ()
    with pytest.raises(
        UsageError, match="^train_size is 256, and random_resized_crop cuts out of photos of any size; leave one of the"
    ):
        ImageRecipe(random_resized_crop=0.25, train_size=256).check_asked()


def test_larger_photos_are_cut_to_size():
    class Larger:
        image_shape, training_resize = (224, 224, 3), ResizeAndCrop((256, 256))

    recipe = ImageRecipe(random_crop=0, horizontal_flip="none")
    assert augmentations(recipe, dataclasses.replace(DATA, train=Larger)) == (RandomCrop(size=(224, 224)),)


def test_sizes_of_a_schedule_end_with_that_of_the_images_and_fit_the_network():
    recipe = ImageRecipe(random_crop=0, horizontal_flip="none", size_schedule=(16, 24, 32))
    assert augmentations(recipe, DATA) == (GrowingImages(sizes=(16, 24, 32)),)
    with pytest.raises(
        UsageError, match=r"^size_schedule is \(16, 24\), and images are of 32x32; end with the size of sq"
    ):
        augmentations(dataclasses.replace(recipe, size_schedule=(16, 24)), DATA)
    with pytest.raises(
        UsageError, match=r"^size_schedule is \(16, 32\), and the network takes one size alone: "
    ) as error:
        augmentations(dataclasses.replace(recipe, model="convnetjs", size_schedule=(16, 32)), DATA)
    assert error.value.argument == "size_schedule"
    with pytest.raises(UsageError, match=r"^size_schedule is \(4, 32\), and the network does not take images of 4x4: "):
        augmentations(dataclasses.replace(recipe, model="googlenet", size_schedule=(4, 32)), DATA)
    with pytest.raises(UsageError, match=r"^size_schedule is \(32, 16\); give rising numbers of pixels, at most 4096$"):
        ImageRecipe(size_schedule=(32, 16))


def test_a_size_schedule_is_of_the_stage_that_augments():
    training = kc.Recipe(epochs=2)
    assert FinetuneRecipe(blocks=1, second_epochs=3, size_schedule=(8, 16, 24), training=training)
    for recipe in ({"blocks": 1, "second_epochs": 1}, {}):
        with pytest.raises(
            UsageError, match=r"^size_schedule is \(8, 16\), for [01] epochs of augmentations; give no m"
        ):
            FinetuneRecipe(**recipe, size_schedule=(8, 16), training=training)
    with pytest.raises(UsageError, match="^second_epochs is 0; give a whole number from 1 to 10000$"):
        FinetuneRecipe(second_epochs=0)
