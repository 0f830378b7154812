"""Names of networks, known without Keras."""

import pytest

from kerascnn.errors import UsageError
from kerascnn.model_names import NETWORKS, check_name


def test_an_unknown_name_is_answered_with_the_near_ones():
    with pytest.raises(UsageError, match=r"^name is 'lenet', which is no network; choose one of .*lenet5"):
        check_name("lenet")


def test_an_unknown_name_in_a_recipe_is_said_by_its_field():
    with pytest.raises(UsageError, match=r"^model is 'lenet', which is no network; choose one of") as caught:
        check_name("lenet", "model")
    assert caught.value.argument == "model"


def test_a_name_like_no_other_is_answered_with_all_of_them():
    with pytest.raises(UsageError) as caught:
        check_name("0")
    assert all(name in str(caught.value) for name in NETWORKS)
