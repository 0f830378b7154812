"""Recipes that fit, those that do not, and that of the shipped network."""

import json
from pathlib import Path

import pytest

from kerascnn.errors import UsageError
from kerascnn.segmentation.inference import MaskSettings
from kerascnn.training.recipe import Recipe
from kerascnn.tumors.recipes import RECIPES, TumorRecipe

SHIPPED = Path(__file__).parents[2] / "saved_models" / "tumors"
NUMBERS = [name for name, value in vars(TumorRecipe()).items() if type(value) in (int, float)] + ["width", "depth"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 0}, "width is 0; give a whole number from 1 to 1024"),
        ({"depth": 1_000_000, "model": "unet"}, "depth is 1000000; give a whole number from 1 to 8"),
        ({"ensemble": 8}, "ensemble is 8; give a whole number from 1 to 7"),
        ({"fold": 5}, "fold is 5; give a whole number from 0 to 4"),
        ({"fold": 1.5}, "fold is 1.5; give a whole number from 0 to 4"),
        ({"image_size": 16}, "image_size is 16; give a whole number from 32 to 2048"),
        ({"image_size": 160.0}, "image_size is 160.0; give a whole number from 32 to 2048"),
        ({"image_size": 100}, "image_size is 100; give a multiple of 16"),
        ({"image_size": 112, "model": "unet", "depth": 5}, "image_size is 112; give a multiple of 32"),
        ({"foreground_oversampling": 101}, "foreground_oversampling is 101; give a whole number from 1 to 100"),
        ({"contrast": 1e6}, "contrast is 1e+06; give a number from 0 to 1"),
        ({"gamma": -1.0}, "gamma is -1; give a number from 0 to 10"),
        ({"carvemix": 1.5}, "carvemix is 1.5; give a number from 0 to 1"),
        ({"zoom": 1.0}, "zoom is 1; give a number from 0 to 0.99"),
        ({"modalities": ()}, "modalities is (); name at least one"),
        ({"modalities": "flair"}, "modalities is flair; give a tuple"),
        ({"horizontal_flip": 1}, "horizontal_flip is 1; give True or False"),
        ({"training": None}, "training is None; give a Recipe"),
        ({"modalities": ("flair",)}, "modalities is ('flair',); it is for data nifti, leave it out"),
        ({"model": "resnet50"}, "model is resnet50; choose one of unet, unet_buda, unet_dong, unet_2015"),
        ({"loss": "mse"}, "loss is mse; choose one of dice, dice_cross_entropy, jaccard, tversky, focal, border"),
        (
            {"model": "unet_dong", "width": 8},
            "width is 8; unet_dong has none; leave it out, or choose unet or unet_buda",
        ),
        (
            {"model": "unet", "width": 1024},
            "width is 1024; the network halves slices 4 times, give at most 256",
        ),
        (
            {"model": "unet", "width": 32, "depth": 8, "image_size": 256},
            "width is 32; the network halves slices 8 times, give at most 16",
        ),
        ({"depth": 3}, "depth is 3; unet_buda has none; leave it out, or choose unet"),
        (
            {"model": "unet_2015", "image_size": 64},
            "image_size is 64; unet_2015 reflects 94 pixels beyond each edge, give at least 96",
        ),
        (
            {"training": Recipe(label_smoothing=0.1)},
            "label_smoothing is 0.1; it is for classes, not for masks; leave it out",
        ),
    ],
)
def test_a_recipe_that_does_not_fit_is_named(fields, message):
    with pytest.raises(UsageError) as raised:
        TumorRecipe(**fields)
    assert str(raised.value) == message
    assert raised.value.argument == message.split()[0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e9])
@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_has_a_range(name, value):
    with pytest.raises(UsageError, match=rf"^{name} is (nan|inf|1e\+09|1000000000\.0); give a (whole )?number from "):
        TumorRecipe(**{name: value})


def test_the_shipped_network_is_of_a_named_recipe():
    record, metrics = (json.loads((SHIPPED / name).read_text()) for name in ("recipe.json", "metrics.json"))
    stored = record["recipe"]
    training = Recipe(**stored["training"] | {"precision": "auto"})
    assert TumorRecipe(**stored | {"modalities": tuple(stored["modalities"]), "training": training}) in RECIPES.values()
    assert record["settings"] == metrics["settings"] == vars(MaskSettings(**record["settings"]))
    for tried in record["settings_tried"]:
        assert set(tried) == {*vars(MaskSettings()), "dice"}
