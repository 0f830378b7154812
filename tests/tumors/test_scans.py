import cv2
import numpy as np
import pytest
from PIL import Image

from kerascnn.errors import InputError
from kerascnn.tumors.scans import read_scan, scan_name
from tests.tumors.test_nifti import place

MODALITIES = ("t1", "flair", "t1ce")


def slices(folder, intensities, suffix=".tif"):
    folder.mkdir()
    for number, intensity in enumerate(intensities, 1):
        Image.fromarray(np.full((8, 10, 3), intensity, np.uint8)).save(folder / f"s_{number}{suffix}")
        Image.fromarray(np.full((8, 10), 255, np.uint8)).save(folder / f"s_{number}_mask{suffix}")
    return folder


def test_slices_are_read_in_the_order_of_their_numbers_without_masks(tmp_path):
    scan = read_scan(slices(tmp_path / "patient", range(12)), 3, MODALITIES)
    assert (scan_name(scan.path), scan.images.shape, scan.spacing) == ("patient", (12, 8, 10, 3), None)
    assert scan.images[:, 0, 0, 0].tolist() == list(range(12))


def test_files_of_the_system_are_no_slices(tmp_path):
    folder = slices(tmp_path / "patient", range(3))
    for name in ("._s_1.tif", "._P_flair.nii.gz"):
        (folder / name).write_bytes(b"what macOS puts on a foreign disk")
    assert len(read_scan(folder, 3, MODALITIES).images) == 3


def test_slices_are_called_by_the_numbers_in_their_names(tmp_path):
    folder = slices(tmp_path / "patient", range(3))
    (folder / "s_2.tif").rename(folder / "s_20.tif")
    scan = read_scan(folder, 3, MODALITIES)
    assert scan.files == ("s_1", "s_3", "s_20")
    assert scan.labels() == ["1", "3", "20"]
    (folder / "s_20.tif").rename(folder / "t_3.tif")
    assert read_scan(folder, 3, MODALITIES).labels() == ["1", "2", "3"]


def test_what_is_transparent_lies_over_white_or_black(tmp_path):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[0] = 200, 200, 200, 255
    for name in ("s.tif", "s.png"):
        Image.fromarray(pixels).save(tmp_path / name)
        image = read_scan(tmp_path / name, 3, MODALITIES).images[0]
        assert image[:2, 0, 0].tolist() == [200, 255]


def test_an_image_is_a_volume_of_one_slice(tmp_path):
    path = slices(tmp_path / "patient", [7], ".png") / "s_1.png"
    assert read_scan(path, 3, MODALITIES).images.shape == (1, 8, 10, 3)


def test_a_patients_volumes_are_its_channels(tmp_path):
    scan = read_scan(place(tmp_path), 3, MODALITIES)
    assert (scan.images.shape, scan.spacing) == ((4, 5, 6, 3), (4.0, 1.5, 2.0))


def test_one_volume_stands_for_all_channels(tmp_path):
    scan = read_scan(place(tmp_path) / "patient_1_flair.nii.gz", 3, MODALITIES)
    assert scan_name(scan.path) == "patient_1_flair"
    np.testing.assert_array_equal(scan.images[..., 0], scan.images[..., 2])


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty").mkdir()
    (tmp_path / "parent" / "child").mkdir(parents=True)
    Image.fromarray(np.full((8, 10), 3000, np.uint16)).save(tmp_path / "deep.png")
    pages = [Image.fromarray(np.zeros((8, 10), np.uint8)) for _ in range(2)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    colours = np.full((8, 10, 3), 3000, np.uint16)
    for suffix in (".png", ".tif"):
        cv2.imwrite(str(tmp_path / f"colours{suffix}"), colours)
    twice = slices(tmp_path / "twice", [1, 2])
    (twice / "s_1.png").write_bytes((tmp_path / "deep.png").read_bytes())
    mixed = slices(tmp_path / "mixed", [1, 2])
    Image.fromarray(np.zeros((9, 10, 3), np.uint8)).save(mixed / "s_2.tif")
    for path, words in (
        (tmp_path / "absent.png", r"cannot read .*absent.png \(No such file or directory\); check the path"),
        (tmp_path / "text.png", r"cannot decode .*text.png; give a PNG, JPEG, WebP, BMP or TIFF file"),
        (
            tmp_path / "empty",
            r"empty holds no PNG, JPEG, WebP, BMP or TIFF slices and no NIfTI volumes; give such files",
        ),
        (tmp_path / "parent", r"parent holds no PNG, .* and no NIfTI volumes; name its sub-folders"),
        (tmp_path / "deep.png", r"deep.png is no image of 8 bits a channel; give one, or a NIfTI volume"),
        (tmp_path / "colours.png", r"colours.png is no image of 8 bits a channel"),
        (tmp_path / "colours.tif", r"colours.tif is no image of 8 bits a channel"),
        (tmp_path / ("x" * 300), r"cannot read .*x \(File name too long\); check the path"),
        (twice, r"twice holds s_1\.(tif|png) and s_1\.(tif|png); give every slice a name of its own"),
        (tmp_path / "pages.tif", r"pages.tif is no image of 8 bits a channel"),
        (mixed, r"s_2.tif is 10 x 9, s_1.tif 10 x 8; give slices of one size"),
    ):
        with pytest.raises(InputError, match=words):
            read_scan(path, 3, MODALITIES)


def test_an_image_for_a_model_of_four_sequences_is_an_error(tmp_path):
    path = slices(tmp_path / "patient", [7]) / "s_1.tif"
    with pytest.raises(InputError, match="has 3 channels, the model takes 4; give NIfTI volumes"):
        read_scan(path, 4, MODALITIES)
