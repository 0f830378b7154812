import keras
import pytest

from kerascnn.classification.losses import CrossEntropy
from kerascnn.datasets import load
from kerascnn.errors import UsageError
from kerascnn.models import mlp
from kerascnn.training.duration import Clock, epochs_within
from kerascnn.training.recipe import Recipe

RECIPE = Recipe(batch_size=32)


def test_the_median_leaves_the_first_call_out_which_compiles():
    clock = Clock()
    clock.times = [0.0, 100.0, 101.0, 103.0, 104.0]
    assert clock.median() == 1.0
    clock.times = [0.0, 100.0]
    assert clock.median() == 100.0


@pytest.mark.long
def test_twice_the_time_has_room_for_about_twice_the_epochs():
    data = load("synthetic")
    epochs = [epochs_within(minutes, mlp(), data, RECIPE, loss=CrossEntropy()) for minutes in (1, 2)]
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
