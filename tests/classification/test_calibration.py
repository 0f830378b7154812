import math

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from kerascnn.classification.calibration import expected_calibration_error, fitted_temperature, reliability

PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
LABELS = np.array([0, 1, 1, 1])


def test_calibration_error_equals_hand_arithmetic():
    # four intervals of confidence with one example each: |1 - 0.9|, |0 - 0.8|, |1 - 0.6|, |1 - 0.7| over 4
    assert math.isclose(expected_calibration_error(PROBABILITIES, LABELS, bins=10), 1.6 / 4)


def test_confidence_that_equals_accuracy_has_no_calibration_error():
    probabilities = np.array([[0.75, 0.25]] * 4)
    assert expected_calibration_error(probabilities, np.array([0, 0, 0, 1])) < 1e-12


def test_each_interval_of_confidence_has_its_mean_and_accuracy():
    counts, confidence, accuracy = reliability(
        np.array([[0.75, 0.25], [0.65, 0.35], [1.0, 0.0]]), np.array([0, 1, 0]), 2
    )
    assert counts.tolist() == [0, 3]
    np.testing.assert_allclose(confidence, [0, 2.4 / 3])
    np.testing.assert_allclose(accuracy, [0, 2 / 3])
    # on the edge of 0.5
    assert reliability(np.array([[0.5, 0.5]]), np.array([0]), 2).counts.tolist() == [1, 0]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_labels_that_were_drawn_with_it_is_found(temperature):
    random = np.random.default_rng(0)
    logits = random.normal(size=(20_000, 5)) * 3
    labels = (logits / temperature + random.gumbel(size=logits.shape)).argmax(-1)  # drawn from its softmax
    found = fitted_temperature(logits, labels)
    assert found == pytest.approx(temperature, rel=0.03)
    around = [log_loss(labels, softmax(logits / each, axis=-1)) for each in (found, 0.98 * found, 1.02 * found)]
    assert around[0] == min(around)


def test_the_temperature_of_two_logits_equals_hand_arithmetic():
    # three of four right where the logits differ by 3: log 3 is the difference that says 3/4
    found = fitted_temperature(np.array([[3.0, 0.0]] * 4), np.array([0, 0, 0, 1]))
    assert found == pytest.approx(3 / math.log(3), abs=1e-3)


def test_predictions_that_are_all_correct_or_as_good_as_drawn_give_no_temperature():
    assert fitted_temperature(np.eye(3), np.arange(3)) == 1
    assert fitted_temperature(np.eye(2)[[0, 0, 1, 1]], np.array([0, 1, 1, 0])) == 1
