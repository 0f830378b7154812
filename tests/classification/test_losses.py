import math

import numpy as np
import pytest

from kerascnn.classification.losses import CrossEntropy


def test_cross_entropy_equals_hand_arithmetic():
    # softmax of (0, ln 3) is (1/4, 3/4)
    logits = np.array([[0.0, math.log(3)], [0.0, math.log(3)]], np.float32)
    loss = CrossEntropy()(np.array([0, 1]), logits)
    assert math.isclose(float(loss), (math.log(4) + math.log(4 / 3)) / 2, rel_tol=1e-6)


def test_label_smoothing_spreads_its_share_over_all_classes():
    # target (0.95, 0.05): 0.9 on the label and 0.1 spread over two classes
    logits = np.array([[0.0, math.log(3)]], np.float32)
    loss = CrossEntropy(label_smoothing=0.1)(np.array([0]), logits)
    assert math.isclose(float(loss), 0.95 * math.log(4) + 0.05 * math.log(4 / 3), rel_tol=1e-6)


def test_loss_is_float32_for_half_precision_logits():
    # 65,504 is the largest number of float16, and the loss twice that
    logits = np.array([[65504.0, -65504.0]], np.float16)
    (loss,) = CrossEntropy().call(np.array([1]), logits).numpy()
    assert (loss, loss.dtype) == (131_008, np.float32)


def test_mixed_labels_weigh_the_loss_of_each_class():
    # softmax (1/4, 3/4); a target of (0.3, 0.7), smoothed by 0.1 to (0.32, 0.68)
    logits = np.array([[0.0, math.log(3)]], np.float32)
    loss = CrossEntropy(label_smoothing=0.1)(np.array([[0.3, 0.7]], np.float32), logits)
    assert math.isclose(float(loss), 0.32 * math.log(4) + 0.68 * math.log(4 / 3), rel_tol=1e-6)


def test_weights_multiply_and_what_weighs_nothing_does_not_count():
    logits, labels = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]], np.float32), np.array([0, 0, 1])
    alone = [float(CrossEntropy()(labels[i : i + 1], logits[i : i + 1])) for i in range(3)]
    found = CrossEntropy()(labels, logits, np.array([2.0, 0.0, 0.5]))
    # of two images that count, and not of their weights: a rare class keeps its weight beside common ones
    assert float(found) == pytest.approx((2 * alone[0] + 0.5 * alone[2]) / 2, rel=1e-6)
    assert float(CrossEntropy()(labels, logits, np.zeros(3))) == 0
