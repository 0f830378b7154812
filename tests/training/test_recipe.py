import json
from dataclasses import fields, replace

import keras
import numpy as np
import pytest

from kerascnn.datasets.augmentation import MixUp
from kerascnn.errors import UsageError
from kerascnn.training.recipe import RANGES, Recipe, as_json


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("batch_size", 0, "batch_size is 0; give a whole number from 1 to 1000000"),
        ("accumulate", -5, "accumulate is -5; give a whole number from 1 to 1000000"),
        ("learning_rate", -1.0, "learning_rate is -1; give a number from 0 to 3e+38"),
        ("learning_rate", float("nan"), "learning_rate is nan; give a number from 0 to 3e+38"),
        ("warmup_epochs", float("inf"), "warmup_epochs is inf; give a number from 0 to 1000000"),
        ("ema", 1.5, "ema is 1.5; give a number from 0 to 0.999999"),
        ("seed", -1, "seed is -1; give a whole number from 0 to 4294967295"),
        ("schedule", "cosin", "schedule is cosin; choose one of constant, linear, cosine, step, plateau"),
        ("optimizer", "foo", "optimizer is foo; choose one of sgd, adam, adamw, adagrad, rmsprop, muon"),
        ("precision", None, "precision is None; choose one of float32, mixed_bfloat16, mixed_float16, auto"),
        ("epochs", 2.5, "epochs is 2.5; give a whole number from 1 to 1000000"),
        ("batch_size", True, "batch_size is True; give a whole number from 1 to 1000000"),
        ("ema", False, "ema is False; give a number from 0 to 0.999999"),
        ("momentum", "a", "momentum is a; give a number from 0 to 1"),
        ("deterministic", 1, "deterministic is 1; give True or False"),
    ],
)
def test_a_value_that_no_training_can_use_is_an_error(field, value, words):
    with pytest.raises(UsageError) as caught:
        replace(Recipe(), **{field: value})
    assert str(caught.value) == words
    assert caught.value.argument == field


def test_a_whole_number_is_a_float_too():
    assert Recipe(learning_rate=1, ema=0) == Recipe(learning_rate=1.0)


def test_an_augmentation_that_is_not_made_is_an_error():
    with pytest.raises(UsageError, match=r"^augmentations holds the class RandomFlip; give RandomFlip\(\)$"):
        Recipe(augmentations=[keras.layers.RandomFlip])


def test_a_plateau_that_decays_by_nothing_is_an_error():
    with pytest.raises(UsageError, match="^decay_factor is 1; give a smaller number, or choose the schedule constant$"):
        replace(Recipe(), schedule="plateau", decay_factor=1.0)


def test_every_number_of_the_recipe_has_its_range():
    numbers = {field.name for field in fields(Recipe) if field.type in (int, float, float | None)}
    assert set(RANGES) == numbers


def test_numbers_of_numpy_are_numbers_and_json():
    recipe = Recipe(
        seed=np.int64(3), learning_rate=np.float32(0.5), augmentations=[MixUp(alpha=0.2, num_classes=np.int64(4))]
    )
    assert (recipe.seed, type(recipe.seed), type(recipe.learning_rate)) == (3, int, float)
    assert json.loads(json.dumps(as_json(recipe)))["augmentations"] == [{"MixUp": {"alpha": 0.2, "num_classes": 4}}]


def test_a_layer_of_keras_that_is_made_anew_is_the_same_augmentation():
    first, again = (as_json(Recipe(augmentations=[keras.layers.RandomCrop(8, 8)])) for _ in range(2))
    assert first == again
    assert first["augmentations"][0]["RandomCrop"]["height"] == 8
    first, again = (as_json(Recipe(augmentations=[keras.Sequential([keras.layers.RandomFlip()])])) for _ in range(2))
    assert first == again


def test_a_layer_of_keras_that_has_seen_images_is_the_same_augmentation():
    layers = keras.Sequential([keras.layers.RandomFlip(), keras.layers.RandAugment(value_range=(0, 1))])
    recipe = Recipe(augmentations=[layers])
    before = as_json(recipe)
    layers(np.zeros((2, 8, 8, 3), np.float32), training=True)
    assert as_json(recipe) == before


def test_a_layer_whose_arguments_keras_cannot_tell_is_said_by_its_name():
    class Noise(keras.layers.Layer):
        def __init__(self, draw):
            super().__init__()
            self.draw = draw

    assert as_json(Recipe(augmentations=[Noise(np.random.default_rng(0))]))["augmentations"][0].endswith("Noise")
