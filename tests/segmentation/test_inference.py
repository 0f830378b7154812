import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.models import builder
from kerascnn.segmentation.inference import (
    MaskSettings,
    network_probabilities,
    postprocess,
    segment,
    volume_probabilities,
)
from kerascnn.tumors.phantoms import drawn_patient
from kerascnn.tumors.preprocessing import PREPROCESSING, preprocess_volume, restore_probabilities


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return builder("unet_buda")((32, 32, 3), width=2)


def test_probabilities_lie_where_the_slices_do(network):
    volume = drawn_patient(0).images
    probabilities = volume_probabilities(network, PREPROCESSING, volume, flip_tta=False).numpy()
    assert probabilities.shape == (*volume.shape[:3], 1)
    assert 0 <= probabilities.min() < probabilities.max() <= 1
    # 64 pixels have a window of 56, and beyond it there is nothing
    assert not probabilities[:, 0].any()


@pytest.mark.parametrize("slices", [1, 13])
@pytest.mark.long
def test_every_slice_is_seen_whatever_their_number(network, slices):
    volume = np.concatenate([drawn_patient(0).images, drawn_patient(1).images])[:slices]
    at_once = network_probabilities(network, preprocess_volume(volume, 32), False)
    graph = tf.function(
        lambda x: volume_probabilities(network, PREPROCESSING, x, False),
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
    )
    np.testing.assert_allclose(graph(volume), restore_probabilities(at_once, volume), atol=1e-5)


def test_flip_tta_is_the_mean_of_both_views(network):
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    plain, flipped = (network_probabilities(network, view, False).numpy() for view in (images, images[:, :, ::-1]))
    expected = (plain + flipped[:, :, ::-1]) / 2
    np.testing.assert_allclose(network_probabilities(network, images, True), expected, atol=1e-6)


def test_settings_change_the_mask_as_they_say():
    probability = np.zeros((1, 20, 20, 1), np.float32)
    probability[0, 2:9, 2:9] = 0.9
    probability[0, 5, 5] = 0.1  # a hole
    probability[0, 15:18, 15:18] = 0.6
    probability[0, 0, 19] = 0.9  # a speck

    def size(**settings):
        return int(postprocess(tf.constant(probability), MaskSettings(**settings)).numpy().sum())

    assert size() == 48 + 9 + 1
    assert size(threshold=0.7) == 48 + 1
    assert size(largest_component=True) == 48
    assert size(most_confident_component=True) == 48
    assert size(largest_component=True, fill_holes=True) == 49
    assert size(minimum_component_size=5) == 48 + 9
    assert size(threshold=0.95, largest_component=True, fill_holes=True, minimum_component_size=5) == 0


def test_a_small_confident_component_is_kept_in_place_of_a_large_doubtful_one():
    probability = np.full((1, 20, 20, 1), 0.1, np.float32)
    probability[0, 2:12, 2:12] = 0.89
    probability[0, 15:18, 15:18] = 0.9
    sizes = [
        postprocess(tf.constant(probability), MaskSettings(**{name: True})).numpy().sum()
        for name in ("largest_component", "most_confident_component")
    ]
    assert sizes == [100, 9]


def test_a_volume_comes_with_its_mask(network):
    patient = drawn_patient(1)
    probabilities, mask = segment(network, PREPROCESSING, patient.images, MaskSettings())
    np.testing.assert_array_equal(mask, probabilities.numpy() >= 0.5)
    assert mask.dtype == tf.uint8
