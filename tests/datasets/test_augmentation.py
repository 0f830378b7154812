import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.datasets.augmentation import (
    CarveMix,
    Distortion,
    Intensity,
    MiddleChannel,
    affine_grid,
    as_augmentation,
    blur_matrix,
    elastic_field,
    sample,
    unfolded,
)
from kerascnn.datasets.synthetic import drawn
from kerascnn.errors import UsageError
from kerascnn.tumors.phantoms import drawn_patient

IMAGES = tf.constant(drawn(20, 0).images / np.float32(255))


def test_sampling_at_the_pixels_themselves_changes_nothing():
    y, x = np.meshgrid(np.arange(28.0), np.arange(28.0), indexing="ij")
    y, x = (np.broadcast_to(v, (20, 28, 28)).astype(np.float32) for v in (y, x))
    np.testing.assert_allclose(sample(IMAGES, y, x), IMAGES, atol=1e-6)


def test_sampling_equals_opencv_remap():
    random = np.random.default_rng(0)
    y, x = random.uniform(-3, 31, (2, 20, 28, 28)).astype(np.float32)
    ours = sample(IMAGES, y, x).numpy()
    for i in range(20):
        theirs = cv2.remap(IMAGES[i].numpy(), x[i], y[i], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        # OpenCV rounds positions to 1/32 pixel
        np.testing.assert_allclose(ours[i, ..., 0], theirs, atol=2 / 32)


def test_sampling_keeps_channels_apart():
    colours = tf.concat([IMAGES, 1 - IMAGES, 0 * IMAGES], -1)
    y = x = np.full((20, 1, 1), 13.5, np.float32)
    out = sample(colours, y, x).numpy()
    expected = colours.numpy()[:, 13:15, 13:15].mean((1, 2))
    np.testing.assert_allclose(out[:, 0, 0], expected, atol=1e-6)


def test_the_grid_stays_within_the_limits():
    y, x = affine_grid(500, 28, 28, (2.0, 0.0, 0.0, 0.0), tf.constant([1, 2]))
    shift = y.numpy() - np.arange(28)[:, None]
    assert np.ptp(shift, axis=(1, 2)).max() < 1e-4
    assert 1.8 < np.abs(shift).max() <= 2
    assert abs(shift.mean()) < 0.2
    across = x.numpy() - np.arange(28)
    assert np.ptp(across, axis=(1, 2)).max() < 1e-4
    assert 1.8 < np.abs(across).max() <= 2


@pytest.mark.parametrize(
    ("limits", "down", "right"),
    [
        # (rows that a step down goes, rows that a step right goes), the same of columns: the largest of 500 draws
        ((0.0, 30.0, 0.0, 0.0), (1.0, 0.5), (0.5, 1.0)),  # the sine of 30 degrees
        ((0.0, 0.0, 0.25, 0.0), (1 / 0.75, 0.0), (0.0, 1 / 0.75)),  # a zoom to 3/4 steps over 4/3 pixels
        ((0.0, 0.0, 0.0, 0.2), (1.0, 0.0), (0.2, 1.0)),
    ],
)
def test_rotation_zoom_and_shear_reach_their_limits(limits, down, right):
    y, x = (axis.numpy() for axis in affine_grid(500, 28, 28, limits, tf.constant([1, 2])))
    found = [np.abs(np.diff(axis, axis=along)[:, 0, 0]).max() for axis, along in ((y, 1), (y, 2), (x, 1), (x, 2))]
    np.testing.assert_allclose(found, [*down, *right], rtol=0.02, atol=1e-4)


def test_rotation_keeps_distances_from_the_centre():
    y, x = affine_grid(50, 28, 28, (0.0, 30.0, 0.0, 0.0), tf.constant([1, 2]))
    v, u = np.meshgrid(np.arange(28) - 13.5, np.arange(28) - 13.5, indexing="ij")
    radius = np.hypot(y - 13.5, x - 13.5)
    np.testing.assert_allclose(radius, np.broadcast_to(np.hypot(v, u), radius.shape), atol=1e-3)


def test_elastic_blur_equals_scipy_gaussian():
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(0).uniform(-1, 1, (40, 40)).astype(np.float32)
    blur = blur_matrix(40, 4.0)
    expected = gaussian_filter(noise, 4.0, mode="constant", truncate=10)
    np.testing.assert_allclose(blur @ noise @ blur.T, expected, atol=1e-4)


def test_elastic_field_scales_with_alpha_and_differs_between_images():
    small, large = (elastic_field(3, 28, 28, alpha, 4.0, tf.constant([0, 1])).numpy() for alpha in (1.0, 34.0))
    np.testing.assert_allclose(large, 34 * small, rtol=1e-4, atol=1e-5)
    assert np.abs(large[0, 0] - large[0, 1]).max() > 0.5


def test_distortion_is_a_function_of_the_seed_alone():
    augment, labels = Distortion(shift=2, rotation=10, zoom=0.1, shear=0.1, elastic=20), tf.range(20)
    seeds = ([0, 5], [0, 5], [0, 6])
    first, again, other = (augment(IMAGES, labels, tf.constant(seed, tf.int64))[0].numpy() for seed in seeds)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    assert first.min() >= 0
    assert first.max() <= 1 + 1e-6


def test_images_and_masks_move_alike_and_masks_stay_binary():
    patient = drawn_patient(0, size=48)
    masks = tf.cast(patient.masks, tf.float32)
    # the mask as the images' only channel: whatever moves it must move the mask to the same place
    augment = Distortion(horizontal_flip=True, shift=4, rotation=15, zoom=0.1, shear=0.1, elastic=60, sigma=5)
    images, moved = augment(masks, masks, tf.constant([0, 1]))
    np.testing.assert_array_equal(moved, images.numpy() >= 0.5)
    assert set(np.unique(moved)) == {0, 1}
    assert np.abs(moved.numpy() - masks.numpy()).sum() > 10


def test_a_horizontal_flip_changes_about_half_of_the_images():
    images = tf.random.stateless_uniform((64, 8, 8, 1), [0, 0])
    masks = tf.cast(images > 0.5, tf.float32)
    flipped_images, flipped_masks = Distortion(horizontal_flip=True)(images, masks, tf.constant([0, 2]))
    flipped = [bool(np.allclose(new, old[:, ::-1], atol=1e-6)) for new, old in zip(flipped_images, images, strict=True)]
    kept = [bool(np.allclose(new, old, atol=1e-6)) for new, old in zip(flipped_images, images, strict=True)]
    assert all(a != b for a, b in zip(flipped, kept, strict=True))
    assert 20 < sum(flipped) < 44
    np.testing.assert_array_equal(flipped_masks, flipped_images.numpy() > 0.5)


def test_intensities_change_in_images_alone_and_stay_in_range():
    images = tf.fill((16, 8, 8, 2), 0.5)
    masks = tf.ones((16, 8, 8, 1))
    changed, *kept = Intensity(brightness=0.2, contrast=0.5)(images, masks, tf.constant([0, 3]), 3 * masks)
    # at most 0.5 * 1.5 + 0.2 and at least 0.5 * 0.5 - 0.2
    assert 0.05 <= changed.numpy().min() < 0.35 < 0.65 < changed.numpy().max() <= 0.95
    assert np.ptp(changed.numpy(), (1, 2)).max() < 1e-6
    np.testing.assert_allclose(kept, [masks, 3 * masks], atol=1e-6)


def test_powers_of_intensities_lie_within_their_limits():
    images = tf.fill((64, 2, 2, 3), 0.25)
    changed = Intensity(gamma=1.0)(images, tf.zeros((64, 2, 2, 1)), tf.constant([0, 4]))[0].numpy()
    # exponents from 1/2 to 2
    assert 0.0625 <= changed.min() < 0.08 < 0.4 < changed.max() <= 0.5


def test_channels_are_copies_of_the_middle_one_in_their_share_of_the_images():
    images = tf.random.stateless_uniform((200, 2, 2, 3), [0, 0])
    copied = MiddleChannel(share=0.25)(images, tf.zeros((200, 2, 2, 1)), tf.constant([0, 5]))[0].numpy()
    alike = (copied == copied[..., 1:2]).all((1, 2, 3))
    assert 30 < alike.sum() < 70
    np.testing.assert_allclose(copied[..., 1], images[..., 1], atol=1e-6)
    np.testing.assert_allclose(copied[~alike], images.numpy()[~alike], atol=1e-6)


def test_carvemix_puts_a_tumor_into_the_image_before_it_and_not_beside_the_head():
    images = np.full((3, 48, 48, 2), 0.5, np.float32)
    images[1] = 0.8
    images[0, :, 24:] = 0
    masks = np.zeros((3, 48, 48, 1), np.float32)
    masks[1, 16:32, 16:32] = 1
    for number in range(20):
        seed = tf.constant([0, number])
        mixed, labels, weights = (t.numpy() for t in CarveMix(share=1.0)(images, masks, seed, 7 * masks))
        tumor = labels[0, ..., 0] > 0
        # well inside the tumor is the other image, far from it and beside the head the image itself
        np.testing.assert_allclose(mixed[0, 20:28, 18:21], 0.8, atol=1e-6)
        assert tumor[20:28, 18:21].all()
        assert not tumor[:, 28:].any()
        np.testing.assert_array_equal(mixed[0, :4, :4], images[0, :4, :4])
        # weights come along, and the tumor is no larger than it was
        np.testing.assert_array_equal(weights, 7 * labels)
        assert not (tumor & (masks[1, ..., 0] == 0)).any()
        # what is followed by an image without tumor stays
        np.testing.assert_array_equal(mixed[1:], images[1:])
        np.testing.assert_array_equal(labels[1:], masks[1:])


@pytest.mark.parametrize("radius", [1, 3, 9])
def test_carvemix_takes_tumors_of_any_size(radius):
    rows, columns = np.mgrid[:128, :128]
    disc = np.hypot(rows - 64, columns - 64) <= radius
    images = np.full((2, 128, 128, 1), 0.5, np.float32)
    images[1, disc] = 1.0
    masks = np.zeros((2, 128, 128, 1), np.float32)
    masks[1, disc] = 1
    for number in range(50):
        mixed, labels = (t.numpy() for t in CarveMix(share=1.0)(images, masks, tf.constant([0, number])))
        # nothing of the tumor comes without its label
        assert labels[0, 64, 64, 0] == 1
        assert (mixed[0][labels[0] == 0] < 0.75 + 1e-6).all()


def test_carvemix_changes_its_share_of_the_images():
    images = tf.stack([tf.fill((16, 16, 1), 0.3 + number / 400) for number in range(200)])
    mixed = CarveMix(share=0.25)(images, tf.ones((200, 16, 16, 1)), tf.constant([0, 0]))[0].numpy()
    assert 30 < (np.abs(mixed - images.numpy()).max((1, 2, 3)) > 0).sum() < 70


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


def test_a_random_layer_that_draws_without_the_seed_is_told(caplog):
    batch_of(keras.layers.RandAugment(value_range=(0, 1)), 3)
    assert caplog.messages == ["RandAugment draws without the recipe's seed: a resumed training sees other images"]


def test_a_random_layer_for_another_range_is_an_error():
    with pytest.raises(
        UsageError, match=r"RandomBrightness with value_range \(0, 255\), .*; give it value_range=\(0, 1\)$"
    ):
        as_augmentation(keras.layers.RandomBrightness(0.1))


def test_a_random_layer_that_mixes_labels_is_an_error():
    with pytest.raises(UsageError, match="^augmentations has MixUp, which needs one-hot labels; leave it out$"):
        as_augmentation(keras.layers.MixUp())


@pytest.mark.parametrize("together", [keras.Sequential, keras.layers.Pipeline])
def test_layers_within_a_layer_are_augmentations_of_their_own(together):
    flip, contrast = keras.layers.RandomFlip("horizontal"), keras.layers.RandomContrast(0.3, (0, 1))
    assert list(unfolded([together([flip]), contrast])) == [flip, contrast]


def test_a_random_layer_that_does_not_move_masks_is_an_error():
    masks = tf.cast(IMAGES > 0.5, tf.float32)
    with pytest.raises(UsageError, match="^augmentations has GaussianNoise, which does not move masks"):
        as_augmentation(keras.layers.GaussianNoise(0.1))(IMAGES, masks, tf.constant([0, 0]))
