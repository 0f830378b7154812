import numpy as np
import pytest
import tensorflow as tf

from kerascnn.tumors.phantoms import drawn_patient
from kerascnn.tumors.preprocessing import (
    foreground,
    percentile,
    preprocess_masks,
    preprocess_volume,
    restore_probabilities,
    window,
)


def head(top=10, left=20, height=40, width=30, intensity=100):
    """A volume of one slice with a rectangle of one intensity in all channels."""
    volume = np.zeros((1, 64, 64, 3), np.uint8)
    volume[:, top : top + height, left : left + width] = intensity
    return volume


def test_the_window_lies_around_the_middle_of_the_head():
    # 56 pixels, seven eighths of the slice, around the middle of rows 10 to 49 and columns 20 to 49
    assert [int(v) for v in window(tf.constant(head()[..., 0] > 0))] == [(10 + 50 - 56) // 2, (20 + 50 - 56) // 2, 56]


def test_a_large_head_is_not_cut():
    top, left, size = (int(v) for v in window(tf.constant(head(top=2, height=60)[..., 0] > 0)))
    assert (top, size) == (2, 60)
    assert left == (20 + 50 - 60) // 2


def test_an_empty_slice_is_preprocessed_to_nothing():
    images = preprocess_volume(np.zeros((2, 30, 50, 3), np.uint8), 32).numpy()
    assert images.shape == (2, 32, 32, 3)
    assert not images.any()


def test_what_is_brighter_than_three_times_the_median_is_cut():
    volume = head(intensity=50)
    volume[0, 20:24, 30:34] = 250
    images = preprocess_volume(volume, 56).numpy()
    np.testing.assert_allclose(images.max(), 1.0, atol=1e-5)


def test_intensities_are_stretched_to_the_head_of_the_whole_volume():
    volume = np.concatenate([head(intensity=100), head(intensity=50)])
    images = preprocess_volume(volume, 48).numpy()
    # Half of the head has intensity 50, and the median is the lower of the two middle ones.
    np.testing.assert_allclose(images[0].max(), 100 / 150, atol=1e-5)
    np.testing.assert_allclose(images[1].max(), 50 / 150, atol=1e-5)
    # alone, the first slice is a volume of its own
    np.testing.assert_allclose(preprocess_volume(volume[:1], 48).numpy().max(), 100 / 300, atol=1e-5)


def test_a_hot_pixel_does_not_hide_the_head():
    volume = head(intensity=20)
    volume[0, 0, 63] = 255
    assert [int(v) for v in window(foreground(tf.cast(volume, tf.float32)))] == [2, 7, 56]


def test_the_percentile_is_numpys_up_to_one_intensity():
    volume = np.random.default_rng(0).integers(1, 256, (3, 32, 32, 2), np.uint8)
    found = percentile(tf.constant(volume), tf.ones((3, 32, 32), tf.bool), 0.9).numpy()
    np.testing.assert_allclose(found, np.percentile(volume.reshape(-1, 2), 90, axis=0), atol=1)


def test_brighter_images_are_preprocessed_the_same():
    volume = drawn_patient(1).images
    np.testing.assert_allclose(preprocess_volume(volume // 2, 48), preprocess_volume(volume // 2 * 2, 48), atol=1e-3)


@pytest.mark.parametrize("shape", [(3, 64, 64, 3), (1, 1, 1, 3), (2, 100, 37, 3), (2, 37, 100, 1), (4, 300, 280, 4)])
def test_any_size_is_preprocessed_and_restored(shape):
    volume = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    images = preprocess_volume(volume, 32)
    assert images.shape == (shape[0], 32, 32, shape[3])
    assert 0 <= images.numpy().min() <= images.numpy().max() <= 1
    assert restore_probabilities(images[..., :1], volume).shape == (*shape[:3], 1)


def test_a_mask_comes_back_to_where_it_was():
    patient = drawn_patient(3, size=128)
    small = preprocess_masks(patient.masks, patient.images, 64)
    assert set(np.unique(small)) == {0, 1}
    back = restore_probabilities(tf.cast(small, tf.float32), patient.images).numpy() >= 0.5
    both = (back & (patient.masks > 0)).sum()
    assert 2 * both / (back.sum() + patient.masks.sum()) > 0.95


def test_preprocessing_is_the_same_in_a_graph_of_unknown_sizes():
    volume = drawn_patient(2).images
    graph = tf.function(
        lambda x: preprocess_volume(x, 32), input_signature=[tf.TensorSpec([None, None, None, None], tf.uint8)]
    )
    np.testing.assert_array_equal(graph(volume), preprocess_volume(volume, 32))
