from dataclasses import replace

import keras
import numpy as np
import pytest

from kerascnn.classification.losses import CrossEntropy
from kerascnn.datasets.synthetic import drawn
from kerascnn.training.fit import fit
from kerascnn.training.muon import Muon, orthogonalized
from kerascnn.training.optimizers import create_optimizer
from kerascnn.training.recipe import Recipe


def step(optimizer, path, value, *gradients):
    """A variable after a step for each gradient. path: the names of its layer and its own."""
    layer, name = path.split("/")
    with keras.name_scope(layer):
        variable = keras.Variable(value.astype(np.float32), name=name)
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient.astype(np.float32))], [variable])
    return variable.numpy()


@pytest.mark.parametrize("shape", [(20, 50), (50, 20), (30, 30)])
def test_an_orthogonalized_matrix_keeps_its_singular_vectors_and_has_values_near_1(shape):
    matrix = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    found = left.T @ orthogonalized(keras.ops.convert_to_tensor(matrix)).numpy() @ right.T
    np.testing.assert_allclose(found - np.diag(np.diag(found)), 0, atol=1e-5)
    large = np.diag(found)[values > values[0] / 3]
    assert 0.6 < large.min() < large.max() < 1.25


def test_the_polynomial_is_that_of_the_published_one_three_times_over():
    # a diagonal matrix stays one: its values go through x -> 3.4445 x - 4.7750 x^3 + 2.0315 x^5
    values = np.array([3.0, 2.0, 1.0])
    expected = values / np.linalg.norm(values)
    for _ in range(3):
        expected = 3.4445 * expected - 4.7750 * expected**3 + 2.0315 * expected**5
    found = orthogonalized(keras.ops.convert_to_tensor(np.diag(values).astype(np.float32)))
    np.testing.assert_allclose(np.diag(found), expected, atol=1e-5)


def test_a_kernel_is_scaled_to_its_norm_and_moved_by_the_same_size_whatever_its_gradient():
    draw = np.random.default_rng(0)
    kernel, gradient = draw.normal(size=(3, 3, 4, 16)), draw.normal(size=(3, 3, 4, 16))
    start = kernel * 4 / np.linalg.norm(kernel)  # sqrt(16)
    moved = [step(Muon(0.1), "conv/kernel", kernel, size * gradient) - start for size in (1, 1e-3)]
    np.testing.assert_allclose(*moved, atol=1e-4)
    values = np.linalg.svd(moved[0].reshape(-1, 16), compute_uv=False)
    assert 0.06 < values.min() < values.max() < 0.125


@pytest.mark.parametrize("momentum", [0.6, 0.9])
def test_a_later_step_is_the_nesterov_momentum_of_all_gradients(momentum):
    draw = np.random.default_rng(0)
    kernel, first, second = (draw.normal(size=(20, 16)).astype(np.float32) for _ in range(3))
    recipe = Recipe(optimizer="muon", learning_rate=0.1, momentum=momentum, schedule="constant")
    found = step(create_optimizer(recipe, 10), "conv/kernel", kernel, first, second)
    # v <- m v + g, and a step along g + m v, from a kernel of norm sqrt(16)
    for gradient in ((1 + momentum) * first, second + momentum * (momentum * first + second)):
        kernel = 4 * kernel / np.linalg.norm(kernel) - 0.1 * orthogonalized(keras.ops.convert_to_tensor(gradient))
    np.testing.assert_allclose(found, kernel, atol=1e-5)


def test_a_recipe_says_the_rates_of_biases_and_output_layers_and_their_decay():
    rates = {"learning_rate": 0.2, "bias_learning_rate": 4.0, "head_learning_rate": 0.1}
    recipe = Recipe(optimizer="muon", schedule="constant", **rates)
    for path, rate, shape in (("conv/bias", 4.0, 3), ("logits/kernel", 0.1, (2, 3))):
        found = step(create_optimizer(recipe, 10), path, np.zeros(shape), np.ones(shape))
        np.testing.assert_allclose(found, -rate * 1.85, rtol=1e-5)
        # decoupled, and times the rate of kernels: 1 - 0.2 * 0.5
        decaying = replace(recipe, weight_decay=0.5)
        found = step(create_optimizer(decaying, 10), path, np.ones(shape), np.zeros(shape))
        np.testing.assert_allclose(found, 0.9, rtol=1e-5)


def test_biases_and_output_layers_take_sgd_with_rates_of_their_own():
    # Nesterov: the first step is (1 + 0.85) times the gradient
    one = np.ones(3)
    found = step(Muon(0.1, bias_multiplier=2.0), "conv/bias", one, one)
    np.testing.assert_allclose(found, 1 - 0.1 * 2 * 1.85, rtol=1e-5)
    found = step(Muon(0.1, head_multiplier=3.0), "logits/kernel", np.ones((2, 3)), np.ones((2, 3)))
    np.testing.assert_allclose(found, 1 - 0.1 * 3 * 1.85, rtol=1e-5)


def test_output_layers_are_known_whatever_their_names(tmp_path):
    image = keras.Input((28, 28, 1))
    hidden = keras.layers.Dense(16, activation="relu")(keras.layers.Flatten()(image))
    answers = keras.layers.Dense(10, name="answers")(hidden) / 16.0
    model = keras.Model(image, keras.layers.Rescaling(1.0, dtype="float32")(answers))
    examples = drawn(64, 0)
    recipe = Recipe(epochs=1, batch_size=32, optimizer="muon", head_learning_rate=0.0, bias_learning_rate=0.0)
    head, first = model.get_layer("answers").kernel.numpy(), model.layers[2].kernel.numpy()
    fit(model, (examples, None), recipe, folder=tmp_path, loss=CrossEntropy())
    np.testing.assert_array_equal(model.get_layer("answers").kernel, head)
    assert not np.array_equal(model.layers[2].kernel, first)


def test_its_configuration_makes_it_again():
    optimizer = Muon(0.2, momentum=0.7, bias_multiplier=2.0, head_multiplier=3.0)
    config = keras.optimizers.serialize(optimizer)
    assert keras.optimizers.deserialize(config).get_config() == optimizer.get_config()
