import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.datasets.augmentation import as_augmentation, unfolded
from kerascnn.datasets.synthetic import drawn
from kerascnn.errors import UsageError

IMAGES = tf.constant(drawn(20, 0).images / np.float32(255))


RANDOM_LAYERS = [
    keras.layers.RandomFlip("horizontal"),
    keras.layers.RandomRotation(0.2),
    keras.layers.RandomTranslation(0.2, 0.2),
    keras.layers.RandomZoom(0.3),
    keras.layers.RandomCrop(24, 24),
    keras.layers.RandomBrightness(0.5, value_range=(0, 1)),
    keras.layers.RandomContrast(0.5, value_range=(0, 1)),
    keras.layers.RandomErasing(value_range=(0, 1)),
    keras.layers.RandomGrayscale(0.5),
]


def batch_of(augmentation, step, labels=None):
    """What comes out of an input pipeline at a step."""
    augment, labels = as_augmentation(augmentation), tf.range(20) if labels is None else labels
    images = tf.repeat(IMAGES, 3, -1)
    dataset = tf.data.Dataset.from_tensors(tf.constant([0, step], tf.int64)).map(lambda s: augment(images, labels, s))
    return next(iter(dataset))


@pytest.mark.parametrize("layer", RANDOM_LAYERS, ids=lambda layer: type(layer).__name__)
@pytest.mark.long
def test_a_random_layer_of_keras_is_a_function_of_the_seed_alone(layer):
    (first, labels), (again, _), (other, _) = (batch_of(layer, step) for step in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(labels, range(20))
    assert 0 <= first.numpy().min() < first.numpy().max() <= 1 + 1e-6
    assert type(layer).__name__ == "RandomGrayscale" or np.abs(first - other).max() > 0.1


def test_a_random_layer_of_keras_moves_masks_with_their_images():
    masks = tf.cast(IMAGES > 0.5, tf.float32)
    images, moved = batch_of(keras.layers.RandomFlip("horizontal"), 3, masks)
    np.testing.assert_array_equal(moved, tf.cast(images[..., :1] > 0.5, tf.float32))
    assert np.abs(moved - masks).sum() > 100


@pytest.mark.parametrize(
    ("layer", "masks"),
    [
        (keras.layers.RandomFlip, True),
        (keras.layers.RandomElasticTransform, True),
        (keras.layers.RandAugment, False),
    ],
)
def test_images_and_masks_stay_float32_behind_a_layer_in_half_precision(layer, masks):
    keras.config.set_dtype_policy("mixed_bfloat16")
    made = layer() if layer is keras.layers.RandomFlip else layer(value_range=(0, 1))
    assert made.compute_dtype == "bfloat16"
    images, labels = batch_of(made, 3, tf.cast(IMAGES > 0.5, tf.float32) if masks else None)
    assert images.dtype == tf.float32
    assert labels.dtype == (tf.float32 if masks else tf.int32)


def test_masks_are_bent_as_their_images():
    masks = tf.cast(IMAGES > 0.5, tf.float32)
    layer = keras.layers.RandomElasticTransform(factor=1.0, scale=1.0, value_range=(0, 1))
    images, moved = batch_of(layer, 3, masks)
    bent, apart = np.abs(np.asarray(moved) - masks).mean(), np.mean((images[..., :1] > 0.5) != (moved > 0.5))
    assert apart < 0.01 < bent  # by a field of their own 0.03 would lie elsewhere


def test_weights_of_pixels_are_moved_and_not_cut():
    masks = tf.cast(IMAGES > 0.5, tf.float32)
    augment = as_augmentation(keras.layers.RandomElasticTransform(factor=1.0, scale=1.0, value_range=(0, 1)))
    _, moved, weights = augment(tf.repeat(IMAGES, 3, -1), masks, tf.constant([0, 3], tf.int64), 7 * masks)
    np.testing.assert_allclose(weights, 7 * moved, atol=1e-5)


@pytest.mark.long
def test_a_random_layer_that_draws_without_the_seed_is_told(caplog):
    batch_of(keras.layers.RandAugment(value_range=(0, 1)), 3)
    assert caplog.messages == ["RandAugment draws without the recipe's seed: a resumed training sees other images"]


def test_a_layer_that_draws_nothing_is_no_news(caplog):
    as_augmentation(keras.layers.Rescaling(2.0, -1.0))
    assert not caplog.messages


def test_a_random_layer_for_another_range_is_an_error():
    with pytest.raises(
        UsageError, match=r"RandomBrightness with value_range \(0, 255\), .*; give it value_range=\(0, 1\)$"
    ):
        as_augmentation(keras.layers.RandomBrightness(0.1))


def test_a_random_layer_that_mixes_labels_is_an_error():
    with pytest.raises(
        UsageError, match="^augmentations has MixUp, which needs one-hot labels; take kc.augmentation.MixUp$"
    ):
        as_augmentation(keras.layers.MixUp())


@pytest.mark.parametrize("together", [keras.Sequential, keras.layers.Pipeline])
def test_layers_within_a_layer_are_augmentations_of_their_own(together):
    flip, contrast = keras.layers.RandomFlip("horizontal"), keras.layers.RandomContrast(0.3, (0, 1))
    assert list(unfolded([together([flip]), contrast])) == [flip, contrast]


def test_a_random_layer_that_does_not_move_masks_is_an_error():
    masks = tf.cast(IMAGES > 0.5, tf.float32)
    with pytest.raises(UsageError, match="^augmentations has GaussianNoise, which does not move masks"):
        as_augmentation(keras.layers.GaussianNoise(0.1))(IMAGES, masks, tf.constant([0, 0]))


def test_a_function_of_other_arguments_is_an_error():
    def mine(images, seed):
        return images

    with pytest.raises(UsageError, match="^augmentations has mine, which does not take .*: too many positional argume"):
        as_augmentation(mine)
