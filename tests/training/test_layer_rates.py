import keras
import numpy as np
import pytest

from kerascnn.errors import UsageError
from kerascnn.training.fit import fit
from kerascnn.training.layer_rates import factors
from kerascnn.training.optimizers import create_optimizer
from kerascnn.training.recipe import Recipe
from tests.training.runs import TRAIN, VALIDATION, compiled, network, train

RATES = ("dense=0.1", "logits=2")


def stepped(**recipe):
    """The weights 1 of three layers after one step along gradients of 1, by name."""
    optimizer = create_optimizer(Recipe(schedule="constant", learning_rate=0.5, layer_rates=RATES, **recipe), 10)
    layers = [
        keras.layers.Dense(1, kernel_initializer="ones", use_bias=False, name=n) for n in ("a", "dense", "logits")
    ]
    for layer in layers:
        layer.build((None, 1))
    weights = [layer.kernel for layer in layers]
    optimizer.build(weights)
    optimizer.apply([keras.ops.ones((1, 1))] * 3)
    return {layer.name: float(layer.kernel.numpy()[0, 0]) for layer in layers}


@pytest.mark.parametrize(("optimizer", "step"), [("sgd", 0.5), ("adam", 0.5)])
def test_each_layer_steps_at_its_own_rate(optimizer, step):
    # without momentum SGD moves by rate x gradient, and Adam's first step is its rate (Kingma & Ba, section 2.1)
    moved = stepped(optimizer=optimizer, **({"momentum": 0.0} if optimizer == "sgd" else {}))
    assert moved == pytest.approx({"a": 1 - step, "dense": 1 - 0.1 * step, "logits": 1 - 2 * step}, abs=1e-5)


def test_weight_decay_follows_the_rate_of_its_layer():
    # decoupled: (1 - rate * factor * decay) - rate * factor * gradient
    moved = stepped(optimizer="sgd", momentum=0.0, weight_decay=0.2)
    assert moved == pytest.approx({"a": 0.9 - 0.5, "dense": 0.99 - 0.05, "logits": 0.8 - 1}, abs=1e-6)


def test_the_last_name_that_fits_counts_and_a_name_ends_where_a_part_ends():
    paths = ["stage1_block1_conv1/kernel", "stage1_block10_conv1/kernel", "logits/bias"]
    assert factors(paths, ["stage1=0.5", "stage1_block1=0.1"]) == [0.1, 0.5, 1]
    with pytest.raises(
        UsageError, match=r"^layer_rates names 'stage2', and no layer that is trained is called so; the"
    ):
        factors(paths, ["stage2=0.5"])


@pytest.mark.parametrize("text", ["stage1", "stage1=", "=1", "stage1=-1", "stage1=nan", "stage1=inf"])
def test_a_text_that_is_no_rate_is_an_error(text):
    words = f"^layer_rates has '{text}', which is no name and number; write NAME=FACTOR, as stage1=0.1$"
    with pytest.raises(UsageError, match=words):
        Recipe(layer_rates=(text,))


def test_a_name_of_no_layer_is_an_error_before_anything_is_trained(tmp_path):
    with pytest.raises(UsageError, match="^layer_rates names 'conv', and no layer that is trained is called so"):
        train(tmp_path, Recipe(epochs=1, batch_size=32, layer_rates=["conv=0"]))
    assert not (tmp_path / "history.csv").exists()


@pytest.mark.long
@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_a_layer_of_rate_0_stays_as_it_is(optimizer, tmp_path):
    keras.utils.set_random_seed(0)
    drawn = network().get_layer("embedding").kernel.numpy()
    model = train(tmp_path, Recipe(epochs=1, batch_size=32, optimizer=optimizer, layer_rates=["embedding=0"]))
    np.testing.assert_array_equal(model.get_layer("embedding").kernel.numpy(), drawn)


def test_a_compiled_model_has_rates_of_its_own(tmp_path):
    recipe = Recipe(epochs=1, batch_size=32, layer_rates=["embedding=0"])
    with pytest.raises(UsageError, match="^layer_rates is .*, and the model is compiled with an optimizer and a loss"):
        fit(compiled(network()), (TRAIN, VALIDATION), recipe, folder=tmp_path)
