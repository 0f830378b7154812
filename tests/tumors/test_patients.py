from collections import Counter

import numpy as np
import pytest

from kerascnn.errors import InputError
from kerascnn.tumors.patients import Patient, split
from kerascnn.tumors.recipes import FOLDS, VALIDATION_PARTS

SLICES = np.zeros((2, 4, 4, 3), np.uint8), np.zeros((2, 4, 4, 1), np.uint8)
# The institutions of 44 patients of the LGG data set.
PATIENTS = tuple(
    Patient(f"TCGA_{institution}_{i}", *SLICES, institution)
    for institution, count in {"CS": 6, "DU": 18, "EZ": 1, "FG": 6, "HT": 13}.items()
    for i in range(count)
)


def names(patients):
    return {patient.name for patient in patients}


@pytest.mark.parametrize("fold", range(FOLDS))
def test_no_patient_is_on_two_sides_of_a_split(fold):
    parts = split(PATIENTS, fold)
    sides = [names(part) for part in (parts.train, parts.validation, parts.test)]
    assert [len(side) for side in sides] == [len(part) for part in (parts.train, parts.validation, parts.test)]
    assert sum(map(len, sides)) == len(set.union(*sides)) == len(PATIENTS)
    assert min(map(len, sides)) >= 5


def test_every_patient_is_tested_once():
    tested = Counter(name for fold in range(FOLDS) for name in names(split(PATIENTS, fold).test))
    assert set(tested) == names(PATIENTS)
    assert set(tested.values()) == {1}


def test_institutions_are_spread_over_the_folds():
    for institution, count in {"CS": 6, "DU": 18, "FG": 6, "HT": 13}.items():
        parts = [split(PATIENTS, fold).test for fold in range(FOLDS)]
        found = [sum(patient.institution == institution for patient in part) for part in parts]
        assert max(found) - min(found) <= 1
        assert sum(found) == count


@pytest.mark.parametrize("fold", range(FOLDS))
def test_the_parts_of_a_fold_validate_each_patient_once_and_test_the_same(fold):
    splits = [split(PATIENTS, fold, part) for part in range(VALIDATION_PARTS)]
    assert {names(parts.test) == names(splits[0].test) for parts in splits} == {True}
    validated = Counter(name for parts in splits for name in names(parts.validation))
    assert set(validated) == names(PATIENTS) - names(splits[0].test)
    assert set(validated.values()) == {1}
    for parts in splits:
        assert names(parts.train) == set(validated) - names(parts.validation)


def test_a_split_depends_on_the_seed_and_not_on_the_order_of_the_patients():
    first, again, other = split(PATIENTS, 1), split(PATIENTS[::-1], 1), split(PATIENTS, 1, seed=1)
    assert first.metadata() == again.metadata() != other.metadata()


def test_too_few_patients_are_an_error():
    with pytest.raises(InputError, match="^9 patients are too few for 5 folds; give at least 10$"):
        split(PATIENTS[:9], 0)
