import dataclasses
import json

import numpy as np
import pytest

from apps.tumors import TumorRecipe
from kerascnn.errors import UsageError
from kerascnn.segmentation.metrics import summary
from kerascnn.tumors.cross_validation import crossvalidate

# Two patients a fold; one has no Dice.
DICE = {0: [0.9, 0.8], 1: [0.7, 0.6], 2: [0.95, None], 3: [0.5, 0.85], 4: [0.9, 0.9]}


class Verbs:
    """Training and scoring as crossvalidate calls them: they leave the files of a run, with the figures of DICE."""

    def __init__(self):
        self.trained, self.scored = [], []

    def train(self, recipe, folder, resume):
        self.trained.append((recipe.fold, resume))
        folder.mkdir(parents=True, exist_ok=True)
        record = {"recipe": dataclasses.asdict(recipe), "settings": {"threshold": 0.5}, "training_seconds": 10.0}
        tried = [{"threshold": 0.5, "dice": 0.8}, {"threshold": 0.6, "dice": 0.8 + recipe.fold / 100}]
        rest = {"settings_tried": tried, "data": {"name": "phantoms"}, "hardware": "h", "date": "d", "versions": {}}
        (folder / "recipe.json").write_text(json.dumps(record | rest))

    def evaluate(self, folder):
        fold = int(folder.name[-1])
        self.scored.append(fold)
        table = [{"patient": f"p{fold}{i}", "dice": dice, "hausdorff95": 2.0} for i, dice in enumerate(DICE[fold])]
        metrics = {
            "patient_dice": summary(DICE[fold])["mean"],
            "single_image_patient_dice": 0.5 + fold / 10,
            "patients": 2,
            "empty_masks": "one",
            "distances_in": "pixels",
            "by_patient": {"dice": {}, "hausdorff95": {}},
            "table": table,
        }
        (folder / "metrics.json").write_text(json.dumps(metrics))

    def run(self, out, recipe=None):
        crossvalidate(recipe or TumorRecipe(), self.train, self.evaluate, out, "one")
        return json.loads((out / "crossvalidation.json").read_text())


def test_all_patients_count_the_same(tmp_path):
    figures = Verbs().run(tmp_path)
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


def test_finished_folds_are_left_alone_and_a_stopped_one_goes_on(tmp_path):
    verbs = Verbs()
    first = verbs.run(tmp_path)
    assert verbs.trained == [(fold, False) for fold in range(5)]
    (tmp_path / "fold4" / "metrics.json").unlink()
    (tmp_path / "fold3" / "recipe.json").unlink()
    again = Verbs()
    assert again.run(tmp_path) == first
    assert (again.trained, again.scored) == ([(3, True)], [4])


def test_folds_of_another_recipe_are_refused(tmp_path):
    Verbs().run(tmp_path)
    with pytest.raises(UsageError, match=r"fold0 was trained with epochs 60 \(now 2\); give the same flags or choose"):
        Verbs().run(tmp_path, TumorRecipe(epochs=2))


def test_folds_of_other_data_are_refused(tmp_path):
    Verbs().run(tmp_path)
    record = json.loads((tmp_path / "fold3" / "recipe.json").read_text())
    (tmp_path / "fold3" / "recipe.json").write_text(json.dumps(record | {"data": {"name": "more"}}))
    with pytest.raises(UsageError, match="fold3 was trained on other data than .*fold0; choose another --out"):
        Verbs().run(tmp_path)


def test_a_fold_is_not_asked_for(tmp_path):
    with pytest.raises(UsageError, match="^--fold is 2; leave it out, all folds are trained$"):
        Verbs().run(tmp_path, TumorRecipe(fold=2))
