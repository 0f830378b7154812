import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.datasets.augmentation import CarveMix, CutMix, MixUp
from kerascnn.datasets.augmentation.mixing import beta
from kerascnn.errors import UsageError


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


def ramps(count=64, size=8):
    """Images of one grey each, label i of the i-th, and weights i + 1."""
    greys = tf.range(count, dtype=tf.float32) / count
    return tf.tile(greys[:, None, None, None], (1, size, size, 3)), tf.range(count) % 4, tf.range(1.0, count + 1)


def test_mixup_blends_images_labels_and_weights_by_one_share():
    images, labels, weights = (part.numpy() for part in ramps())
    mixed, shares, weighed = (part.numpy() for part in MixUp(alpha=0.4, num_classes=4)(images, labels, [0, 1], weights))
    assert mixed.shape == images.shape
    assert (shares.shape, shares.dtype) == ((64, 4), np.float32)
    np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-6)
    # the next image is 1/64 brighter: how much brighter each is says its share; the last is followed by the first
    share = (mixed[:-1, 0, 0, 0] - images[:-1, 0, 0, 0]) * 64
    np.testing.assert_allclose(weighed[:-1] - weights[:-1], share, atol=1e-4)
    # a label counts by its share and its own weight
    expected = share * weights[1:] / weighed[:-1]
    np.testing.assert_allclose(shares[np.arange(63), labels[1:]], expected, atol=1e-4)
    assert np.ptp(share) > 0.5
    np.testing.assert_allclose(mixed.std((1, 2, 3)), 0, atol=1e-6)


def test_shares_are_drawn_from_the_beta_distribution():
    for alpha in (0.2, 1.0, 5.0):
        draws = beta([20_000], alpha, tf.constant([0, 1])).numpy()
        # mean 1/2 and variance 1 / (4 (2 alpha + 1)) of Beta(alpha, alpha)
        assert abs(draws.mean() - 0.5) < 0.02
        np.testing.assert_allclose(draws.var(), 1 / (4 * (2 * alpha + 1)), rtol=0.05)


def test_cutmix_puts_a_rectangle_of_the_next_image_in_and_blends_labels_by_its_area():
    images, labels, weights = (part.numpy() for part in ramps(size=32))
    mixed, shares, weighed = (
        part.numpy() for part in CutMix(alpha=1.0, num_classes=4)(images, labels, [0, 1], weights)
    )
    assert (shares.shape, shares.dtype) == ((64, 4), np.float32)
    inside = mixed[:, :, :, 0] != images[:, :, :, 0]
    np.testing.assert_allclose(mixed[:-1][inside[:-1]], np.roll(images, -1, 0)[:-1][inside[:-1]])
    area = inside.mean((1, 2))
    np.testing.assert_allclose(weighed[:-1], weights[:-1] + area[:-1], atol=1e-4)
    np.testing.assert_allclose(
        shares[np.arange(63), labels[1:]], (area * np.roll(weights, -1))[:-1] / weighed[:-1], atol=1e-6
    )
    for image in inside:
        rows, columns = image.any(1), image.any(0)
        # all of a rectangle, and nothing beside it
        np.testing.assert_array_equal(image, rows[:, None] & columns)
    # a uniform share less what lies beyond the border
    assert 0.2 < area.mean() < 0.5
    assert area.max() > 0.7


def test_labels_that_are_mixed_may_be_mixed_again():
    images, labels, _ = ramps()
    parts = MixUp(alpha=1.0, num_classes=4)(images, labels, tf.constant([0, 1]))
    _, shares = CutMix(alpha=1.0, num_classes=4)(*parts, tf.constant([0, 2]))
    np.testing.assert_allclose(tf.reduce_sum(shares, -1), 1, atol=1e-5)
    assert (np.count_nonzero(shares, axis=-1) > 2).any()


def test_mixup_of_whole_labels_is_what_keras_does_with_one_hot_labels():
    images, labels, _ = ramps()
    layer = keras.layers.MixUp(alpha=0.4, seed=0)
    one_hot = tf.one_hot(labels, 4)
    transformation = {"mix_weight": tf.fill([64], 0.25), "permutation_order": tf.roll(tf.range(64), -1, 0)}
    theirs = layer.transform_images(images, transformation), layer.transform_labels(one_hot, transformation)
    # Keras's weight is that of the image itself
    ours = MixUp(alpha=0.4, num_classes=4)(images, labels, tf.constant([0, 1]))
    share = (ours[0][:-1, 0, 0, 0] - images[:-1, 0, 0, 0]) * 64
    for mine, other, unmixed in zip(ours, theirs, (images, one_hot), strict=True):
        moved, expected = (np.asarray(part - unmixed)[:-1].reshape(63, -1) for part in (mine, other))
        np.testing.assert_allclose(moved * 0.75, expected * np.asarray(share)[:, None], atol=1e-5)


def test_what_counts_nothing_has_no_part_in_a_mixture():
    images, labels, _ = (part.numpy() for part in ramps())
    weights = np.where(labels == 0, 0, 2).astype(np.float32)
    for augment in (MixUp(alpha=1.0, num_classes=4), CutMix(alpha=1.0, num_classes=4)):
        mixed, shares, weighed = (part.numpy() for part in augment(images, labels, tf.constant([0, 1]), weights))
        np.testing.assert_array_equal(shares[:, 0], 0)
        # all other classes have what is left
        np.testing.assert_allclose(shares.sum(-1)[labels > 0], 1, atol=1e-6)
        alone = (labels == 0) | (np.roll(labels, -1) == 0)
        np.testing.assert_array_equal(mixed[alone], images[alone])
        np.testing.assert_allclose(weighed, np.where(alone, weights, weighed))
        assert np.abs(mixed - images)[~alone].max() > 0.005


@pytest.mark.parametrize("augment", [MixUp, CutMix])
def test_an_alpha_that_draws_no_shares_and_masks_are_errors(augment):
    with pytest.raises(UsageError, match=r"^alpha is 0; give a number from 0.05 to 100$"):
        augment(alpha=0, num_classes=2)
    images, masks = tf.zeros((2, 4, 4, 3)), tf.zeros((2, 4, 4, 1))
    for weights in ([], [masks]):
        with pytest.raises(
            UsageError, match="^augmentations mixes classes, and the examples have masks; leave it out$"
        ):
            augment(alpha=1, num_classes=2)(images, masks, tf.constant([0, 1]), *weights)
