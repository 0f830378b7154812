import dataclasses

import numpy as np
import pytest

from kerascnn.datasets.augmentation import CarveMix, Distortion, Intensity, SingleChannel
from kerascnn.errors import InputError
from kerascnn.tumors import slices
from kerascnn.tumors.phantoms import drawn_patient
from kerascnn.tumors.recipes import TumorRecipe
from kerascnn.tumors.slices import augmentations, slice_examples

RECIPE = TumorRecipe(image_size=64)


def patients():
    return [drawn_patient(number) for number in range(2)]


@pytest.mark.parametrize("times", [1, 3])
def test_slices_with_tumor_are_oversampled(times):
    examples, _ = slice_examples(patients(), RECIPE, times)
    whole = np.concatenate([patient.masks.any((1, 2, 3)) for patient in patients()])
    assert 0 < whole.sum() < len(whole)
    with_tumor = examples.labels.any((1, 2, 3))
    assert (with_tumor.sum(), (~with_tumor).sum()) == (times * whole.sum(), (~whole).sum())
    assert examples.weights is None


def test_the_augmentations_are_those_of_the_recipe():
    moved = {"horizontal_flip": False, "rotation": 1.0, "zoom": 0.2, "shear": 0.3}
    changed = {"brightness": 0.4, "contrast": 0.5, "gamma": 0.6}
    recipe = TumorRecipe(image_size=480, shift=0.1, elastic=720.0, flair_only=0.7, carvemix=0.8, **moved, **changed)
    assert augmentations(recipe) == (
        # twice Dong's size: displacements alpha / sigma are twice his 720 / 24
        Distortion(shift=48.0, elastic=2880.0, sigma=48.0, **moved),
        CarveMix(share=0.8),
        SingleChannel(share=0.7, channel=1),
        Intensity(**changed),
    )
    assert len(augmentations(dataclasses.replace(recipe, carvemix=0.0, flair_only=0.0))) == 2
    volumes = dataclasses.replace(recipe, data="nifti", carvemix=0.0)
    assert augmentations(dataclasses.replace(volumes, modalities=("T1", "T2", "FLAIR")))[1].channel == 2
    assert len(augmentations(dataclasses.replace(volumes, modalities=("T1", "T2")))) == 2


def test_slices_that_memory_does_not_hold_are_an_error_before_they_are_made(monkeypatch):
    monkeypatch.setattr(slices, "free_memory", lambda: 2**20)
    with pytest.raises(
        InputError, match=r"^slices of 2 patients take about 0\.\d GiB, and 0\.0 GiB are free; give a sm"
    ):
        slice_examples(patients(), RECIPE)


def test_the_loss_border_weighs_pixels_by_the_classes_shares_and_moves_with_the_slices():
    recipe = dataclasses.replace(RECIPE, loss="border")
    examples, share = slice_examples(patients(), recipe)
    assert examples.weights.shape == examples.labels.shape
    # each slice of a phantom has one tumor at most, so no border is narrow
    np.testing.assert_allclose(examples.weights[examples.labels == 1], 0.5 / share, rtol=1e-6)
    np.testing.assert_allclose(examples.weights[examples.labels == 0], 0.5 / (1 - share), rtol=1e-6)
    assert examples.weights.mean() == pytest.approx(1)
    again, _ = slice_examples(patients(), recipe, share=0.5)
    assert set(np.unique(again.weights)) == {1.0}


def test_a_loss_that_weighs_classes_needs_tumor():
    empty = [dataclasses.replace(patient, masks=np.zeros_like(patient.masks)) for patient in patients()]
    with pytest.raises(
        InputError, match="^no training slice has tumor; the loss border weighs classes, choose another$"
    ):
        slice_examples(empty, dataclasses.replace(RECIPE, loss="border"))
