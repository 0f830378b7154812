"""What a recipe becomes on the command line, and back."""

import dataclasses
from dataclasses import dataclass, replace
from typing import Literal

import pytest
from cyclopts import App

from kerascnn.classification.recipes import RECIPES as IMAGES
from kerascnn.classification.recipes import ImageRecipe
from kerascnn.cli.flags import chosen, flags_of, parse_memory, parse_shape
from kerascnn.digits.recipes import RECIPES, DigitRecipe
from kerascnn.errors import UsageError
from kerascnn.training.recipe import Recipe

Flags = flags_of(DigitRecipe)
app = App(result_action="return_value")


@app.default
def train(flags: Flags | None = None, *, recipe: Literal[tuple(RECIPES)] = "lenet5"):
    return chosen(RECIPES[recipe], flags)


def parsed(*arguments):
    return app(arguments, exit_on_error=False, print_error=False)


def test_without_flags_a_recipe_is_as_its_name_says():
    for name, recipe in RECIPES.items():
        assert parsed("--recipe", name) == recipe


def test_a_flag_changes_its_field_of_the_named_recipe_and_no_other():
    asked = parsed("--recipe", "vgg_digits", "--epochs", "3")
    training = asked.training
    assert (training.epochs, training.learning_rate, training.ema) == (3, 0.003, 0.999)
    assert (training.warmup_epochs, training.precision, training.optimizer) == (1.0, "mixed_bfloat16", "adamw")
    assert asked == replace(RECIPES["vgg_digits"], training=replace(training, epochs=3))


def test_flags_reach_the_recipe_and_its_training_part():
    asked = parsed("--shift", "0", "--deterministic", "--optimizer", "sgd", "--data", "mnist")
    assert (asked.shift, asked.data) == (0.0, "mnist")
    assert (asked.training.deterministic, asked.training.optimizer) == (True, "sgd")
    assert parsed("--no-deterministic").training.deterministic is False


def test_a_recipe_checks_what_a_flag_gives():
    with pytest.raises(UsageError) as error:
        parsed("--zoom", "1.5")
    assert error.value.argument == "zoom"


def test_every_field_is_a_flag_with_its_help_and_its_own_default(capsys):
    app(["--help"])
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--epochs INT How often the training images are seen. [default: 80]" in words
    assert "--shift FLOAT Random shift in pixels. [default: 2.0]" in words
    for part in (DigitRecipe, Recipe):
        for field in dataclasses.fields(part):
            assert ("--" + field.name.replace("_", "-") in words) == (field.name not in ("training", "augmentations"))


@dataclass(frozen=True, kw_only=True)
class Described:
    names: tuple[str, ...] = ("a", "b")
    "Several."
    width: int | None = None
    "Left out unless it is given."
    flip: bool = True
    "On unless it is switched off."
    training: Recipe = Recipe()


def test_lists_numbers_that_may_be_absent_and_switches_are_flags():
    kinds, sorts = App(result_action="return_value"), flags_of(Described)

    @kinds.default
    def command(flags: sorts | None = None):
        return chosen(Described(), flags)

    asked = kinds(["--names", "x", "--names", "y", "--width", "8", "--no-flip"], exit_on_error=False)
    assert asked == Described(names=("x", "y"), width=8, flip=False)


def test_sizes_are_read_as_users_write_them():
    assert parse_shape("227x227x3") == (227, 227, 3)
    assert parse_memory("4GiB") == 4 * 2**30
    assert parse_memory("1000") == 1000


def test_fields_of_one_optimizer_or_schedule_leave_with_it():
    of_images = flags_of(ImageRecipe)
    asked = chosen(IMAGES["cifar_fast"], of_images(optimizer="sgd", learning_rate=0.1)).training
    assert (asked.optimizer, asked.bias_learning_rate, asked.head_learning_rate) == ("sgd", None, None)
    asked = chosen(IMAGES["resnet20_2015"], of_images(optimizer="adam", schedule="cosine")).training
    assert (asked.nesterov, asked.coupled_weight_decay, asked.decay_epochs) == (True, False, ())
    same = chosen(IMAGES["cifar_fast"], of_images(optimizer="muon")).training
    assert same == IMAGES["cifar_fast"].training
    with pytest.raises(UsageError, match="^bias_learning_rate is 2, and optimizer is sgd; leave it out, or choose"):
        chosen(IMAGES["cifar_fast"], of_images(optimizer="sgd", bias_learning_rate=2.0))
