import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from kerascnn.segmentation.postprocessing import (
    components,
    largest_component,
    most_confident_component,
    without_holes,
    without_small_components,
)

ANY_NEIGHBOUR = np.ones((3, 3, 3))


def blobs(seed, shape=(6, 40, 40), share=0.08):
    """A mask of many parts of many sizes."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.0)
    return noise > np.quantile(noise, 1 - share)


@pytest.mark.parametrize("seed", range(3))
def test_components_are_those_that_scipy_finds(seed):
    mask = blobs(seed)
    expected, count = ndimage.label(mask, ANY_NEIGHBOUR)
    found = components(tf.constant(mask)).numpy()
    pairs = set(zip(expected.flat, found.flat, strict=True))
    assert count > 5
    assert len(pairs) == count + 1
    assert (0, 0) in pairs


@pytest.mark.parametrize("seed", range(3))
def test_the_largest_component_is_the_one_that_scipy_finds(seed):
    mask = blobs(seed)
    labels, _ = ndimage.label(mask, ANY_NEIGHBOUR)
    expected = labels == 1 + np.bincount(labels.flat)[1:].argmax()
    np.testing.assert_array_equal(largest_component(tf.constant(mask)), expected)


@pytest.mark.parametrize("seed", range(3))
def test_the_most_confident_component_is_the_one_with_the_most_confident_voxels(seed):
    mask, confident = blobs(seed), blobs(seed, share=0.02)
    labels, count = ndimage.label(mask, ANY_NEIGHBOUR)
    votes = [(np.sum(confident & (labels == i)), np.sum(labels == i)) for i in range(1, count + 1)]
    expected = labels == 1 + votes.index(max(votes))
    np.testing.assert_array_equal(most_confident_component(tf.constant(mask), tf.constant(confident)), expected)
    # where nothing is confident, and what is confident lies outside
    outside = most_confident_component(tf.constant(mask), tf.constant(~mask))
    np.testing.assert_array_equal(outside, largest_component(tf.constant(mask)))


def test_a_small_confident_component_is_kept_and_a_large_doubtful_one_is_not():
    mask = np.zeros((2, 9, 9), bool)
    mask[:, 1:3, 1:3] = mask[0, 5:, 5:] = True
    confident = np.zeros_like(mask)
    confident[0, 1, 1] = True
    kept = most_confident_component(tf.constant(mask), tf.constant(confident)).numpy()
    assert (kept.sum(), kept[0, 1, 1]) == (8, True)


def test_small_components_are_removed_by_their_size():
    mask = blobs(0)
    labels, _ = ndimage.label(mask, ANY_NEIGHBOUR)
    large = np.isin(labels, 1 + np.flatnonzero(np.bincount(labels.flat)[1:] >= 30))
    assert large.any()
    assert (large != mask).any()
    np.testing.assert_array_equal(without_small_components(tf.constant(mask), 30), large)
    assert not np.any(without_small_components(tf.constant(mask), 10_000))


@pytest.mark.parametrize("seed", range(3))
def test_holes_are_those_that_scipy_fills_slice_by_slice(seed):
    mask = blobs(seed, share=0.6)
    expected = np.stack([ndimage.binary_fill_holes(each) for each in mask])
    assert (expected != mask).any()
    np.testing.assert_array_equal(without_holes(tf.constant(mask)), expected)


def test_a_winding_component_stays_one():
    mask = np.zeros((1, 41, 41), bool)
    mask[0, ::2] = True
    mask[0, 1::4, -1] = mask[0, 3::4, 0] = True
    assert len(np.unique(components(tf.constant(mask)))) == 2


@pytest.mark.parametrize(
    "change",
    [
        largest_component,
        without_holes,
        lambda mask: most_confident_component(mask, mask),
        lambda mask: without_small_components(mask, 5),
    ],
)
def test_an_empty_mask_stays_empty(change):
    assert not np.any(change(tf.zeros((3, 8, 8), tf.bool)))
