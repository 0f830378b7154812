import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kerascnn.errors import DataAbsent, InputError
from kerascnn.tumors import brain_mri
from kerascnn.tumors.data import load
from kerascnn.tumors.patients import split
from kerascnn.tumors.recipes import FOLDS

pytestmark = pytest.mark.long

NAMES = ("TCGA_CS_1111_20000101", "TCGA_DU_2222_20000202")


def place(root, slices=2):
    """Originals of two patients, drawn, where TFDS looks for files placed by hand; the folder of kaggle_3m."""
    folder = root / "downloads" / "manual" / "kaggle_3m"
    draw = np.random.default_rng(0)
    for name in NAMES:
        (folder / name).mkdir(parents=True)
        for number in range(1, slices + 1):
            image = draw.integers(0, 256, (256, 256, 3), np.uint8)
            mask = np.zeros((256, 256), np.uint8)
            mask[100 : 100 + 10 * number, 50:60] = 255
            Image.fromarray(image).save(folder / name / f"{name}_{number}.tif")
            Image.fromarray(mask).save(folder / name / f"{name}_{number}_mask.tif")
    return folder


def test_patients_come_back_as_their_files_have_them(tmp_path):
    folder = place(tmp_path, slices=11)
    data = load("brain_mri", tmp_path)
    assert [patient.name for patient in data.patients] == list(NAMES)
    assert [patient.institution for patient in data.patients] == ["CS", "DU"]
    first = data.patients[0]
    assert (first.images.shape, first.masks.shape) == ((11, 256, 256, 3), (11, 256, 256, 1))
    # slice 10 stands after slice 9, not after slice 1
    stored = np.asarray(Image.open(folder / NAMES[0] / f"{NAMES[0]}_10.tif"))
    np.testing.assert_array_equal(first.images[9], stored)
    assert [int(mask.sum()) for mask in first.masks] == [100 * number for number in range(1, 12)]
    assert set(np.unique(first.masks)) == {0, 1}


def test_absent_originals_are_named_with_their_place_and_source(tmp_path):
    with pytest.raises(DataAbsent, match=r"no kaggle_3m/ in .*downloads/manual; unpack https://www.kaggle.com"):
        load("brain_mri", tmp_path)


def change_size(folder, name):
    Image.fromarray(np.zeros((128, 256, 3), np.uint8)).save(folder / name / f"{name}_1.tif")


def change_values(folder, name):
    mask = np.zeros((256, 256), np.uint8)
    mask[3, 4] = 7
    Image.fromarray(mask).save(folder / name / f"{name}_2_mask.tif")


def empty(folder, name):
    for path in (folder / name).iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder, name: (folder / name / f"{name}_1_mask.tif").unlink(), r"_1_mask.tif is missing; restore it"),
        (lambda folder, name: (folder / name / f"{name}_1.tif").unlink(), r"_1.tif is missing; restore it"),
        (change_size, r"_1.tif is 256 x 128 RGB, expected 256 x 256 RGB; restore the original"),
        (change_values, r"_2_mask.tif has the value 7, a mask has 0 and 255 only; restore the original"),
        (empty, r"TCGA_DU_2222_20000202 has no slices; restore its files or remove the folder"),
        (lambda folder, name: (folder / name / f"{name}_2.tif").write_bytes(b"II*"), r"_2.tif is damaged \("),
        (
            lambda folder, name: (folder / name / f"{name}_0.tif").write_bytes(b""),
            "has a slice 0; number its slices from 1",
        ),
        (lambda folder, name: (folder / name / "x.tif").write_bytes(b""), r"x.tif is no slice of TCGA_DU_2222"),
    ],
)
def test_spoiled_originals_are_named(tmp_path, spoil, words):
    spoil(place(tmp_path), NAMES[1])
    with pytest.raises(InputError, match=words):
        load("brain_mri", tmp_path)
    assert not (tmp_path / "brain_mri" / "1.0.0").exists()


def test_patients_that_come_later_are_not_passed_over(tmp_path):
    folder = place(tmp_path)
    load("brain_mri", tmp_path)
    shutil.copytree(folder / NAMES[0], folder / "TCGA_HT_3333_20000303")
    with pytest.raises(InputError, match=r"1.0.0 was prepared from other patients than those in .*kaggle_3m; delete"):
        load("brain_mri", tmp_path)


def test_the_work_of_tfds_is_not_told_where_results_belong(tmp_path, capfd):
    place(tmp_path)
    load("brain_mri", tmp_path)
    assert capfd.readouterr().out == ""


def test_a_folder_without_patients_is_an_error(tmp_path):
    (tmp_path / "downloads" / "manual" / "kaggle_3m").mkdir(parents=True)
    with pytest.raises(InputError, match="holds no patient's folder"):
        load("brain_mri", tmp_path)


@pytest.fixture(scope="module")
def real():
    """The 64 patients, or a skip where TFDS_DATA_DIR holds no originals."""
    if not (Path(os.environ.get("TFDS_DATA_DIR", "")) / "downloads" / "manual" / "kaggle_3m").is_dir():
        pytest.skip("needs kaggle_3m under TFDS_DATA_DIR")
    return load("brain_mri")


@pytest.mark.data
def test_the_real_data_have_their_published_numbers(real):
    slices = sum(len(patient) for patient in real.patients)
    tumor = sum(int(patient.masks.any((1, 2, 3)).sum()) for patient in real.patients)
    pixels = sum(int(patient.masks.sum()) for patient in real.patients)
    assert (len(real.patients), slices, tumor) == (64, 2316, 804)
    assert pixels / (slices * 256 * 256) == pytest.approx(0.0106, abs=5e-5)


@pytest.mark.data
def test_real_pixels_are_those_of_the_files(real):
    patient = next(patient for patient in real.patients if patient.name == "TCGA_DU_8165_19970205")
    folder = brain_mri.folder() / "downloads" / "manual" / "kaggle_3m" / patient.name
    stored = [np.asarray(Image.open(folder / f"{patient.name}_{i}.tif")) for i in range(1, len(patient) + 1)]
    assert hashlib.sha256(patient.images).digest() == hashlib.sha256(np.stack(stored)).digest()


@pytest.mark.data
def test_no_real_patient_is_on_two_sides_of_any_split(real):
    digests = {
        patient.name: {hashlib.sha256(image).digest() for image in patient.images if image.any()}
        for patient in real.patients
    }
    for fold in range(FOLDS):
        parts = split(real.patients, fold)
        pixels = [
            set().union(*(digests[patient.name] for patient in part))
            for part in (parts.train, parts.validation, parts.test)
        ]
        assert not pixels[0] & pixels[1] | pixels[0] & pixels[2] | pixels[1] & pixels[2]
