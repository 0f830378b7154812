import keras
import numpy as np
import pytest
from keras import layers

from kerascnn.layers.convolution import GroupedConv2D
from kerascnn.models import builder
from kerascnn.saved_model.folding import averaged, ensemble_of, folded, in_float32


def shaken(model):
    """The model with statistics and scales of batch normalization that are not those of a fresh one."""
    draw = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([draw.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    return model


def norms(model):
    return [layer.name for layer in model.layers if isinstance(layer, layers.BatchNormalization)]


def test_a_folded_scale_and_offset_are_those_of_hand_arithmetic():
    image = keras.Input((1, 1, 1))
    x = layers.Conv2D(1, 1, name="conv")(image)
    model = keras.Model(image, layers.BatchNormalization(epsilon=0.0, name="norm")(x))
    model.get_layer("conv").set_weights([np.full((1, 1, 1, 1), 3.0), np.array([1.0])])
    model.get_layer("norm").set_weights([np.array([v]) for v in (2.0, 5.0, 4.0, 16.0)])
    # gamma 2, beta 5, mean 4, variance 16: (3 x + 1 - 4) * 2 / 4 + 5 = 1.5 x + 3.5
    kernel, bias = folded(model).get_layer("conv").get_weights()
    assert (kernel.item(), bias.item()) == (1.5, 3.5)


@pytest.mark.parametrize(
    ("name", "shape"), [("resnet18", (64, 64, 3)), ("unet_buda", (32, 32, 3)), ("vgg_digits", None)]
)
@pytest.mark.long
def test_a_folded_network_gives_the_same_logits_without_batch_normalization(name, shape):
    model = shaken(builder(name)(*([shape] if shape else [])))
    images = np.random.default_rng(1).random((2, *model.input_shape[1:]), dtype=np.float32)
    before, weights = model(images, training=False).numpy(), model.get_weights()
    small = folded(model)
    assert norms(model)
    assert not norms(small)
    assert (small.name, small.input.name, small.count_params() < model.count_params()) == (model.name, "image", True)
    np.testing.assert_allclose(small(images, training=False), before, rtol=0, atol=1e-5 * np.abs(before).max())
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), weights, strict=True))


def test_a_grouped_convolution_absorbs_its_normalization_too():
    image = keras.Input((8, 8, 4), name="image")
    x = GroupedConv2D(6, 3, 2, use_bias=False, name="conv")(image)
    model = shaken(keras.Model(image, layers.BatchNormalization(scale=False, name="norm")(x)))
    images = np.random.default_rng(1).random((2, 8, 8, 4), dtype=np.float32)
    assert not norms(folded(model))
    np.testing.assert_allclose(folded(model)(images), model(images, training=False), atol=1e-5)


def test_a_normalization_stays_where_no_convolution_can_take_it():
    image = keras.Input((8, 8, 2), name="image")
    shared = layers.Conv2D(2, 1, name="shared")(image)
    active = layers.Conv2D(2, 1, activation="relu", name="active")(image)
    summed = layers.Add(name="sum")([shared, active])
    outputs = [layers.BatchNormalization(name=f"norm_{i}")(x) for i, x in enumerate((shared, active, summed))]
    model = keras.Model(image, outputs)
    assert norms(folded(model)) == norms(model)
    assert folded(model) is model


@pytest.mark.slow
def test_an_average_of_networks_has_the_mean_of_their_logits_folded_or_not():
    models = [shaken(builder("unet_buda")((32, 32, 3), width=2)) for _ in range(3)]
    together = averaged(models)
    images = np.random.default_rng(1).random((2, 32, 32, 3), dtype=np.float32)
    mean = sum(model(images, training=False).numpy() for model in models) / 3
    np.testing.assert_allclose(together(images, training=False), mean, atol=1e-5)
    np.testing.assert_allclose(folded(together)(images, training=False), mean, rtol=1e-4, atol=1e-4)
    assert not [name for member in folded(together).layers if isinstance(member, keras.Model) for name in norms(member)]
    assert together.count_params() == sum(model.count_params() for model in models)


@pytest.mark.long
def test_an_average_of_mixed_precision_computes_in_float32_and_keeps_its_name():
    keras.config.set_dtype_policy("mixed_bfloat16")
    models = [builder("unet")((32, 32, 3), width=2, depth=2) for _ in range(2)]
    keras.config.set_dtype_policy("float32")
    together = averaged(models)
    images = np.random.default_rng(1).random((2, 32, 32, 3), dtype=np.float32)
    logits = [in_float32(model)(images, training=False).numpy() for model in models]
    for model in (together, in_float32(together), folded(together)):
        np.testing.assert_allclose(model(images, training=False), sum(logits) / 2, atol=1e-5)
        assert model.name == "unet"


def test_a_normalization_that_is_used_twice_is_not_folded():
    image = keras.Input((8, 8, 1))
    norm = layers.BatchNormalization()
    x = norm(layers.Conv2D(1, 3)(norm(layers.Conv2D(1, 3)(image))))
    model = shaken(keras.Model(image, layers.Dense(2)(layers.Flatten()(x))))
    images = np.random.default_rng(1).random((2, 8, 8, 1), dtype=np.float32)
    np.testing.assert_allclose(folded(model)(images), model(images), atol=1e-6)


def adapted():
    """A Normalization that knows the statistics of some images, and these images."""
    images = np.random.default_rng(0).normal(50, 9, (6, 8, 8, 3)).astype(np.float32)
    norm = layers.Normalization(name="adapted")
    norm.adapt(images)
    return norm, images


def test_a_normalization_that_was_adapted_keeps_its_statistics():
    norm, images = adapted()
    image = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, name="conv")(norm(image)))
    model = shaken(keras.Model(image, layers.Dense(2)(layers.Flatten()(x))))
    assert not norms(folded(model))
    np.testing.assert_allclose(folded(model)(images), model(images), atol=1e-5)


def test_a_model_inside_of_a_model_computes_in_float32_too():
    norm, images = adapted()
    inner = keras.Input((8, 8, 3))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        base = keras.Model(inner, layers.Conv2D(4, 3, name="conv")(norm(inner)), name="base")
    finally:
        keras.config.set_dtype_policy("float32")
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(base(image))))
    whole = in_float32(model)
    assert {layer.compute_dtype for layer in whole._flatten_layers()} == {"float32"}
    kernel, bias = base.get_layer("conv").get_weights()
    mean, variance = (np.asarray(value).reshape(3) for value in (norm.mean, norm.variance))
    windows = np.lib.stride_tricks.sliding_window_view((images - mean) / np.sqrt(variance), (3, 3), (1, 2))
    by_hand = np.einsum("bhwcij,ijcf->bhwf", windows, kernel) + bias
    np.testing.assert_allclose(whole.get_layer("base")(images), by_hand, rtol=1e-3, atol=1e-4)


def test_a_normalization_of_another_axis_or_another_class_stays():
    class Doubled(layers.BatchNormalization):
        def call(self, inputs, training=None, mask=None):
            return 2 * super().call(inputs, training=training, mask=mask)

    image = keras.Input((8, 8, 3))
    for norm in (layers.BatchNormalization(axis=1), Doubled()):
        model = shaken(keras.Model(image, norm(layers.Conv2D(6, 3)(image))))
        assert folded(model) is model


def test_what_averages_anything_else_than_whole_networks_is_no_ensemble():
    x = np.random.default_rng(0).random((3, 8, 8, 3), np.float32)
    image, inner = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    net = keras.Model(inner, layers.Dense(4)(layers.Flatten()(inner)), name="net")
    flipped = layers.Average(name="logits")([net(image), net(layers.Lambda(lambda y: y[:, :, ::-1])(image))])
    heads = layers.Average(name="logits")([layers.Dense(4)(net(image)), layers.Dense(4)(net(image))])
    for output in (flipped, heads):
        model = keras.Model(image, output)
        assert ensemble_of(model) == []
        np.testing.assert_allclose(folded(in_float32(model))(x), model(x), atol=1e-6)
    assert len(ensemble_of(averaged([net, net]))) == 2


def test_layers_that_cannot_be_made_again_are_shared():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Lambda(lambda x: 2 * x - 1)(image)
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(x))
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x)))
    images = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)
    found = folded(model)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in found.layers)
    np.testing.assert_allclose(found(images), model(images), atol=1e-5)
