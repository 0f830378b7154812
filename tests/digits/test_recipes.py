import pytest

from kerascnn.digits.recipes import RANGES, DigitRecipe
from kerascnn.errors import UsageError


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("data", "foo", "data is foo; choose one of auto, mnist, sklearn_digits, synthetic"),
        ("model", 3, "model is 3; give a text"),
        ("shift", "2", "shift is 2; give a number from 0 to 28"),
        ("rotation", float("inf"), "rotation is inf; give a number from 0 to 180"),
        ("zoom", 1, "zoom is 1; give a number from 0 to 0.99"),
        ("training", {}, "training is {}; give a Recipe"),
    ],
)
def test_a_value_that_no_training_can_use_is_an_error(field, value, words):
    with pytest.raises(UsageError) as caught:
        DigitRecipe(**{field: value})
    assert str(caught.value) == words
    assert caught.value.argument == field


def test_every_number_of_the_recipe_has_its_range():
    assert set(RANGES) == {name for name, value in vars(DigitRecipe()).items() if isinstance(value, float)}
