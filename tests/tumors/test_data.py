import pytest

from kerascnn.errors import UsageError
from kerascnn.tumors.data import load


def test_patients_of_an_unknown_name_are_answered_with_the_names():
    words = "^name is 'mri', which is no source of patients; choose one of brain_mri, nifti, phantoms$"
    with pytest.raises(UsageError, match=words):
        load("mri")


def test_volumes_without_their_folder_raise():
    with pytest.raises(UsageError, match="^data_dir is missing; name the folder of NIfTI volumes") as caught:
        load("nifti")
    assert caught.value.argument == "data_dir"
