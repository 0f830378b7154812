import cv2
import numpy as np

from kerascnn.plotting import contact_sheet, drawable, plot_learning_curve


def colours(path):
    return len(np.unique(cv2.imread(str(path)).reshape(-1, 3), axis=0))


def test_learning_curve_draws_each_metric_that_has_a_validation_value(tmp_path):
    history = [{"loss": 1 / i, "val_loss": 1.1 / i, "accuracy": 0.5, "val_accuracy": 0.4, "seconds": i} for i in (1, 2)]
    plot_learning_curve(history, tmp_path / "two.png")
    plot_learning_curve([{"loss": 1.0, "val_loss": 1.0, "seconds": 1}], tmp_path / "one.png")
    two, one = (cv2.imread(str(tmp_path / name)).shape[1] for name in ("two.png", "one.png"))
    assert two == 2 * one
    assert colours(tmp_path / "two.png") > 10


def test_an_image_of_one_pixel_or_column_is_still_an_image():
    assert [drawable(np.zeros(shape)).shape for shape in ((1, 1, 3), (8, 1, 3), (1, 1, 1))] == [
        (1, 1, 3),
        (8, 1, 3),
        (1, 1),
    ]


def test_a_contact_sheet_shows_colours_and_the_zero_of_signed_images_as_middle_grey(tmp_path):
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
