import dataclasses

import keras
import numpy as np
import pytest

from kerascnn.classification.training import untrained
from kerascnn.datasets import Examples, load
from kerascnn.errors import UsageError
from kerascnn.models import airbench, whiten

PHOTOS = np.random.default_rng(0).random((40, 9, 9, 3)).repeat(4, 1).repeat(4, 2)[:, :32, :32]  # neighbours are alike


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return airbench()


def test_whitened_patches_are_uncorrelated_and_of_equal_variance(model):
    whiten(model, PHOTOS)
    layer = model.get_layer("whiten")
    normalized = model.get_layer("normalize")(PHOTOS.astype(np.float32))
    answers = keras.ops.conv(normalized, layer.kernel).numpy().reshape(-1, 24).astype(np.float64)
    np.testing.assert_allclose(answers[:, :12], -answers[:, 12:], atol=1e-6)
    # 5e-4 is added to each variance
    np.testing.assert_allclose(answers[:, :12].T @ answers[:, :12] / len(answers), np.eye(12), atol=0.02)


def test_the_whitening_is_not_trained(model):
    assert not model.get_layer("whiten").trainable_variables
    assert sorted({v.path.split("/")[-1] for v in model.trainable_variables}) == ["beta", "kernel"]


def test_convolutions_begin_as_the_identity_of_the_channels_that_they_get(model):
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 64)).astype(np.float32)
    y = model.get_layer("block2_conv1")(x).numpy()
    np.testing.assert_allclose(y[..., :64], x, atol=1e-6)
    assert np.abs(y[..., 64:]).mean() > 0.1


def test_pixels_that_are_not_divided_are_an_error(model):
    with pytest.raises(UsageError, match="^images has intensities from 0 to 255; divide uint8 by 255$"):
        whiten(model, np.array([0, 255], np.uint8).repeat(1536 * 20).reshape(20, 32, 32, 3))


def test_an_app_whitens():
    data = load("synthetic")
    images = np.pad(data.train.images.repeat(3, -1), ((0, 0), (2, 2), (2, 2), (0, 0)))
    colour = dataclasses.replace(data, train=dataclasses.replace(data.train, images=images))
    model = untrained("airbench", colour)
    kernel = model.get_layer("whiten").kernel.numpy()
    # directions, and the same with the other sign
    np.testing.assert_array_equal(kernel[..., :12], -kernel[..., 12:])


def test_images_for_training_whiten_and_broken_ones_do_not():
    """Broken photos are black, and of weight 0."""
    random = np.random.default_rng(0)
    images, weights = random.integers(0, 256, (60, 32, 32, 3), np.uint8), np.ones(60, np.float32)
    images[:20], weights[:20] = 0, 0
    labels = np.arange(60, dtype=np.int32) % 10
    data = dataclasses.replace(load("synthetic"), train=Examples(images, labels, weights))
    expected = airbench((32, 32, 3), 10)
    whiten(expected, images[20:] / np.float32(255))
    kernel = untrained("airbench", data).get_layer("whiten").kernel
    np.testing.assert_allclose(kernel, expected.get_layer("whiten").kernel, rtol=1e-3)
