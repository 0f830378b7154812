import cv2
import numpy as np

from kerascnn.classification.plots import plot_confusion_matrix, plot_mistakes
from kerascnn.datasets.synthetic import drawn

NAMES = tuple("0123456789")


def test_the_plot_of_mistakes_grows_with_the_mistakes(tmp_path):
    examples = drawn(30, 0)
    probabilities = np.eye(10)[examples.labels]
    plot_mistakes(examples, probabilities, NAMES, tmp_path / "none.png")
    wrong = np.roll(probabilities, 1, axis=1)
    plot_mistakes(examples, wrong, NAMES, tmp_path / "all.png")
    none, everything = (cv2.imread(str(tmp_path / name)).shape[0] for name in ("none.png", "all.png"))
    assert everything > 2 * none


def test_the_confusion_matrix_colours_only_errors(tmp_path):
    labels = np.arange(10)
    plot_confusion_matrix(labels, labels, NAMES, tmp_path / "right.png")
    plot_confusion_matrix(labels, np.roll(labels, 1), NAMES, tmp_path / "wrong.png")
    images = [cv2.imread(str(tmp_path / name)).astype(int) for name in ("right.png", "wrong.png")]
    orange = [int(((p[..., 2] - p[..., 0]) > 80).sum()) for p in images]
    assert orange[0] == 0
    assert orange[1] > 1000
