import keras
import numpy as np
import pytest

from kerascnn.segmentation.losses import (
    MASK_LOSSES,
    DiceCrossEntropy,
    FocalLoss,
    Tversky,
    WeightedCrossEntropy,
    foreground_logit,
)

# Logits 0 are probability 1/2, log 3 is 3/4.
MASK = np.array([1, 1, 0, 0], np.float32).reshape(1, 2, 2, 1)
LOGITS = np.array([np.log(3), 0, 0, 0], np.float32).reshape(1, 2, 2, 1)
# TP = 3/4 + 1/2 = 1.25, FP = 1, FN = 0.75


def value(loss, masks=MASK, logits=LOGITS):
    return float(loss(masks, logits))


def test_dice_is_that_of_hand_arithmetic():
    # 2 TP = 2.5, sum p + sum t = 2.25 + 2
    assert value(Tversky(smooth=0.5)) == pytest.approx(1 - (2.5 + 1) / (4.25 + 1))


def test_jaccard_and_tversky_are_those_of_hand_arithmetic():
    assert value(Tversky(1, 1, smooth=1e-6)) == pytest.approx(1 - 1.25 / 3, rel=1e-5)
    assert value(Tversky(0.3, 0.7, smooth=1e-6)) == pytest.approx(1 - 1.25 / (1.25 + 0.3 + 0.525), rel=1e-5)


def test_cross_entropy_is_added_to_dice():
    cross_entropy = (-np.log(0.75) - 3 * np.log(0.5)) / 4
    assert value(DiceCrossEntropy()) == pytest.approx(value(Tversky()) + cross_entropy)


def test_focal_loss_without_focus_is_half_the_cross_entropy():
    cross_entropy = (-np.log(0.75) - 3 * np.log(0.5)) / 4
    assert value(FocalLoss(gamma=0, balance=0.5)) == pytest.approx(cross_entropy / 2)


def test_focal_loss_agrees_with_keras():
    keras_loss = keras.losses.BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.25, gamma=2, from_logits=True)
    assert value(FocalLoss()) == pytest.approx(value(keras_loss), rel=1e-5)


def test_weights_multiply_each_pixel():
    weights = np.array([4, 0, 2, 0], np.float32).reshape(1, 2, 2, 1)
    masks = np.concatenate([MASK, weights], -1)
    assert value(WeightedCrossEntropy(), masks) == pytest.approx((-4 * np.log(0.75) - 2 * np.log(0.5)) / 4)


def test_dice_of_each_image_differs_from_that_of_the_batch():
    masks, logits = np.concatenate([MASK, 0 * MASK]), np.concatenate([LOGITS, LOGITS])
    whole, each = (
        value(Tversky(smooth=0.5), masks, logits),
        value(Tversky(smooth=0.5, per_image=True), masks, logits),
    )
    # Together: TP 1.25, sums 4.5 + 2; alone: 3.5 / 5.25 and 1 / (2.25 + 1).
    assert whole == pytest.approx(1 - 3.5 / 7.5)
    assert each == pytest.approx(1 - (3.5 / 5.25 + 1 / 3.25) / 2)


def test_two_channels_of_a_softmax_are_one_of_a_sigmoid():
    two = np.random.default_rng(0).normal(size=(2, 3, 3, 2)).astype(np.float32)
    softmax = np.exp(two[..., 1:]) / np.exp(two).sum(-1, keepdims=True)
    np.testing.assert_allclose(keras.ops.sigmoid(foreground_logit(two)), softmax, rtol=1e-5)


@pytest.mark.parametrize("name", MASK_LOSSES)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_losses_are_finite_on_empty_masks_and_extreme_logits(name, dtype):
    masks = np.zeros((2, 4, 4, 2), np.float32)
    loss = MASK_LOSSES[name]()
    for level in (-200.0, 0.0, 200.0):
        logits = keras.Variable(np.full((2, 4, 4, 1), level), dtype=dtype)
        assert np.isfinite(value(loss, masks, keras.ops.convert_to_tensor(logits)))


def test_an_empty_prediction_of_nothing_costs_nothing():
    empty = np.zeros((1, 8, 8, 1), np.float32)
    for loss in (Tversky(), DiceCrossEntropy(), FocalLoss()):
        assert value(loss, empty, empty - 100) == pytest.approx(0, abs=1e-6)


def test_losses_come_back_from_their_configuration():
    for loss in (Tversky(0.3, 0.7, 1.0, True), DiceCrossEntropy(), FocalLoss(1.0, 0.5), WeightedCrossEntropy()):
        again = keras.losses.deserialize(keras.losses.serialize(loss))
        masks = np.concatenate([MASK, MASK + 1], -1)
        assert value(again, masks) == value(loss, masks)


def test_smoothing_of_nothing_is_refused():
    with pytest.raises(ValueError, match="smooth is 0; give a number above 0"):
        Tversky(smooth=0)
