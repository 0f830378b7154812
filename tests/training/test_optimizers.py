import math
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from kerascnn.training.optimizers import create_optimizer, learning_rate
from kerascnn.training.recipe import Recipe
from kerascnn.training.run import Run

RECIPE = Recipe(epochs=10, learning_rate=0.8)


def rates(recipe, steps):
    schedule = learning_rate(recipe, 10)
    return [float(schedule(step)) for step in steps]


def test_cosine_falls_from_the_peak_to_zero():
    expected = [0.8 * (1 + math.cos(math.pi * step / 100)) / 2 for step in (0, 25, 50, 100)]
    np.testing.assert_allclose(rates(RECIPE, [0, 25, 50, 100]), expected, atol=1e-6)


def test_linear_falls_from_the_peak_to_zero():
    np.testing.assert_allclose(rates(replace(RECIPE, schedule="linear"), [0, 25, 100]), [0.8, 0.6, 0], atol=1e-6)


def test_warm_up_rises_linearly_to_the_schedule():
    recipe = replace(RECIPE, schedule="constant", warmup_epochs=2)
    np.testing.assert_allclose(rates(recipe, [0, 9, 19, 50]), [0.04, 0.4, 0.8, 0.8], rtol=1e-6)


def test_step_decay_multiplies_every_few_epochs():
    recipe = replace(RECIPE, schedule="step", decay_every=4, decay_factor=0.1)
    np.testing.assert_allclose(rates(recipe, [0, 39, 40, 79, 80]), [0.8, 0.8, 0.08, 0.08, 0.008], rtol=1e-5)


def test_step_decay_takes_epochs_of_its_own():
    # He et al. 2015, section 4.2: after 32,000 and 48,000 of 64,000 steps
    recipe = replace(RECIPE, epochs=64, schedule="step", decay_epochs=(32, 48))
    np.testing.assert_allclose(rates(recipe, [319, 320, 479, 480, 639]), [0.8, 0.08, 0.08, 0.008, 0.008], rtol=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "muon"])
def test_whole_numbers_are_numbers(optimizer):
    recipe = replace(RECIPE, optimizer=optimizer, learning_rate=1, momentum=0, schedule="plateau")
    assert float(create_optimizer(recipe, 10).learning_rate) == 1


@pytest.mark.parametrize("nesterov", [True, False])
def test_coupled_weight_decay_is_the_formula_of_the_alexnet_paper(nesterov):
    # section 5: v <- 0.9 v - 0.0005 e w - e g, w <- w + v; with Nesterov's step w <- w + 0.9 v - 0.0005 e w - e g
    recipe = replace(RECIPE, optimizer="sgd", schedule="constant", learning_rate=0.01, weight_decay=5e-4)
    optimizer = create_optimizer(replace(recipe, coupled_weight_decay=True, nesterov=nesterov), 10)
    weights = [keras.Variable([2.0], name=name) for name in ("kernel", "bias")]
    optimizer.build(weights)
    expected, velocity = [2.0, 2.0], [0.0, 0.0]
    for gradient in (1.0, -3.0, 0.5):
        optimizer.apply([keras.ops.convert_to_tensor([gradient])] * 2)
        for i, decay in enumerate((5e-4, 0.0)):
            step = -0.01 * (gradient + decay * expected[i])
            velocity[i] = 0.9 * velocity[i] + step
            expected[i] += 0.9 * velocity[i] + step if nesterov else velocity[i]
    np.testing.assert_allclose([float(weight.numpy()[0]) for weight in weights], expected, rtol=1e-6)


@pytest.mark.parametrize("recipe", [replace(RECIPE, schedule="step"), replace(RECIPE, schedule="constant")])
def test_without_a_decay_the_rate_stays_as_it_is(recipe):
    assert (recipe.epochs, recipe.decay_every) == (10, 10)
    np.testing.assert_allclose(rates(recipe, [0, 50, 99]), 0.8, rtol=1e-6)


def test_plateau_starts_from_a_plain_number():
    assert learning_rate(replace(RECIPE, schedule="plateau"), 10) == 0.8


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "adagrad", "rmsprop", "muon"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_every_optimizer_moves_a_weight_downhill(name, weight_decay):
    optimizer = create_optimizer(replace(RECIPE, optimizer=name, learning_rate=0.01, weight_decay=weight_decay), 10)
    assert type(optimizer).__name__.lower() == name
    weight = keras.Variable([1.0])
    optimizer.build([weight])
    optimizer.apply([keras.ops.convert_to_tensor([1.0])])
    assert float(weight.numpy()[0]) < 1.0


def test_weight_decay_leaves_biases_and_normalization_alone():
    optimizer = create_optimizer(replace(RECIPE, optimizer="sgd", schedule="constant", weight_decay=0.5), 10)
    weights = [keras.Variable([1.0], name=name) for name in ("kernel", "bias", "gamma", "beta")]
    optimizer.build(weights)
    optimizer.apply([keras.ops.zeros((1,))] * 4)
    # decoupled decay: 1 - 0.8 * 0.5
    np.testing.assert_allclose([w.numpy()[0] for w in weights], [0.6, 1, 1, 1], rtol=1e-6)


def test_gradients_are_clipped_by_their_common_norm():
    recipe = replace(RECIPE, optimizer="sgd", momentum=0.0, schedule="constant", learning_rate=1.0, clip_norm=1.0)
    optimizer = create_optimizer(recipe, 10)
    weights = [keras.Variable([0.0]), keras.Variable([0.0])]
    optimizer.build(weights)
    optimizer.apply([keras.ops.convert_to_tensor([3.0]), keras.ops.convert_to_tensor([4.0])])
    np.testing.assert_allclose([w.numpy()[0] for w in weights], [-0.6, -0.8], rtol=1e-6)


@pytest.mark.parametrize("accumulate", [1, 5])
def test_a_schedule_takes_as_many_epochs_whether_gradients_are_accumulated_or_not(accumulate):
    recipe = replace(RECIPE, schedule="step", decay_every=4, decay_factor=0.5, accumulate=accumulate, optimizer="sgd")
    optimizer = create_optimizer(recipe, 10)
    weight = keras.Variable([1.0])
    optimizer.build([weight])
    rates = []
    for _ in range(10):
        rates.append(float(optimizer.learning_rate))
        for _ in range(10):
            optimizer.apply([keras.ops.zeros((1,))])
    np.testing.assert_allclose(rates, [0.8] * 4 + [0.4] * 4 + [0.2] * 2, rtol=1e-6)


def test_an_average_forgets_as_much_an_update_whether_gradients_are_accumulated_or_not():
    averages = []
    for accumulate in (1, 4):
        recipe = replace(RECIPE, optimizer="sgd", schedule="constant", momentum=0.0, ema=0.5, accumulate=accumulate)
        optimizer = create_optimizer(recipe, 10)
        weight = keras.Variable([1.0])
        optimizer.build([weight])
        for _ in range(2 * accumulate):
            optimizer.apply([keras.ops.convert_to_tensor([0.0])])
        weight.assign([0.0])
        for _ in range(accumulate):
            optimizer.apply([keras.ops.convert_to_tensor([0.0])])
        averages.append(float(optimizer._model_variables_moving_average[0].numpy()[0]))
    # the average began at the weight's own 1; one update of momentum 0.5 after the weight became 0 halves it
    np.testing.assert_allclose(averages, [0.5, 0.5], rtol=1e-5)


def test_a_plateau_of_so_many_epochs_is_waited_for_and_divides_the_rate_by_as_much():
    recipe = replace(RECIPE, schedule="plateau", decay_every=3, decay_factor=0.5)
    (plateau,) = Run(Path(), recipe, None, None).stateful
    image = keras.Input((1,))
    model = keras.Model(image, keras.layers.Dense(1)(image))
    model.compile(keras.optimizers.SGD(1.0))
    plateau.set_model(model)
    plateau.on_train_begin()
    rates = []
    for epoch in range(8):
        plateau.on_epoch_end(epoch, {"val_loss": 1.0})
        rates.append(float(model.optimizer.learning_rate))
    # the first epoch is the best one
    assert rates == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_a_warm_up_takes_half_of_the_run_at_most():
    recipe = replace(RECIPE, epochs=2, schedule="constant", warmup_epochs=5)
    np.testing.assert_allclose(rates(recipe, [0, 4, 9, 19]), [0.08, 0.4, 0.8, 0.8], rtol=1e-6)
