import dataclasses

import numpy as np
import pytest

from apps.tumors import TumorRecipe
from kerascnn.datasets import augmentation as datasets_augmentation
from kerascnn.errors import InputError
from kerascnn.tumors.phantoms import drawn_patient
from kerascnn.tumors.training import augmentation, slice_examples

RECIPE = TumorRecipe(side=64)


def patients():
    return [drawn_patient(number) for number in range(2)]


@pytest.mark.parametrize("draws", [1, 3])
def test_slices_with_tumor_are_drawn_more_often(draws):
    examples, _ = slice_examples(patients(), RECIPE, draws)
    whole = np.concatenate([patient.masks.any((1, 2, 3)) for patient in patients()])
    assert 0 < whole.sum() < len(whole)
    drawn = examples.labels.any((1, 2, 3))
    assert (drawn.sum(), (~drawn).sum()) == (draws * whole.sum(), (~whole).sum())


def test_the_augmentation_is_that_of_the_recipe(monkeypatch):
    asked = {}
    monkeypatch.setattr(datasets_augmentation, "paired_distortion", lambda **options: asked.update(options))
    limits = {"mirror": False, "rotation": 1.0, "zoom": 0.2, "shear": 0.3, "brightness": 0.4, "contrast": 0.5}
    limits |= {"gamma": 0.6, "copy": 0.7, "carve": 0.8}
    augmentation(TumorRecipe(side=120, shift=0.1, elastic=720.0, **limits))
    # half of Dong's side: displacements alpha / sigma are half of his 720 / 24
    assert asked == limits | {"shift": 12.0, "elastic": 180.0, "sigma": 12.0}


def test_a_loss_that_weighs_classes_needs_tumor():
    empty = [dataclasses.replace(patient, masks=np.zeros_like(patient.masks)) for patient in patients()]
    with pytest.raises(InputError, match="^no training slice has tumor; --loss border weighs classes, choose another$"):
        slice_examples(empty, dataclasses.replace(RECIPE, loss="border"))
