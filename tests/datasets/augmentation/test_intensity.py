import numpy as np
import tensorflow as tf

from kerascnn.datasets.augmentation import Intensity, MiddleChannel


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
