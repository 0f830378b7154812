import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn.errors import InputError
from kerascnn.images import load_image, save_image


def test_a_saved_image_is_read_again_as_bgr(tmp_path):
    image = np.zeros((3, 4, 3), np.uint8)
    image[..., 0] = 200
    save_image(tmp_path / "new" / "blue.png", image)
    np.testing.assert_array_equal(load_image(tmp_path / "new" / "blue.png"), image)


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_a_file_that_is_no_image_is_named(content, tmp_path):
    path = tmp_path / "page.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"cannot decode .*page.png; give a PNG, JPEG, WebP or BMP file of at most"):
        load_image(path)


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*page.png \(No such file or directory\); check the path"):
        load_image(tmp_path / "page.png")


def test_a_place_that_cannot_be_written_is_named():
    with pytest.raises(InputError, match=r"cannot write to /proc/page.png .*; choose another folder"):
        save_image(Path("/proc/page.png"), np.zeros((2, 2), np.uint8))


def test_what_is_transparent_is_laid_over_what_shows_it(tmp_path):
    ink = np.zeros((8, 8, 4), np.uint8)
    ink[2:4, :, 3] = 255
    Image.fromarray(ink).save(tmp_path / "black.png")
    assert load_image(tmp_path / "black.png")[:, 0, 0].tolist() == [255, 255, 0, 0, 255, 255, 255, 255]
    ink[..., :3] = 255
    Image.fromarray(ink).save(tmp_path / "white.png")
    assert load_image(tmp_path / "white.png")[:, 0, 0].tolist() == [0, 0, 255, 255, 0, 0, 0, 0]


def test_of_sixteen_bits_an_intensity_the_upper_eight_are_taken(tmp_path):
    # as TensorFlow decodes them for predict_bytes
    Image.fromarray(np.array([[0, 1000, 30_000, 65_535]], np.uint16)).save(tmp_path / "deep.png")
    assert load_image(tmp_path / "deep.png")[0, :, 0].tolist() == [0, 3, 117, 255]
    assert tf.io.decode_png((tmp_path / "deep.png").read_bytes())[0, :, 0].numpy().tolist() == [0, 3, 117, 255]


def test_the_orientation_in_exif_metadata_is_followed(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the image is the right side of what is stored
    Image.new("L", (30, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert load_image(tmp_path / "turned.jpg").shape == (30, 20, 3)


def test_too_many_pixels_are_rejected_by_the_header(tmp_path):
    content = bytearray(cv2.imencode(".png", np.zeros((2, 2), np.uint8))[1].tobytes())
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(content)
    with pytest.raises(InputError, match=r"cannot decode .*bomb.png; give .* of at most 25 million pixels"):
        load_image(tmp_path / "bomb.png")


@pytest.mark.parametrize("name", ["TIFF", "GIF", "half"])
def test_other_formats_and_halves_are_rejected_without_a_word_from_elsewhere(name, tmp_path, capfd):
    path = tmp_path / "page"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90), dtype=np.uint8)).save(
        path, "PNG" if name == "half" else name
    )
    if name == "half":
        path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(InputError, match="cannot decode"):
        load_image(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0no metadata at all", b"Exif\0\0II*\0\xff\xff\xff\xff"])
def test_metadata_that_make_no_sense_lose_the_rotation_and_not_the_image(exif, tmp_path):
    Image.new("L", (30, 20)).save(tmp_path / "odd.jpg", exif=exif)
    assert load_image(tmp_path / "odd.jpg").shape == (20, 30, 3)


def test_webp_is_read(tmp_path):
    Image.new("RGB", (30, 20), (250, 10, 10)).save(tmp_path / "red.webp", lossless=True)
    assert load_image(tmp_path / "red.webp")[0, 0].tolist() == [10, 10, 250]
