import dataclasses

import numpy as np
import pytest

from apps.tumors import Recipe
from kerascnn.datasets.phantoms import drawn_patient
from kerascnn.errors import InputError
from kerascnn.mask_training import slice_examples

RECIPE = Recipe(side=64)


def patients():
    return [drawn_patient(number) for number in range(2)]


@pytest.mark.parametrize("draws", [1, 3])
def test_slices_with_tumor_are_drawn_more_often(draws):
    examples, _ = slice_examples(patients(), RECIPE, draws)
    whole = np.concatenate([patient.masks.any((1, 2, 3)) for patient in patients()])
    assert 0 < whole.sum() < len(whole)
    drawn = examples.labels.any((1, 2, 3))
    assert (drawn.sum(), (~drawn).sum()) == (draws * whole.sum(), (~whole).sum())


def test_a_loss_that_weighs_classes_needs_tumor():
    empty = [dataclasses.replace(patient, masks=np.zeros_like(patient.masks)) for patient in patients()]
    with pytest.raises(InputError, match="^no training slice has tumor; --loss border weighs classes, choose another$"):
        slice_examples(empty, dataclasses.replace(RECIPE, loss="border"))
