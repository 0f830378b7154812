"""The estimate of memory by hand; benchmarks/memory_estimate.py compares it with real training."""

import keras
import pytest

from kerascnn.analysis.memory import activation_peak, constant_parts, estimate_memory, largest_batch
from kerascnn.analysis.summary import symbolic_model
from kerascnn.errors import UsageError


def dense_chain():
    image = keras.Input((10,))
    hidden = keras.layers.Dense(20, activation="relu", name="hidden")(image)
    return keras.Model(image, keras.layers.Dense(5, name="logits")(hidden))


def test_two_dense_layers_by_hand():
    parts = estimate_memory(dense_chain(), 8, "adam")["parts"]
    weights = 4 * (10 * 20 + 20 + 20 * 5 + 5)
    assert (parts["parameters"], parts["gradients"], parts["optimizer"]) == (weights, weights, 2 * weights)
    # image and hidden are kept; the gradients of hidden and logits are there with both, or those of image and hidden
    # when only the image and hidden's output are needed.
    assert parts["activations"] == 8 * 4 * max(10 + 20 + 20 + 5, 10 + 20 + 10 + 20)


def test_silu_needs_its_input_by_hand():
    image = keras.Input((10,))
    x = keras.layers.Activation("silu")(keras.layers.Dense(20)(image))
    apart = keras.Model(image, keras.layers.Dense(5)(x))
    inside = keras.Model(image, keras.layers.Dense(5)(keras.layers.Dense(20, activation="silu")(image)))
    # image, both sides of the activation, and the gradients of both sides of the last layer
    for model in (apart, inside):
        assert activation_peak(model) == 4 * (10 + 20 + 20 + 5 + 20)


def test_frozen_layers_in_front_keep_nothing():
    model = dense_chain()
    model.get_layer("hidden").trainable = False
    parts = estimate_memory(model, 8, "adam")["parts"]
    assert (parts["parameters"], parts["gradients"]) == (4 * 325, 4 * 105)
    # hidden's output is kept, and the gradients of both sides of logits are there; or the image and hidden's output
    assert parts["activations"] == 8 * 4 * max(20 + 20 + 5, 10 + 20)
    model.get_layer("logits").trainable = False
    assert estimate_memory(model, 8, "adam")["parts"]["activations"] == 8 * 4 * 30


@pytest.mark.parametrize(
    ("optimizer", "slots"), [("sgd", 1), ("adam", 2), ("adamw", 2), ("adagrad", 1), ("rmsprop", 2)]
)
def test_slots_are_those_that_keras_makes(optimizer, slots):
    from kerascnn.training.optimizers import create_optimizer
    from kerascnn.training.recipe import Recipe

    model = dense_chain()
    made = create_optimizer(Recipe(optimizer=optimizer, schedule="constant"), 1)
    made.build(model.trainable_variables)
    extra = [variable.shape for variable in made.variables if len(variable.shape)]
    assert len(extra) == slots * len(model.trainable_variables)
    assert constant_parts(model, optimizer)["optimizer"] == slots * 4 * 325


def test_the_total_is_the_sum_and_grows_by_the_activations():
    model = symbolic_model("vgg11", (64, 64, 3), 10)
    one, nine = (estimate_memory(model, batch, "sgd") for batch in (1, 9))
    assert one["total"] == sum(one["parts"].values())
    assert nine["total"] - one["total"] == 8 * activation_peak(model)


def test_the_largest_batch_fits_and_one_more_does_not():
    model = symbolic_model("resnet20")
    batch = largest_batch(model, "adam", 2**30)
    assert estimate_memory(model, batch, "adam")["total"] <= 2**30 < estimate_memory(model, batch + 1, "adam")["total"]
    assert largest_batch(model, "adam", 10**6) == 0


def test_half_precision_halves_the_activations():
    peaks = {}
    for precision in ("float32", "mixed_bfloat16"):
        keras.config.set_dtype_policy(precision)
        try:
            peaks[precision] = activation_peak(symbolic_model("resnet18", (64, 64, 3), 10))
        finally:
            keras.config.set_dtype_policy("float32")
    assert peaks["mixed_bfloat16"] == pytest.approx(peaks["float32"] / 2, rel=0.01)


def test_a_tensor_that_two_layers_need_is_counted_once():
    image = keras.Input((8, 8, 4))
    one, other = (keras.layers.Conv2D(4, 1, name=name)(image) for name in ("one", "other"))
    model = keras.Model(image, keras.layers.Add()([one, other]))
    size = 8 * 8 * 4 * 4
    # At the gradient of `other`: the image, its gradient, those of both convolutions, and two copies.
    assert activation_peak(model) == 6 * size


def test_an_unknown_layer_raises():
    image = keras.Input((8, 8, 4))
    model = keras.Model(image, keras.layers.UnitNormalization(name="unit")(image))
    words = (
        "^model has a layer unit, a UnitNormalization, and what it keeps for its gradient is not known; "
        "add UnitNormalization to KEPT"
    )
    with pytest.raises(UsageError, match=words):
        estimate_memory(model, 1, "sgd")
