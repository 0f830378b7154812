import numpy as np
import pytest
import tensorflow as tf

from kerascnn.datasets.augmentation import ColourNoise, Intensity, SingleChannel
from kerascnn.errors import UsageError


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
    copied = SingleChannel(share=0.25, channel=1)(images, tf.zeros((200, 2, 2, 1)), tf.constant([0, 5]))[0].numpy()
    alike = (copied == copied[..., 1:2]).all((1, 2, 3))
    assert 30 < alike.sum() < 70
    np.testing.assert_allclose(copied[..., 1], images[..., 1], atol=1e-6)
    np.testing.assert_allclose(copied[~alike], images.numpy()[~alike], atol=1e-6)


def test_colours_move_along_their_principal_components_in_proportion_to_the_eigenvalues():
    # eigenvalues 0.4 along (1, 1, 0), 0.1 along (1, -1, 0) and 0 along blue, by hand
    covariance = ((0.25, 0.15, 0.0), (0.15, 0.25, 0.0), (0.0, 0.0, 0.0))
    images = tf.random.stateless_uniform((4000, 2, 2, 3), [0, 0], 0.3, 0.7)
    augment = ColourNoise(std=0.1, covariance=covariance)
    changed, _ = augment(images, tf.range(4000), tf.constant([0, 5]))
    noise = (changed - images).numpy()
    assert np.ptp(noise, (1, 2)).max() < 1e-6
    noise = noise[:, 0, 0]
    along = noise @ np.array([[1, 1, 0], [1, -1, 0], [0, 0, 1]]).T / np.sqrt([2, 2, 1])
    np.testing.assert_allclose(along.std(0), [0.04, 0.01, 0], rtol=0.05, atol=1e-6)
    np.testing.assert_allclose(np.corrcoef(along[:, :2].T)[0, 1], 0, atol=0.05)
    bright = augment(tf.ones((50, 2, 2, 3)), tf.range(50), tf.constant([0, 6]))[0].numpy()
    assert bright.max() == 1 > bright.min()


def test_a_covariance_of_no_channels_is_an_error():
    with pytest.raises(
        UsageError, match=r"^covariance has the shape \(3,\); give what kc.datasets.colour_covariance m"
    ):
        ColourNoise(std=0.1, covariance=(1, 2, 3))


def test_what_leaves_the_range_is_cut_and_every_channel_draws_by_the_seed():
    images, labels = tf.fill((32, 2, 2, 3), 0.9), tf.range(32)
    augment = Intensity(brightness=0.3)
    one, again, other = (augment(images, labels, tf.constant([0, seed]))[0].numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.1
    assert one.max() == 1
    assert np.ptp(one, -1).max() > 0.1


def test_brightness_and_contrast_draw_apart():
    dark, grey = (
        Intensity(brightness=0.1, contrast=0.5)(tf.fill((500, 1, 1, 1), level), tf.range(500), tf.constant([0, 3]))[0]
        for level in (0.2, 0.6)
    )
    # of an image of both levels: contrast is what they differ by, brightness what is left
    contrast = (grey - dark).numpy().ravel() / 0.4
    brightness = dark.numpy().ravel() - 0.2 * contrast
    assert abs(np.corrcoef(contrast, brightness)[0, 1]) < 0.1


def test_colour_noise_is_drawn_by_the_seed():
    augment = ColourNoise(std=0.5, covariance=np.eye(3) / 4)
    images, labels = tf.fill((8, 2, 2, 3), 0.5), tf.range(8)
    one, again, other = (augment(images, labels, tf.constant([0, seed]))[0].numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.05
