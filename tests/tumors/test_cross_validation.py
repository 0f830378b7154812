import dataclasses
import json

import numpy as np
import pytest

from kerascnn.errors import UsageError
from kerascnn.segmentation.metrics import summary
from kerascnn.training.recipe import as_json
from kerascnn.tumors import cross_validation
from kerascnn.tumors.patients import Patient, PatientDataset
from kerascnn.tumors.recipes import TumorRecipe

# Two patients a fold; one has no Dice.
DICE = {0: [0.9, 0.8], 1: [0.7, 0.6], 2: [0.95, None], 3: [0.5, 0.85], 4: [0.9, 0.9]}


def patients(count=10):
    slices = np.zeros((1, 4, 4, 3), np.uint8), np.zeros((1, 4, 4, 1), np.uint8)
    found = tuple(Patient(f"p{number}", *slices) for number in range(count))
    return PatientDataset("none", found, ("a", "b", "c"), "none", "of nothing")


class Folds:
    """Stands in for training and scoring: they leave the files of a run, with the figures of DICE."""

    def __init__(self, monkeypatch):
        self.trained, self.scored = [], []
        for name, function in {"train": self.train, "load_trained": self.load, "evaluate": self.evaluate}.items():
            monkeypatch.setattr(cross_validation, name, function)

    def train(self, recipe, data, folder, callbacks, resume):
        self.trained.append((recipe.fold, resume))
        folder.mkdir(parents=True, exist_ok=True)
        record = {"recipe": as_json(recipe), "settings": {"threshold": 0.5}, "training_seconds": 10.0}
        tried = [{"threshold": 0.5, "dice": 0.8}, {"threshold": 0.6, "dice": 0.8 + recipe.fold / 100}]
        rest = {"settings_tried": tried, "data": data.metadata(), "hardware": "h", "date": "d", "versions": {}}
        (folder / "recipe.json").write_text(json.dumps(record | rest))

    def load(self, folder, app):
        return None, json.loads((folder / "recipe.json").read_text())

    def evaluate(self, model, record, data, folder, empty):
        fold = record["recipe"]["fold"]
        self.scored.append(fold)
        table = [{"patient": f"p{fold}{i}", "dice": dice, "hausdorff95": 2.0} for i, dice in enumerate(DICE[fold])]
        metrics = {
            "patient_dice": summary(DICE[fold])["mean"],
            "single_image_patient_dice": 0.5 + fold / 10,
            "patients": 2,
            "empty_masks": empty,
            "distances_in": "pixels",
            "by_patient": {"dice": {}, "hausdorff95": {}},
            "table": table,
        }
        (folder / "metrics.json").write_text(json.dumps(metrics))


def crossvalidate(out, recipe=None, data=None, empty="one"):
    figures = cross_validation.crossvalidate(recipe or TumorRecipe(), data or patients(), out, empty)
    assert json.loads((out / "crossvalidation.json").read_text()) == json.loads(json.dumps(figures))
    return figures


def test_all_patients_count_the_same(tmp_path, monkeypatch):
    Folds(monkeypatch)
    figures = crossvalidate(tmp_path)
    known = [dice for fold in DICE.values() for dice in fold if dice is not None]
    assert figures["patient_dice"] == pytest.approx(np.mean(known))
    assert figures["patient_dice_median"] == pytest.approx(np.median(known))
    assert (figures["patients"], figures["by_patient"]["dice"]["values"]) == (10, 9)
    assert figures["worst"] == ["p30", "p11", "p10", "p01", "p31"]
    assert figures["training_seconds"] == 50
    assert figures["single_image_patient_dice"] == pytest.approx((0.5 + 0.6 + 0.7 + 0.8 + 0.9) / 5)
    assert figures["by_fold"][1] == pytest.approx(0.65)
    assert figures["validation_dice"] == pytest.approx([0.8, 0.81, 0.82, 0.83, 0.84])
    assert [row["fold"] for row in figures["table"]] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert (tmp_path / "crossvalidation.png").is_file()


def test_finished_folds_are_left_alone_and_a_stopped_one_goes_on(tmp_path, monkeypatch):
    folds = Folds(monkeypatch)
    first = crossvalidate(tmp_path)
    assert folds.trained == [(fold, False) for fold in range(5)]
    (tmp_path / "fold4" / "metrics.json").unlink()
    (tmp_path / "fold3" / "recipe.json").unlink()
    again = Folds(monkeypatch)
    assert crossvalidate(tmp_path) == first
    assert (again.trained, again.scored) == ([(3, True)], [3, 4])
    assert crossvalidate(tmp_path, empty="zero")["empty_masks"] == "zero"
    assert again.scored == [3, 4, 0, 1, 2, 3, 4]


def test_folds_of_another_recipe_are_an_error(tmp_path, monkeypatch):
    Folds(monkeypatch)
    crossvalidate(tmp_path)
    other = TumorRecipe(training=dataclasses.replace(TumorRecipe.training, epochs=2))
    with pytest.raises(UsageError, match=r"fold0 was trained with epochs 60 \(now 2\); give the same"):
        crossvalidate(tmp_path, other)


def test_folds_of_other_data_are_an_error(tmp_path, monkeypatch):
    Folds(monkeypatch)
    crossvalidate(tmp_path)
    with pytest.raises(UsageError, match="fold0 was trained on other data; give the same or choose another folder"):
        crossvalidate(tmp_path, data=patients(11))
    record = json.loads((tmp_path / "fold3" / "recipe.json").read_text())
    (tmp_path / "fold3" / "recipe.json").write_text(json.dumps(record | {"data": {"name": "more"}}))
    with pytest.raises(UsageError, match="fold3 was trained on other data"):
        crossvalidate(tmp_path)


def test_a_fold_is_not_asked_for(tmp_path):
    with pytest.raises(UsageError, match="^fold is 2; leave it out, all folds are trained$"):
        crossvalidate(tmp_path, TumorRecipe(fold=2))
