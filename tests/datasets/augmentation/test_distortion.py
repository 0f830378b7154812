import cv2
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.datasets.augmentation.distortion import Distortion, affine_grid, blur_matrix, elastic_field, sample
from kerascnn.datasets.synthetic import drawn
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
