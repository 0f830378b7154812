import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest

from kerascnn.errors import DataAbsent, InputError
from kerascnn.tumors import nifti

# axes left, posterior, superior, 2 × 1.5 × 4 mm
AFFINE = np.array([[-2.0, 0, 0, 90], [0, -1.5, 0, 60], [0, 0, 4.0, -20], [0, 0, 0, 1]])
SHAPE = (6, 5, 4)
MODALITIES = ("t1", "flair", "t1ce")


def write(path, data, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.asarray(data, np.float32), affine), path)


def damage(path):
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)


def of_type(path, code):
    """Let the header claim NIfTI's data type of this number: 1 is a bit, which nibabel lacks, 32 is complex64."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[70:72] = code.to_bytes(2, "little")
    path.write_bytes(gzip.compress(content))


def of_sides(path, *sides):
    """Let the header claim these sides."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    for i, side in enumerate(sides):
        content[42 + 2 * i : 44 + 2 * i] = side.to_bytes(2, "little", signed=True)
    path.write_bytes(gzip.compress(content))


def place(root, name="patient_1"):
    draw = np.random.default_rng(0)
    for modality in ("t1", "flair", "t1ce"):
        write(root / name / f"{name}_{modality}.nii.gz", draw.integers(0, 3000, SHAPE))
    labels = np.zeros(SHAPE)
    labels[1, 2, 3] = 4
    write(root / name / f"{name}_seg.nii.gz", labels)
    return root / name


def test_volumes_of_one_grid_may_be_stored_in_other_directions(tmp_path):
    folder = place(tmp_path)
    path = folder / "patient_1_t1.nii.gz"
    stored = nibabel.load(path)
    before = nifti.load(tmp_path, MODALITIES)
    nibabel.save(nibabel.as_closest_canonical(stored), path)
    assert nifti.load(tmp_path, MODALITIES).metadata() == before.metadata()
    assert not np.allclose(nibabel.load(path).affine, stored.affine)


def test_the_folder_may_be_spelled_otherwise(tmp_path, monkeypatch):
    place(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert nifti.load(Path(), MODALITIES).metadata() == nifti.load(tmp_path, MODALITIES).metadata()


def test_volumes_become_slices_with_the_front_at_the_top(tmp_path):
    place(tmp_path)
    (patient,) = nifti.load(tmp_path, MODALITIES).patients
    assert (patient.images.shape, patient.masks.shape) == ((4, 5, 6, 3), (4, 5, 6, 1))
    assert patient.spacing == (4.0, 1.5, 2.0)
    # The first axis goes to the left and is turned; the second goes to the back, as rows do: voxel (1, 2, 3)
    # is slice 3, row 2, column 6 - 1 - 1.
    assert np.argwhere(patient.masks).tolist() == [[3, 2, 4, 0]]
    assert patient.images.max() == 255


@pytest.mark.parametrize(("unit", "step"), [("mm", 2.0), ("micron", 0.002), ("meter", 2000.0), ("unknown", 2.0)])
def test_the_spacing_is_in_millimetres_whatever_the_unit_of_the_header(unit, step):
    image = nibabel.Nifti1Image(np.zeros((3, 4, 5), np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))
    image.header.set_xyzt_units(unit)
    assert nifti.spacing_of(image) == pytest.approx((step,) * 3)


def test_hot_and_absent_voxels_leave_the_intensities_of_the_rest():
    data = np.full((20, 20, 20), 100.0, np.float32)
    data[:10] = 50
    data[0, 0, 0] = 5000
    assert set(np.unique(nifti.to_uint8(data))) == {128, 255}


def test_further_axes_of_length_one_are_left_out(tmp_path):
    data = np.random.default_rng(0).uniform(0, 1000, SHAPE).astype(np.float32)
    for name, stored in (("three", data), ("five", data[..., np.newaxis, np.newaxis])):
        write(tmp_path / f"{name}.nii.gz", stored)
    (three, expected), (five, found) = (nifti.read_volume(tmp_path / f"{name}.nii.gz") for name in ("three", "five"))
    np.testing.assert_array_equal(found, expected)
    assert five.shape == three.shape


def test_a_mask_is_written_onto_the_grid_it_came_from(tmp_path):
    folder = place(tmp_path)
    image, data = nifti.read_volume(folder / "patient_1_seg.nii.gz")
    mask = (nifti.as_slices(data) > 0).astype(np.uint8)[..., np.newaxis]
    nifti.write_mask(tmp_path / "mask.nii.gz", mask, image)
    back = nibabel.load(tmp_path / "mask.nii.gz")
    # a viewer shows what is 1 as white, whatever the image's own range of intensities
    assert (back.header["cal_min"], back.header["cal_max"]) == (0, 1)
    np.testing.assert_array_equal(back.affine, AFFINE)
    assert back.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.argwhere(np.asarray(back.dataobj)), [[1, 2, 3]])
    assert back.header.get_zooms() == image.header.get_zooms()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "patient_1_seg.nii.gz").unlink(), "patient_1_seg.nii.gz is missing; add it"),
        (lambda folder: (folder / "patient_1_t1.nii.gz").write_bytes(b"x" * 400), "_t1.nii.gz is no NIfTI volume"),
        (lambda folder: write(folder / "patient_1_t1.nii.gz", np.zeros((3, 3, 3))), "volumes of the sizes"),
        (lambda folder: write(folder / "patient_1_seg.nii.gz", np.zeros((3, 3, 3))), "has the size"),
        (lambda folder: write(folder / "patient_1_seg.nii.gz", np.full(SHAPE, 0.5)), "values that are no labels"),
        (lambda folder: write(folder / "patient_1_t1.nii.gz", np.zeros((*SHAPE, 2))), "give a volume of three axes"),
        (lambda folder: write(folder / "patient_1_t1.nii.gz", np.zeros((0, 5, 4))), "_t1.nii.gz is no NIfTI volume"),
        (lambda folder: write(folder / "patient_1_t1.nii.gz", np.zeros(SHAPE), np.eye(4)), "on different grids"),
        (lambda folder: write(folder / "patient_1_seg.nii.gz", np.zeros(SHAPE), np.eye(4)), "on different grids"),
        (lambda folder: damage(folder / "patient_1_t1.nii.gz"), "_t1.nii.gz is no NIfTI volume"),
        (
            lambda folder: of_sides(folder / "patient_1_t1.nii.gz", -5),
            r"its shape \(-5, 5, 4\) is not of 1 to 67,108,864",
        ),
        (
            lambda folder: of_sides(folder / "patient_1_t1.nii.gz", *[30_000] * 3),
            r"\(its shape \(30000, 30000, 30000\)",
        ),
        (lambda folder: of_type(folder / "patient_1_t1.nii.gz", 1), "_t1.nii.gz is no NIfTI volume"),
        (lambda folder: of_type(folder / "patient_1_t1.nii.gz", 32), r"is no NIfTI volume \(its voxels are complex64"),
    ],
)
def test_spoiled_volumes_are_named(tmp_path, spoil, words):
    spoil(place(tmp_path))
    with pytest.raises(InputError, match=words):
        nifti.load(tmp_path, MODALITIES)


def test_a_volume_of_one_intensity_is_an_error(tmp_path):
    folder = place(tmp_path)
    write(folder / "patient_1_flair.nii.gz", np.full(SHAPE, np.nan))
    with pytest.raises(InputError, match="_flair.nii.gz has the intensity 0 everywhere; give the original volume"):
        nifti.load(tmp_path, MODALITIES)


def test_a_folder_that_is_not_there_or_empty_is_named(tmp_path):
    with pytest.raises(DataAbsent, match="no folder"):
        nifti.load(tmp_path / "absent", MODALITIES)
    with pytest.raises(InputError, match="holds no patient's folder"):
        nifti.load(tmp_path, MODALITIES)


def test_a_compressed_volume_is_held_to_its_checksum(tmp_path):
    # more than what is read at once to tell what kind of file it is
    write(path := tmp_path / "scan.nii.gz", np.random.default_rng(0).integers(0, 3000, (64, 64, 20)))
    whole = path.read_bytes()
    content = bytearray(gzip.decompress(whole))
    content[400] ^= 1  # a voxel
    path.write_bytes(gzip.compress(bytes(content))[:-8] + whole[-8:])
    with pytest.raises(InputError, match=rf"^{path} is no NIfTI volume \(CRC check failed.*\); restore the original$"):
        nifti.read_volume(path)
    path.write_bytes(gzip.compress(gzip.decompress(whole) + bytes(2**22)))
    with pytest.raises(InputError, match=r"is no NIfTI volume \(it goes on behind its voxels\)"):
        nifti.read_volume(path)
