import cv2
import numpy as np
import pytest

from kerascnn.classification import plots
from kerascnn.classification.plots import plot_answers, plot_confusion_matrix, plot_mistakes, plot_reliability
from kerascnn.datasets.synthetic import drawn
from kerascnn.plotting import contact_sheet

NAMES = tuple("0123456789")


def test_the_plot_of_mistakes_grows_with_the_mistakes(tmp_path):
    examples = drawn(30, 0)
    probabilities = np.eye(10)[examples.labels]
    plot_mistakes(examples, probabilities, NAMES, tmp_path / "none.png")
    wrong = np.roll(probabilities, 1, axis=1)
    plot_mistakes(examples, wrong, NAMES, tmp_path / "all.png")
    none, everything = (cv2.imread(str(tmp_path / name)).shape[0] for name in ("none.png", "all.png"))
    assert everything > 2 * none


def test_the_most_confident_mistakes_come_first(tmp_path, monkeypatch):
    examples, shown = drawn(4, 0), []
    wrong = np.roll(np.eye(10)[examples.labels], 1, 1) * np.array([[0.5], [0.9], [0.6], [0.8]])
    monkeypatch.setattr(plots, "images_of", lambda examples: shown.extend(examples.images) or examples.images / 255)
    plot_mistakes(examples, wrong, NAMES, tmp_path / "mistakes.png", most=3)
    np.testing.assert_array_equal(shown, examples.images[[1, 3, 2]])


def test_the_confusion_matrix_colours_only_errors(tmp_path):
    plot_confusion_matrix(np.eye(10, dtype=int), NAMES, tmp_path / "right.png")
    plot_confusion_matrix(np.roll(np.eye(10, dtype=int), 1, 0), NAMES, tmp_path / "wrong.png")
    images = [cv2.imread(str(tmp_path / name)).astype(int) for name in ("right.png", "wrong.png")]
    orange = [int(((p[..., 2] - p[..., 0]) > 80).sum()) for p in images]
    assert orange[0] == 0
    assert orange[1] > 1000


def test_dollars_in_names_of_classes_are_drawn_and_begin_no_formula(tmp_path):
    examples, names = drawn(4, 0), ("$10_$20", "$$", "$1", "$5", *"abcdef")
    probabilities = np.full((4, 10), 0.1)
    for plot in (plot_mistakes, plot_answers):
        plot(examples, probabilities, names, tmp_path / "names.png")
    plot_confusion_matrix(np.eye(10, dtype=int), names, tmp_path / "names.png")
    widths = []
    for name in ("$1$", "$1", "1"):
        contact_sheet([(name, np.ones((9, 9, 3)))], tmp_path / "sheet.png", 1)
        title = cv2.imread(str(tmp_path / "sheet.png")).min(-1) < 128
        widths.append(title.any(0).sum())  # columns with ink
    assert widths[0] > widths[1] > widths[2]


def reddish(path):
    image = cv2.imread(str(path)).astype(int)
    return ((image[..., 2] - image[..., 0]) > 80) & ((image[..., 2] - image[..., 1]) > 60)


def test_the_bar_of_the_label_is_red_and_as_long_as_its_probability(tmp_path):
    examples = drawn(1, 0)
    lengths = []
    for share in (0.9, 0.3):
        probabilities = np.full((1, 10), (1 - share) / 9)
        probabilities[0, examples.labels[0]] = share
        plot_answers(examples, probabilities, NAMES, tmp_path / "answers.png")
        lengths.append(reddish(tmp_path / "answers.png").any(0).sum())
    assert lengths[0] / lengths[1] == pytest.approx(3, rel=0.05)


def test_only_a_temperature_draws_a_line_into_the_reliability_diagram(tmp_path):
    labels = np.arange(20) % 2
    probabilities = np.stack([np.linspace(0.1, 0.9, 20), np.linspace(0.9, 0.1, 20)], -1)
    plot_reliability(probabilities, probabilities, labels, tmp_path / "as_they_are.png")
    plot_reliability(probabilities, probabilities**2, labels, tmp_path / "calibrated.png")
    orange = [int(reddish(tmp_path / f"{name}.png").sum()) for name in ("as_they_are", "calibrated")]
    assert orange[0] == 0
    assert orange[1] > 100
