import json

import pytest

from kerascnn.errors import UsageError
from kerascnn.training.recipe import Recipe, as_json
from kerascnn.tumors.patients import PatientDataset, split
from kerascnn.tumors.phantoms import drawn_patient
from kerascnn.tumors.recipes import TumorRecipe
from kerascnn.tumors.training import check_new_run, finished_run


def drawn(count):
    return PatientDataset("phantoms", tuple(map(drawn_patient, range(count))), ("a", "b", "c"), "none", "drawn")


@pytest.fixture(scope="module")
def data():
    return drawn(10)


def leave(folder, recipe, data, parts):
    """What a finished network of an ensemble says of itself."""
    record = {"recipe": as_json(recipe), "data": data.metadata(), "split": parts.metadata()}
    (folder / "recipe.json").write_text(json.dumps(record))


def test_a_finished_network_is_taken_over_only_if_recipe_data_and_split_are_the_same(tmp_path, data):
    recipe, parts = TumorRecipe(training=Recipe(seed=3)), split(data.patients, 0, 1)
    leave(tmp_path, recipe, data, parts)
    assert finished_run(tmp_path, recipe, data, parts)
    assert finished_run(tmp_path, recipe, data)
    assert not finished_run(tmp_path / "absent", recipe, data)
    with pytest.raises(UsageError, match=r"trained with seed 3 \(now 4\)"):
        finished_run(tmp_path, TumorRecipe(training=Recipe(seed=4)), data, parts)
    with pytest.raises(UsageError, match="trained on other data; give the same or choose another folder"):
        finished_run(tmp_path, recipe, drawn(11), parts)
    with pytest.raises(UsageError, match="trained on other data"):
        finished_run(tmp_path, recipe, data, split(data.patients, 0, 2))


def test_a_recipe_from_before_a_field_existed_is_another_one(tmp_path, data):
    recipe, parts = TumorRecipe(), split(data.patients, 0)
    leave(tmp_path, recipe, data, parts)
    record = json.loads((tmp_path / "recipe.json").read_text())
    del record["recipe"]["carvemix"]
    (tmp_path / "recipe.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match=r"trained with carvemix None \(now 0.5\)"):
        finished_run(tmp_path, recipe, data, parts)


@pytest.mark.parametrize(
    ("left", "ensemble", "fits"),
    [
        ([], 1, True),
        ([], 2, True),
        (["checkpoint.npz"], 1, True),
        (["checkpoint.npz"], 2, False),
        (["network0"], 1, False),
        (["network0"], 2, True),
        (["network0", "network1", "network2"], 2, False),
    ],
)
def test_a_started_run_of_another_number_of_networks_is_an_error(tmp_path, left, ensemble, fits):
    for name in left:
        (tmp_path / name).mkdir()
    if fits:
        check_new_run(tmp_path, ensemble)
    else:
        words = f"^ensemble is {ensemble} and .* holds a run of another number of networks; give its number or choose"
        with pytest.raises(UsageError, match=words):
            check_new_run(tmp_path, ensemble)
