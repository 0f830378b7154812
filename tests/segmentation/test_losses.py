import keras
import numpy as np
import pytest

from kerascnn.datasets import Examples
from kerascnn.errors import UsageError
from kerascnn.segmentation.losses import SEGMENTATION_LOSSES, DiceCrossEntropy, Tversky, border, focal, foreground_logit
from kerascnn.training.fit import fit
from kerascnn.training.recipe import Recipe

# Logits 0 are probability 1/2, log 3 is 3/4.
MASK = np.array([1, 1, 0, 0], np.float32).reshape(1, 2, 2, 1)
LOGITS = np.array([np.log(3), 0, 0, 0], np.float32).reshape(1, 2, 2, 1)
# TP = 3/4 + 1/2 = 1.25, FP = 1, FN = 0.75


def value(loss, masks=MASK, logits=LOGITS, weights=None):
    return float(loss(masks, logits, weights))


def two_channels(logits, background):
    """Logits of background and foreground, whose softmax is the sigmoid of `logits`."""
    return np.concatenate([0 * logits + background, logits + background], -1)


def test_dice_is_that_of_hand_arithmetic():
    # 2 TP = 2.5, sum p + sum t = 2.25 + 2
    assert value(Tversky(smooth=0.5)) == pytest.approx(1 - (2.5 + 1) / (4.25 + 1))


def test_jaccard_and_tversky_are_those_of_hand_arithmetic():
    assert value(Tversky(1, 1, smooth=1e-6)) == pytest.approx(1 - 1.25 / 3, rel=1e-5)
    assert value(Tversky(0.3, 0.7, smooth=1e-6)) == pytest.approx(1 - 1.25 / (1.25 + 0.3 + 0.525), rel=1e-5)


def test_cross_entropy_is_added_to_dice():
    cross_entropy = (-np.log(0.75) - 3 * np.log(0.5)) / 4
    assert value(DiceCrossEntropy()) == pytest.approx(value(Tversky()) + cross_entropy)


def test_weights_weigh_the_pixels_of_dice_and_cross_entropy():
    weights = np.array([1, 0, 2, 0], np.float32).reshape(1, 2, 2, 1)
    # TP = 3/4, FP = 2 * 1/2, FN = 1/4
    assert value(Tversky(smooth=0.5), weights=weights) == pytest.approx(1 - (0.75 + 0.5) / (0.75 + 0.5 + 0.125 + 0.5))
    cross_entropy = (-np.log(0.75) - 2 * np.log(0.5)) / 4
    expected = value(Tversky(), weights=weights) + cross_entropy
    assert value(DiceCrossEntropy(), weights=weights) == pytest.approx(expected)
    # an image of weight 0 counts nothing, whatever it says
    both = [np.concatenate([part, other]) for part, other in ((MASK, 1 - MASK), (LOGITS, 9 + LOGITS))]
    alone = value(Tversky())
    assert value(Tversky(), *both, weights=np.array([1, 0], np.float32)) == pytest.approx(alone)


def test_the_focal_loss_is_that_of_equation_5():
    # -balance_t (1 - p_t)^2 log p_t with p_t 3/4 and 1/2 of the foreground, 1/2 twice of the background
    easy, hard = -0.25 * 0.25**2 * np.log(0.75), -0.25 * 0.5**2 * np.log(0.5)
    background = -0.75 * 0.5**2 * np.log(0.5)
    expected = (easy + hard + 2 * background) / 4
    assert value(focal()) == pytest.approx(expected, rel=1e-5)
    assert value(focal(), logits=two_channels(LOGITS, 3.0)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("logit", [-15.0, -5.0, 5.0, 15.0])
def test_the_focal_loss_is_that_of_equation_5_up_to_logits_of_15(logit):
    for mask, balance, z in ((1.0, 0.25, logit), (0.0, 0.75, -logit)):
        expected = balance / (1 + np.exp(z)) ** 2 * np.log1p(np.exp(-z))
        found = value(focal(), np.full((1, 1, 1, 1), mask, np.float32), np.full((1, 1, 1, 1), logit, np.float32))
        assert found == pytest.approx(expected, rel=0.05 if z > 0 else 1e-5, abs=1e-15)


def test_weights_multiply_each_pixel_and_the_mean_is_over_all_of_them():
    weights = np.array([4, 0, 2, 0], np.float32).reshape(1, 2, 2, 1)
    expected = (-4 * np.log(0.75) - 2 * np.log(0.5)) / 4
    assert value(border(), weights=weights) == pytest.approx(expected)
    assert value(border(), logits=two_channels(LOGITS, 3.0), weights=weights) == pytest.approx(expected)


@pytest.mark.parametrize("channels", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.long
def test_training_minimizes_what_the_weights_say(channels, tmp_path):
    # all pixels alike: only weights tell the network that the foreground counts three times as much as the background
    masks = np.zeros((64, 4, 4, 1), np.uint8)
    masks[:, :2] = 1
    weights = np.where(masks > 0, np.float32(0.75), np.float32(0.25))
    examples = Examples(np.zeros((64, 4, 4, 1), np.uint8), masks, weights)

    image = keras.Input((4, 4, 1), name="image")
    model = keras.Model(image, keras.layers.Conv2D(channels, 1, name="logits")(image))
    recipe = Recipe(epochs=30, batch_size=8, optimizer="adam", learning_rate=0.1)
    fit(model, (examples, examples), recipe, folder=tmp_path, loss=border())
    probability = keras.ops.sigmoid(foreground_logit(model(np.zeros((1, 4, 4, 1), np.float32))))
    np.testing.assert_allclose(probability, 0.75, atol=0.01)
    expected = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) / 2
    last = (tmp_path / "history.csv").read_text().splitlines()
    val_loss = dict(zip(last[0].split(","), last[-1].split(","), strict=True))["val_loss"]
    assert float(val_loss) == pytest.approx(expected, rel=1e-3)


def test_dice_is_that_of_all_images_of_a_batch_together():
    masks, logits = np.concatenate([MASK, 0 * MASK]), np.concatenate([LOGITS, LOGITS])
    # TP 1.25, sums 4.5 + 2
    assert value(Tversky(smooth=0.5), masks, logits) == pytest.approx(1 - 3.5 / 7.5)


def test_two_channels_of_a_softmax_are_one_of_a_sigmoid():
    two = np.random.default_rng(0).normal(size=(2, 3, 3, 2)).astype(np.float32)
    softmax = np.exp(two[..., 1:]) / np.exp(two).sum(-1, keepdims=True)
    np.testing.assert_allclose(keras.ops.sigmoid(foreground_logit(two)), softmax, rtol=1e-5)


@pytest.mark.parametrize("name", SEGMENTATION_LOSSES)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_losses_are_finite_on_empty_masks_and_extreme_logits(name, dtype):
    masks = np.zeros((2, 4, 4, 1), np.float32)
    loss = SEGMENTATION_LOSSES[name]()
    for logit in (-200.0, 0.0, 200.0):
        logits = keras.Variable(np.full((2, 4, 4, 1), logit), dtype=dtype)
        assert np.isfinite(value(loss, masks, keras.ops.convert_to_tensor(logits)))


def test_an_empty_prediction_of_nothing_costs_nothing():
    empty = np.zeros((1, 8, 8, 1), np.float32)
    for loss in (Tversky(), DiceCrossEntropy(), focal()):
        assert value(loss, empty, empty - 100) == pytest.approx(0, abs=1e-6)


def test_smoothing_by_nothing_is_an_error():
    with pytest.raises(UsageError, match="smooth is 0; give a number above 0"):
        Tversky(smooth=0)


@pytest.mark.parametrize("loss", [Tversky(0.3, 0.7), DiceCrossEntropy(), focal(), border()], ids=lambda loss: loss.name)
def test_a_loss_that_is_saved_with_its_model_is_loaded_as_it_was(loss):
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    masks, logits = np.array([1.0, 0.0, 1.0, 0.0]).reshape(1, 2, 2, 1), np.array([2.0, 1.0, -1.0, -3.0])
    logits = logits.reshape(1, 2, 2, 1).astype(np.float32)
    assert type(again) is type(loss)
    np.testing.assert_array_equal(again(masks, logits), loss(masks, logits))
