import os
import time

import keras
import pytest
import tensorflow as tf

from kerascnn.classification.losses import CrossEntropy
from kerascnn.datasets import load
from kerascnn.errors import UsageError
from kerascnn.models import mlp
from kerascnn.training import duration
from kerascnn.training.duration import Clock, epochs_within, seconds_per_step, stretched
from kerascnn.training.feed import Feed
from kerascnn.training.recipe import Recipe

RECIPE = Recipe(batch_size=32)


def test_the_mean_is_of_the_last_calls_without_the_first_one_which_compiles():
    clock = Clock()
    clock.times = [0.0, 100.0, 101.0, 103.0, 104.5]
    assert clock.mean() == 1.5
    clock.times = [0.0, 100.0, 100.5, 101.0, 103.0, 105.0, 107.0, 109.0, 111.0]
    assert clock.mean() == 2.0
    clock.times = [0.0, 100.0]
    assert clock.mean() == 100.0


def test_slow_preparation_of_images_is_measured_and_not_hidden_by_batches_that_wait():
    def slowed(images, labels, seed):
        def slept(images):
            time.sleep(0.2)
            return images

        return tf.ensure_shape(tf.numpy_function(slept, [images], tf.float32), images.shape), labels

    data = load("synthetic")
    recipe = Recipe(batch_size=320, augmentations=[slowed])
    feed = Feed((data.train, None), recipe, at_once=1)
    seconds = seconds_per_step(mlp(), feed, CrossEntropy(), ())
    # as many batches are made at once as there are cores
    assert seconds > 0.8 * 0.2 / max(2, os.cpu_count())


def test_a_schedule_is_stretched_as_a_whole():
    recipe = Recipe(epochs=182, schedule="step", decay_epochs=(91, 137), warmup_epochs=4)
    found = stretched(recipe, 12)
    assert (found.epochs, found.decay_epochs, found.warmup_epochs) == (12, (6, 9), pytest.approx(4 * 12 / 182))
    none_left = stretched(recipe, 1)
    assert (none_left.decay_epochs, none_left.decay_every) == ((), 1)
    assert stretched(Recipe(epochs=100, schedule="step", decay_epochs=(90,)), 3).decay_every == 3
    assert stretched(Recipe(epochs=30, schedule="step", decay_every=10), 60).decay_every == 20
    # two decays, and no third one; and of two that would fall together the second comes an epoch later
    assert [stretched(Recipe(epochs=30, schedule="step", decay_every=10), n).decay_every for n in (7, 4)] == [3, 2]
    assert stretched(Recipe(epochs=100, schedule="step", decay_epochs=(50, 55)), 10).decay_epochs == (5, 6)


@pytest.mark.long
def test_ten_times_the_time_has_room_for_more_epochs():
    data = load("synthetic")
    epochs = [epochs_within(minutes, mlp(), data, RECIPE, loss=CrossEntropy()) for minutes in (1, 10)]
    assert 1 <= epochs[0] < epochs[1]


def test_a_time_for_not_even_one_epoch_is_an_error():
    with pytest.raises(UsageError, match=r"^minutes is 1e-06, and one epoch takes about 0\.\d; give more, smaller"):
        epochs_within(1e-6, mlp(), load("synthetic"), RECIPE, loss=CrossEntropy())


@pytest.mark.long
def test_the_network_can_be_compiled_and_trained_afterwards():
    model = mlp()
    epochs_within(1, model, load("synthetic"), RECIPE, loss=CrossEntropy())
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    train = load("synthetic").train
    model.fit(train.images[:64] / 255, train.labels[:64], verbose=0)


def test_as_many_epochs_fit_as_hand_arithmetic_says(monkeypatch):
    data = load("synthetic")
    trained, validated = len(data.train) // 32 * 32, len(data.validation)
    monkeypatch.setattr(duration, "seconds_per_step", lambda *arguments: 0.5)
    # a forward pass, which is all that validation takes, is a third of a training step
    seconds = (trained + validated / 3) / 32 * 0.5
    for epochs in (1, 7.6):
        found = epochs_within((epochs * seconds + 0.5) / 60, None, data, RECIPE, loss=None)
        assert found == int(epochs)
    monkeypatch.setattr(duration, "seconds_per_step", lambda *arguments: time.sleep(1) or 0.5)
    assert epochs_within((2 * seconds + 0.5) / 60, None, data, RECIPE, loss=None) == 1  # the measurement took a second
