import math

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import mean_squared_error

from kerascnn.classification.metrics import Accuracy, accuracy_interval, brier_score, classification_metrics

PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
LABELS = np.array([0, 1, 1, 1])


def test_metrics_equal_hand_counts():
    # predictions 0 0 1 1: class 0 has 1 hit of 2 calls, class 1 has 2 hits of 3 labels
    metrics = classification_metrics(np.log(PROBABILITIES), LABELS, ("a", "b"))
    assert metrics["accuracy"] == 0.75
    assert metrics["error"] == 0.25
    assert metrics["per_class"]["a"] == {"precision": 0.5, "recall": 1.0, "support": 1}
    assert metrics["per_class"]["b"] == {"precision": 1.0, "recall": 2 / 3, "support": 3}
    expected = -(math.log(0.9) + math.log(0.2) + math.log(0.6) + math.log(0.7)) / 4
    assert math.isclose(metrics["cross_entropy"], expected)


def test_a_class_that_is_never_called_has_precision_zero():
    metrics = classification_metrics(np.array([[50.0, 0.0]]), np.array([0]), ("a", "b"))
    assert metrics["per_class"]["b"] == {"precision": 0.0, "recall": 0.0, "support": 0}


def test_cross_entropy_has_no_limit_and_one_class_is_scored():
    """scikit-learn's log_loss ends at 36 nats, and raises for one class."""
    sure = classification_metrics(np.array([[0.0, 1000.0]]), np.array([0]), ("a", "b"))
    assert math.isclose(sure["cross_entropy"], 1000)
    assert classification_metrics(np.ones((3, 1)), np.zeros(3, int), ("a",))["accuracy"] == 1


def test_the_brier_score_equals_hand_arithmetic_and_scikit_learns():
    # 0.1, 0.8, 0.4 and 0.3 off the label, and as much off the other class
    assert math.isclose(brier_score(PROBABILITIES, LABELS), 2 * (0.01 + 0.64 + 0.16 + 0.09) / 4)
    probabilities, labels = np.random.default_rng(0).dirichlet(np.ones(5), 40), np.arange(40) % 5
    assert math.isclose(brier_score(probabilities, labels), 5 * mean_squared_error(np.eye(5)[labels], probabilities))
    metrics = classification_metrics(np.log(probabilities), labels, "abcde")
    assert math.isclose(metrics["brier_score"], brier_score(probabilities, labels))


def test_the_interval_of_accuracy_is_that_of_a_bootstrap():
    correct = np.arange(200) < 170
    drawn = bootstrap((correct,), np.mean, n_resamples=20_000, method="percentile", rng=0).confidence_interval
    np.testing.assert_allclose(accuracy_interval(170, 200), drawn, atol=0.006)
    # all draws alike
    assert accuracy_interval(7, 7) == [1, 1]
    assert accuracy_interval(0, 7) == [0, 0]
    assert classification_metrics(np.log(PROBABILITIES), LABELS, "ab")["accuracy_interval"] == accuracy_interval(3, 4)


def test_balanced_accuracy_and_macro_f1_weigh_every_class_alike():
    # recalls 1 and 2/3; F1 scores 2 * 0.5 * 1 / 1.5 and 2 * 1 * 2/3 / (5/3)
    metrics = classification_metrics(np.log(PROBABILITIES), LABELS, ("a", "b"))
    assert math.isclose(metrics["balanced_accuracy"], (1 + 2 / 3) / 2)
    assert math.isclose(metrics["macro_f1"], (2 / 3 + 4 / 5) / 2)
    # a class of which there is no example has no recall
    only = classification_metrics(np.log(PROBABILITIES[:1]), LABELS[:1], ("a", "b"))
    assert (only["balanced_accuracy"], only["macro_f1"]) == (1, 1)


def test_five_guesses_count_where_there_are_more_classes():
    probabilities = np.array([[0.3, 0.25, 0.2, 0.1, 0.09, 0.06]] * 3)
    metrics = classification_metrics(np.log(probabilities), np.array([0, 4, 5]), "abcdef")
    assert (metrics["accuracy"], metrics["top5_accuracy"]) == (1 / 3, 2 / 3)
    assert "top5_accuracy" not in classification_metrics(np.log(PROBABILITIES), LABELS, ("a", "b"))


def test_training_accuracy_takes_labels_and_mixed_ones():
    logits = np.array([[3.0, 1.0, 2.0], [1.0, 2.0, 3.0]], np.float32)
    accuracy = Accuracy()
    accuracy.update_state(np.array([0, 1]), logits)
    assert float(accuracy.result()) == 0.5
    accuracy.reset_state()
    accuracy.update_state(np.array([[0.6, 0.4, 0.0], [0.3, 0.3, 0.4]], np.float32), logits)
    assert float(accuracy.result()) == 1


def test_training_accuracy_counts_images_of_any_weight_alike():
    logits = np.array([[1.0, 0.0]] * 4, np.float32)
    accuracy = Accuracy()
    accuracy.update_state(np.array([0, 0, 1, 1]), logits, sample_weight=np.array([0.1, 9.0, 5.0, 0.0]))
    assert float(accuracy.result()) == pytest.approx(2 / 3)
