import cv2
import numpy as np

from kerascnn.classification import augmentation_sheet
from kerascnn.classification.augmentation_sheet import one_of_each_class, plot_augmentations, said
from kerascnn.datasets import load
from kerascnn.datasets.augmentation import AlternatingFlip, HorizontalFlip, MixUp


def test_a_sheet_shows_a_row_an_image_and_a_column_a_version(tmp_path):
    data = load("synthetic")
    augmentations = [AlternatingFlip(), MixUp(alpha=0.5, num_classes=10)]
    plot_augmentations(data, augmentations, 0, tmp_path / "augmentations.png")
    sheet = cv2.imread(str(tmp_path / "augmentations.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None
    # the images have black borders, and the gaps between them are white
    columns, rows = ((np.diff((sheet < 50).mean(axis) > 0.2) != 0).sum() for axis in (0, 1))
    assert (columns, rows) == (16, 16)


def test_as_many_classes_as_there_are_are_shown():
    labels = np.repeat([3, 1, 0], [50, 5, 2])
    drawn = one_of_each_class(labels, seed=0)
    assert sorted(labels[drawn]) == [0, 0, 1, 1, 1, 3, 3, 3]
    assert len(set(drawn)) == 8
    assert len(one_of_each_class(labels[-3:], seed=0)) == 3


def test_what_is_mixed_is_said():
    names = ["cat", "dog", "a very long name of a class"]
    assert said(np.int32(2), names) == "a very long nam…"
    assert said(np.array([0.25, 0.75, 0.0]), names) == "0.75 dog\n0.25 cat"
    assert said(np.array([0.0, 1.0, 0.0]), names) == "1.00 dog"


def test_what_is_drawn_is_augmented(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(augmentation_sheet, "draw_sheet", lambda columns, *others: drawn.append(columns))
    plot_augmentations(load("synthetic"), [HorizontalFlip()], 0, tmp_path / "augmentations.png")
    (stored, _), *epochs = drawn[0]
    flipped = [np.array_equal(images[0], stored.numpy()[0, :, ::-1]) for images, _ in epochs]
    assert 0 < sum(flipped) < 7  # images[0] is of one numeral, which is no mirror image of itself
