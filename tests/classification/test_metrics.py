import math

import numpy as np

from kerascnn.classification.metrics import Accuracy, classification_metrics, expected_calibration_error

PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
LABELS = np.array([0, 1, 1, 1])


def test_metrics_equal_hand_counts():
    # predictions 0 0 1 1: class 0 has 1 hit of 2 calls, class 1 has 2 hits of 3 labels
    metrics = classification_metrics(PROBABILITIES, LABELS, ("a", "b"))
    assert metrics["accuracy"] == 0.75
    assert metrics["error"] == 0.25
    assert metrics["per_class"]["a"] == {"precision": 0.5, "recall": 1.0, "support": 1}
    assert metrics["per_class"]["b"] == {"precision": 1.0, "recall": 2 / 3, "support": 3}
    expected = -(math.log(0.9) + math.log(0.2) + math.log(0.6) + math.log(0.7)) / 4
    assert math.isclose(metrics["cross_entropy"], expected)


def test_a_class_that_is_never_called_has_precision_zero():
    metrics = classification_metrics(np.array([[1.0, 0.0]]), np.array([0]), ("a", "b"))
    assert metrics["per_class"]["b"] == {"precision": 0.0, "recall": 0.0, "support": 0}


def test_calibration_error_equals_hand_arithmetic():
    # four intervals of confidence with one example each: |1 - 0.9|, |0 - 0.8|, |1 - 0.6|, |1 - 0.7| over 4
    assert math.isclose(expected_calibration_error(PROBABILITIES, LABELS, bins=10), 1.6 / 4)


def test_confidence_that_equals_accuracy_has_no_calibration_error():
    probabilities = np.array([[0.75, 0.25]] * 4)
    assert expected_calibration_error(probabilities, np.array([0, 0, 0, 1])) < 1e-12


def test_balanced_accuracy_and_macro_f1_weigh_every_class_alike():
    # recalls 1 and 2/3; F1 scores 2 * 0.5 * 1 / 1.5 and 2 * 1 * 2/3 / (5/3)
    metrics = classification_metrics(PROBABILITIES, LABELS, ("a", "b"))
    assert math.isclose(metrics["balanced_accuracy"], (1 + 2 / 3) / 2)
    assert math.isclose(metrics["macro_f1"], (2 / 3 + 4 / 5) / 2)
    # a class of which there is no example has no recall
    only = classification_metrics(PROBABILITIES[:1], LABELS[:1], ("a", "b"))
    assert (only["balanced_accuracy"], only["macro_f1"]) == (1, 1)


def test_five_guesses_count_where_there_are_more_classes():
    probabilities = np.array([[0.3, 0.25, 0.2, 0.1, 0.09, 0.06]] * 3)
    metrics = classification_metrics(probabilities, np.array([0, 4, 5]), "abcdef")
    assert (metrics["accuracy"], metrics["top5_accuracy"]) == (1 / 3, 2 / 3)
    assert "top5_accuracy" not in classification_metrics(PROBABILITIES, LABELS, ("a", "b"))


def test_training_accuracy_takes_labels_and_mixed_ones():
    logits = np.array([[3.0, 1.0, 2.0], [1.0, 2.0, 3.0]], np.float32)
    accuracy = Accuracy()
    accuracy.update_state(np.array([0, 1]), logits)
    assert float(accuracy.result()) == 0.5
    accuracy.reset_state()
    accuracy.update_state(np.array([[0.6, 0.4, 0.0], [0.3, 0.3, 0.4]], np.float32), logits)
    assert float(accuracy.result()) == 1
