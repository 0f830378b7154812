import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn.classification.plots import confusion_matrix_plot, mistakes_sheet
from kerascnn.datasets.synthetic import drawn
from kerascnn.errors import InputError
from kerascnn.images import load_image, save_image
from kerascnn.plotting import contact_sheet, plot_learning_curve

NAMES = tuple("0123456789")


def colours(path):
    return len(np.unique(cv2.imread(str(path)).reshape(-1, 3), axis=0))


def test_learning_curve_draws_each_metric_that_has_a_validation_value(tmp_path):
    history = [{"loss": 1 / i, "val_loss": 1.1 / i, "accuracy": 0.5, "val_accuracy": 0.4, "seconds": i} for i in (1, 2)]
    plot_learning_curve(history, tmp_path / "two.png")
    plot_learning_curve([{"loss": 1.0, "val_loss": 1.0, "seconds": 1}], tmp_path / "one.png")
    two, one = (cv2.imread(str(tmp_path / name)).shape[1] for name in ("two.png", "one.png"))
    assert two == 2 * one
    assert colours(tmp_path / "two.png") > 10


def test_mistakes_sheet_grows_with_the_mistakes(tmp_path):
    examples = drawn(30, 0)
    probabilities = np.eye(10)[examples.labels]
    mistakes_sheet(examples.images, examples.labels, probabilities, NAMES, tmp_path / "none.png")
    wrong = np.roll(probabilities, 1, axis=1)
    mistakes_sheet(examples.images, examples.labels, wrong, NAMES, tmp_path / "all.png")
    none, everything = (cv2.imread(str(tmp_path / name)).shape[0] for name in ("none.png", "all.png"))
    assert everything > 2 * none


def test_confusion_picture_colours_only_errors(tmp_path):
    labels = np.arange(10)
    confusion_matrix_plot(labels, labels, NAMES, tmp_path / "right.png")
    confusion_matrix_plot(labels, np.roll(labels, 1), NAMES, tmp_path / "wrong.png")
    picture = [cv2.imread(str(tmp_path / name)).astype(int) for name in ("right.png", "wrong.png")]
    orange = [int(((p[..., 2] - p[..., 0]) > 80).sum()) for p in picture]
    assert orange[0] == 0
    assert orange[1] > 1000


def test_a_contact_sheet_shows_colours_and_the_zero_of_signed_pictures_as_middle_grey(tmp_path):
    signed = np.zeros((40, 60), np.float32)
    signed[:, :20], signed[:, 20:40] = -2, 2
    orange = np.ones((40, 60, 3), np.float32) * [2.0, 0.5, -1.0]
    contact_sheet([("orange", orange), None, ("signed", signed)], tmp_path / "sheet.png", columns=2)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    middle = sheet.shape[1] // 4
    assert (sheet[:, middle] == [0, 127, 255]).all(-1).sum() > 200
    left_black, left_white = ((sheet[sheet.shape[0] // 2 :, :middle] == value).all(-1) for value in (0, 255))
    assert left_black.sum() > 10_000
    assert left_white.sum() > 10_000
    assert (np.abs(sheet[:, : 2 * middle].astype(int) - 128).max(-1) <= 1).sum() > 10_000
    assert (sheet[:, 2 * middle + 2 :] == 255).all()


def test_a_saved_picture_is_read_again_blue_first(tmp_path):
    picture = np.zeros((3, 4, 3), np.uint8)
    picture[..., 0] = 200
    save_image(tmp_path / "new" / "blue.png", picture)
    np.testing.assert_array_equal(load_image(tmp_path / "new" / "blue.png"), picture)


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_file_that_is_no_picture_is_named(content, tmp_path):
    path = tmp_path / "page.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"cannot decode .*page.png; give a PNG, JPEG or BMP file of at most"):
        load_image(path)


def test_a_missing_picture_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*page.png \(No such file or directory\); check the path"):
        load_image(tmp_path / "page.png")


def test_a_place_that_cannot_be_written_is_named():
    from pathlib import Path

    with pytest.raises(InputError, match=r"cannot write /proc/page.png"):
        save_image(Path("/proc/page.png"), np.zeros((2, 2), np.uint8))


def test_what_is_transparent_is_laid_over_what_shows_it(tmp_path):
    ink = np.zeros((8, 8, 4), np.uint8)
    ink[2:4, :, 3] = 255
    Image.fromarray(ink).save(tmp_path / "black.png")
    assert load_image(tmp_path / "black.png")[:, 0, 0].tolist() == [255, 255, 0, 0, 255, 255, 255, 255]
    ink[..., :3] = 255
    Image.fromarray(ink).save(tmp_path / "white.png")
    assert load_image(tmp_path / "white.png")[:, 0, 0].tolist() == [0, 0, 255, 255, 0, 0, 0, 0]


def test_of_sixteen_bits_a_level_the_upper_eight_are_taken(tmp_path):
    # as TensorFlow decodes them for predict_bytes
    Image.fromarray(np.array([[0, 1000, 30_000, 65_535]], np.uint16)).save(tmp_path / "deep.png")
    assert load_image(tmp_path / "deep.png")[0, :, 0].tolist() == [0, 3, 117, 255]
    assert tf.io.decode_png((tmp_path / "deep.png").read_bytes())[0, :, 0].numpy().tolist() == [0, 3, 117, 255]


def test_a_cameras_note_on_orientation_is_followed(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the picture is the right side of what is stored
    Image.new("L", (30, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert load_image(tmp_path / "turned.jpg").shape == (30, 20, 3)


def test_too_many_pixels_are_refused_by_the_header(tmp_path):
    content = bytearray(cv2.imencode(".png", np.zeros((2, 2), np.uint8))[1].tobytes())
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(content)
    with pytest.raises(InputError, match=r"cannot decode .*bomb.png; give .* of at most 25 million pixels"):
        load_image(tmp_path / "bomb.png")


@pytest.mark.parametrize("name", ["WEBP", "GIF", "half"])
def test_other_formats_and_halves_are_refused_without_a_word_from_elsewhere(name, tmp_path, capfd):
    path = tmp_path / "page"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90), dtype=np.uint8)).save(
        path, "PNG" if name == "half" else name
    )
    if name == "half":
        path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(InputError, match="cannot decode"):
        load_image(path)
    assert capfd.readouterr() == ("", "")
