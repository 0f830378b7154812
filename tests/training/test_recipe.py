from dataclasses import replace

import pytest

from kerascnn.errors import UsageError
from kerascnn.training.recipe import RANGES, Recipe


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("batch_size", 0, "batch_size is 0; give a number of at least 1"),
        ("accumulate", -5, "accumulate is -5; give a number of at least 1"),
        ("learning_rate", -1.0, "learning_rate is -1; give a number of at least 0"),
        ("learning_rate", float("nan"), "learning_rate is nan; give a number of at least 0"),
        ("warmup_epochs", float("inf"), "warmup_epochs is inf; give a number of at least 0"),
        ("ema", 1.5, "ema is 1.5; give a number from 0 to 1"),
        ("seed", -1, "seed is -1; give a number from 0 to 4.29497e+09"),
    ],
)
def test_a_number_that_no_training_can_use_is_an_error(field, value, words):
    with pytest.raises(UsageError) as caught:
        replace(Recipe(), **{field: value})
    assert str(caught.value) == words
    assert caught.value.argument == field


def test_a_plateau_that_decays_by_nothing_is_an_error():
    with pytest.raises(UsageError, match="^decay_factor is 1; give a smaller number, or choose the schedule constant$"):
        replace(Recipe(), schedule="plateau", decay_factor=1.0)


def test_every_number_of_the_recipe_has_its_range():
    numbers = {name for name, value in vars(Recipe()).items() if isinstance(value, int | float)}
    assert set(RANGES) == numbers - {"deterministic", "tensorboard"}
