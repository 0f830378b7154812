import keras
import numpy as np
import pytest

from kerascnn.datasets.examples import Examples
from kerascnn.datasets.synthetic import drawn
from kerascnn.models import builder
from kerascnn.training import batch_statistics
from kerascnn.training.feed import Feed
from kerascnn.training.recipe import Recipe


def undistorted(examples):
    return Feed((examples, None), Recipe(batch_size=10)).undistorted()


def test_statistics_are_those_of_the_images_and_of_these_weights():
    keras.utils.set_random_seed(0)
    model = builder("vgg_digits")()
    examples = drawn(510, 0)  # two batches, and a small one
    batch_statistics.measure(model, undistorted(examples))
    before_first = keras.Model(model.input, model.get_layer("block1_conv1").output)
    features = before_first(examples.images / np.float32(255)).numpy()
    layer = model.get_layer("block1_conv1_norm")
    np.testing.assert_allclose(layer.moving_mean, features.mean((0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(layer.moving_variance, features.var((0, 1, 2)), rtol=1e-2)
    # Normalized with them, the channels of every later layer have mean 0 and standard deviation 1, too.
    last = keras.Model(model.input, model.get_layer("block3_conv2_norm").output)
    normalized = last(examples.images / np.float32(255)).numpy()
    np.testing.assert_allclose(normalized.mean((0, 1, 2)), 0, atol=0.05)
    np.testing.assert_allclose(normalized.std((0, 1, 2)), 1, atol=0.05)
    assert layer.momentum == 0.95


def test_batches_are_as_large_as_in_training_and_what_counts_nothing_is_left_out():
    """Where the pixels of an evaluation's batch would be of two images."""
    images = np.broadcast_to(np.arange(6, dtype=np.uint8)[:, None, None, None], (6, 512, 512, 1))
    weights = np.array([1, 0, 1, 1, 0, 1], np.float32)
    feed = Feed((Examples(images, np.zeros(6, int), weights), None), Recipe(batch_size=4))
    batches = [np.rint(255 * batch.numpy()[:, 0, 0, 0]).astype(int).tolist() for batch in feed.undistorted()]
    assert sorted(sum(batches, [])) == [0, 2, 3, 5]
    assert len(batches) <= 2


def test_a_network_without_batch_normalization_is_left_alone():
    model = builder("lenet5")()
    before = [w.numpy() for w in model.weights]
    batch_statistics.measure(model, undistorted(drawn(10, 0)))
    assert all(np.array_equal(w.numpy(), old) for w, old in zip(model.weights, before, strict=True))


def test_the_images_that_statistics_are_of_are_drawn_from_all():
    """Files come class by class, and the first 5,000 may be of few classes."""
    images = np.repeat(np.arange(250, dtype=np.uint8), 40)[:, None, None, None]
    feed = Feed((Examples(images, np.zeros(10_000, np.int32)), None), Recipe(batch_size=100))
    seen = np.concatenate([batch.numpy().ravel() for batch in feed.undistorted()])
    assert len(seen) == 5000
    assert np.rint(255 * seen).mean() == pytest.approx(124.5, abs=4)  # of the first ones alone it is 62
