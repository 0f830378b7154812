import dataclasses
import json

import pytest

from apps.tumors import TumorRecipe
from kerascnn.cli.segmentation import check_same_ensemble
from kerascnn.errors import UsageError
from kerascnn.tumors.ensemble import check_same_member
from kerascnn.tumors.patients import PatientDataset, split
from kerascnn.tumors.phantoms import drawn_patient


def drawn(count):
    return PatientDataset("phantoms", tuple(map(drawn_patient, range(count))), ("a", "b", "c"), "none", "drawn")


@pytest.fixture(scope="module")
def data():
    return drawn(10)


def leave(folder, recipe, data, parts):
    """What a finished member says of itself."""
    record = {"recipe": dataclasses.asdict(recipe), "data": data.metadata(), "split": parts.metadata()}
    (folder / "recipe.json").write_text(json.dumps(record))


def test_a_finished_member_is_taken_over_only_if_recipe_data_and_split_are_the_same(tmp_path, data):
    recipe, parts = TumorRecipe(seed=3), split(data.patients, 0, 1)
    leave(tmp_path, recipe, data, parts)
    check_same_member(tmp_path, recipe, data, parts)
    with pytest.raises(UsageError, match=r"trained with seed 3 \(now 4\)"):
        check_same_member(tmp_path, TumorRecipe(seed=4), data, parts)
    with pytest.raises(UsageError, match="trained on other data; give the same or choose another --out"):
        check_same_member(tmp_path, recipe, drawn(11), parts)
    with pytest.raises(UsageError, match="trained on other data"):
        check_same_member(tmp_path, recipe, data, split(data.patients, 0, 2))


def test_a_recipe_from_before_a_flag_existed_is_another_one(tmp_path, data):
    recipe, parts = TumorRecipe(), split(data.patients, 0)
    leave(tmp_path, recipe, data, parts)
    record = json.loads((tmp_path / "recipe.json").read_text())
    del record["recipe"]["carve"]
    (tmp_path / "recipe.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match=r"trained with carve None \(now 0.5\)"):
        check_same_member(tmp_path, recipe, data, parts)


@pytest.mark.parametrize(
    ("left", "members", "fits"),
    [
        ([], 1, True),
        ([], 2, True),
        (["checkpoint.npz"], 1, True),
        (["checkpoint.npz"], 2, False),
        (["member0"], 1, False),
        (["member0"], 2, True),
        (["member0", "member1", "member2"], 2, False),
    ],
)
def test_a_started_run_of_another_number_of_networks_is_refused(tmp_path, left, members, fits):
    for name in left:
        (tmp_path / name).mkdir()
    if fits:
        check_same_ensemble(tmp_path, members)
    else:
        with pytest.raises(UsageError, match=f"other than {members} --members; give its number or choose another"):
            check_same_ensemble(tmp_path, members)
