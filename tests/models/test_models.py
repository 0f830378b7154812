"""The contract of a model builder, for every row of the catalogue."""

import functools
import gc
import math
import re

import keras
import numpy as np
import pytest

from kerascnn.analysis.memory import activation_peak
from kerascnn.analysis.summary import symbolic_model
from kerascnn.model_names import NETWORKS
from kerascnn.models import MODELS, builder, mlp
from tests.catalogue import CATALOGUE, SMALL, family

SEGMENTATION = {name for name in MODELS if family(name) == "unet"}
GLOBALLY_POOLED = (
    "googlenet",
    "googlenet_bn",
    "inception_v4",
    "plain18",
    "plain20",
    "resnet18",
    "resnet20_b",
    "se_resnet18",
    "se_resnet20",
    "senet154",
)

# of a hundred layers and more: the same skeletons as the others
DEEP = re.compile(r".*(101|110|152|154)(_.*)?")
every_row = pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=row.name, marks=pytest.mark.long if DEEP.fullmatch(row.name) else ()) for row in CATALOGUE],
)
SMALLEST = {
    min((row for row in CATALOGUE if family(row.name) == one), key=lambda row: row.parameters).name
    for one in map(family, MODELS)
}


def rows_run(rows, slow=()):
    """The smallest of each family are run, unless they have millions of weights; those and others under `slow`."""
    quick = [row.name in SMALLEST - {*slow} and row.parameters < 2_000_000 for row in rows]
    marked = [
        pytest.param(row, id=row.name, marks=() if fast else pytest.mark.slow)
        for row, fast in zip(rows, quick, strict=True)
    ]
    return pytest.mark.parametrize("row", marked)


every_row_run = rows_run(CATALOGUE)
LEARNING = SMALLEST - {"inception_v4"}  # which takes minutes
every_family_run = rows_run([row for row in CATALOGUE if row.name in LEARNING], slow=["resnet20"])


blueprint = functools.cache(symbolic_model)


def small(row):
    """The network for a small input and at most ten classes."""
    return builder(row.name)(SMALL.get(row.name, SMALL[family(row.name)]), min(row.classes, 10))


# What the sources print for each layer with trainable parameters.
COUNTS_BY_LAYER = {
    "five_layer_cnn": [104, 808, 1_548, 117_800, 2_010],
    "lenet5": [156, 2_416, 48_120, 10_164, 850],
    # C3: six channels see 3, nine see 4, one sees 6: 6*(25*3+1) + 9*(25*4+1) + 1*(25*6+1).
    "lenet5_1998": [156, 12, 1_516, 32, 48_120, 10_164],
    "lenet_homework": [608, 3_216, 48_120, 10_164, 850],
}


def count(weights):
    return sum(math.prod(weight.shape) for weight in weights)


def images(model, number):
    return np.random.default_rng(1).random((number, *model.input_shape[1:]), dtype=np.float32)


def labels(model, number):
    """A class for each image, or for each pixel; for every head the same."""

    def of(output):
        classes = output.shape[-1]
        by_image = np.arange(number) % max(classes, 2)
        if len(output.shape) == 2:
            return by_image
        return np.broadcast_to(by_image[:, None, None, None], (number, *output.shape[1:3], 1)).astype(np.float32)

    return (
        {name: of(head) for name, head in model.output.items()} if isinstance(model.output, dict) else of(model.output)
    )


def compiled(model, optimizer):
    heads = list(model.output) if isinstance(model.output, dict) else None
    binary = not heads and model.output_shape[-1] == 1
    kind = keras.losses.BinaryCrossentropy if binary else keras.losses.SparseCategoricalCrossentropy
    loss = dict.fromkeys(heads, kind(from_logits=True)) if heads else kind(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, jit_compile=False)
    return model


@pytest.fixture(autouse=True)
def _fixed_seed():
    keras.utils.set_random_seed(1)


@pytest.fixture(autouse=True)
def _no_network_is_kept(request):
    """Keras keeps traced functions, and what is garbage waits: hundreds of networks took 13 GiB."""
    yield
    if request.node.get_closest_marker("slow"):
        keras.utils.clear_session()
        gc.collect()


@pytest.fixture(params=["mixed_bfloat16", "mixed_float16"])
def _mixed_precision(request):
    keras.config.set_dtype_policy(request.param)
    yield
    keras.config.set_dtype_policy("float32")


def test_catalogue_names_and_builders_agree():
    published = {name: (network.input_shape, network.parameters) for name, network in NETWORKS.items()}
    assert published == {row.name: (row.input_shape, row.parameters) for row in CATALOGUE}
    assert [(name, build.__name__) for name, build in MODELS.items()] == [(name, name) for name in NETWORKS]


@every_row
def test_defaults_give_the_published_count(row):
    assert count(blueprint(row.name).trainable_weights) == row.parameters
    stated = f"{NETWORKS[row.name].title}, {row.parameters:,} trainable parameters"
    assert builder(row.name).__doc__.startswith(stated)
    assert blueprint(row.name).input_shape[1:] == row.input_shape


@every_row
def test_what_it_keeps_in_training_is_known(row):
    """Else no command could say whether a training fits into memory."""
    assert activation_peak(blueprint(row.name)) >= 4 * math.prod(row.input_shape)


@pytest.mark.parametrize("name", COUNTS_BY_LAYER)
def test_every_layer_has_its_published_count(name):
    layers = builder(name)().layers
    assert [count(layer.trainable_weights) for layer in layers if layer.trainable_weights] == COUNTS_BY_LAYER[name]


@pytest.mark.parametrize(("hidden", "parameters"), [(300, 238_510), (1000, 795_010)])
def test_mlp_has_both_widths_of_the_paper(hidden, parameters):
    assert count(mlp(hidden=hidden).trainable_weights) == parameters


@every_row
def test_names_and_shapes_keep_the_contract(row):
    model = blueprint(row.name)
    assert model.name == row.name
    assert not model.compiled
    assert model.input_shape == (None, *row.input_shape)
    assert [(tensor.name, tensor.dtype) for tensor in model.inputs] == [("image", "float32")]
    heads = model.output if isinstance(model.output, dict) else {"logits": model.output}
    assert sorted(heads) == (["aux1_logits", "aux2_logits", "logits"] if row.name == "googlenet_aux" else ["logits"])
    for name, output in heads.items():
        assert (output.shape[0], output.shape[-1], output.dtype) == (None, row.classes, "float32")
        assert len(output.shape) == (4 if row.name in SEGMENTATION else 2)
        assert getattr(model.get_layer(name), "activation", None) in (None, keras.activations.linear)
    if row.name not in SEGMENTATION:
        assert len(model.get_layer("embedding").output.shape) == 2
    elif row.name != "unet_2015":
        assert model.output_shape == (None, *row.input_shape[:2], row.classes)


@pytest.mark.parametrize("name", sorted(SMALLEST))
def test_the_number_of_classes_is_that_of_the_logits(name):
    assert symbolic_model(name, blueprint(name).input_shape[1:], 7).output_shape[-1] == 7


@pytest.mark.parametrize("name", GLOBALLY_POOLED)
def test_globally_pooled_networks_take_any_size(name):
    model = symbolic_model(name, (None, None, 3), 7)
    assert model.output_shape == (None, 7)
    assert model.input_shape == (None, None, None, 3)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("alexnet", {"conv1": 55, "pool1": 27, "conv2": 27, "pool2": 13, "conv5": 13, "pool5": 6}),
        ("zfnet", {"conv1": 110, "pool1": 55, "conv2": 26, "pool2": 13, "conv5": 13, "pool5": 6}),
        ("googlenet", {"conv1": 112, "pool1": 56, "pool2": 28, "pool3": 14, "pool4": 7, "inception5b_output": 7}),
        ("inception_v4", {"stem_c_output": 35, "reduction_a_output": 17, "reduction_b_output": 8}),
        ("resnet50", {"stem_conv": 112, "pool": 56, "stage2_block1_add": 28, "stage4_block3_add": 7}),
        pytest.param(
            "senet154",
            {"stem_conv3": 112, "pool": 56, "stage2_block1_add": 28, "stage4_block3_add": 7},
            marks=pytest.mark.long,
        ),
        ("vgg16", {"stage1_pool": 112, "stage3_pool": 28, "stage5_pool": 7}),
        ("resnet20", {"stage1_block3_add": 32, "stage2_block1_add": 16, "stage3_block3_add": 8}),
    ],
)
def test_feature_maps_are_as_large_as_the_paper_says(name, sizes):
    model = blueprint(name)
    assert {layer: model.get_layer(layer).output.shape[1] for layer in sizes} == sizes


@pytest.mark.parametrize("name", ["alexnet", pytest.param("zfnet", marks=pytest.mark.long), "vgg_digits", "resnet20"])
def test_a_seed_fixes_the_weights_and_every_layer_draws_its_own(name):
    def kernels():
        keras.utils.set_random_seed(1)
        shape = SMALL.get(name, SMALL[family(name)])
        return [np.ravel(layer.kernel)[:100] for layer in builder(name)(shape, 10).layers if hasattr(layer, "kernel")]

    first, second = kernels(), kernels()
    np.testing.assert_array_equal(first, second)
    assert len({tuple(kernel) for kernel in first}) == len(first)


def test_normalize_takes_a_scale_and_an_offset_for_each_channel(tmp_path):
    model = builder("resnet20")()
    normalize = model.get_layer("normalize")
    normalize.scale, normalize.offset = [2.0, 4.0, 8.0], [1.0, -1.0, 0.5]
    x = np.array([[[[0.0, 0.5, 1.0]]]], np.float32)
    np.testing.assert_array_equal(normalize(x), [[[[1.0, 1.0, 8.5]]]])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.get_layer("normalize")(x), [[[[1.0, 1.0, 8.5]]]])


@pytest.mark.parametrize("name", ["alexnet", "alexnet_2014", "zfnet"])
def test_networks_of_small_weights_see_pixels_as_large_as_those_of_their_papers(name):
    normalize = blueprint(name).get_layer("normalize")
    np.testing.assert_array_equal(normalize(np.array([0.0, 0.5, 1.0], np.float32)), [-127.5, 0, 127.5])


def test_two_models_of_one_builder_stand_side_by_side_under_names_of_their_own():
    one, other = mlp(), mlp()
    image = keras.Input(one.input_shape[1:])
    with pytest.raises(ValueError, match='The name "mlp" is used 2 times'):
        keras.Model(image, [one(image), other(image)])
    other.name = "b"
    assert [layer.name for layer in keras.Model(image, [one(image), other(image)]).layers[1:]] == ["mlp", "b"]


@every_row
def test_normalize_has_no_weights_and_comes_before_every_weight(row):
    layers = blueprint(row.name).layers
    names = [layer.name for layer in layers]
    assert not any(layer.weights for layer in layers[: names.index("normalize") + 1])


@every_row
def test_a_wrong_input_shape_raises_with_the_smallest_size(row):
    build = builder(row.name)
    for shape in [(0, 0, row.input_shape[-1]), row.input_shape[:2], (*row.input_shape[:2], 0)]:
        with pytest.raises(
            ValueError, match=rf"^input_shape is .*, which does not fit {row.name}; use .* at least \d+ x \d+ pix"
        ):
            build(shape)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *(("simple_cnn", 10), ("lenet5", 12), ("lenet5_1998", 12), ("lenet_homework", 16), ("vgg_digits", 12)),
        *(("convnetjs", 8), ("alexnet", 67), ("alexnet_2014", 63), ("zfnet", 63), ("vgg11", 32), ("inception_v4", 75)),
        *(("googlenet", 31), ("googlenet_bn", 15), ("se_resnet18", 3)),
        pytest.param("senet154", 3, marks=pytest.mark.long),
    ],
)
@pytest.mark.long
def test_the_smallest_size_that_is_named_is_the_smallest_that_works(name, size):
    channels = blueprint(name).input_shape[-1]
    assert symbolic_model(name, (size, size, channels), 7).output_shape == (None, 7)
    with pytest.raises(ValueError, match=f"at least {size} x {size} pixels"):
        builder(name)((size, size - 1, channels))
    if name not in GLOBALLY_POOLED:
        with pytest.raises(ValueError, match=r"\(None, None, \d\), which does not fit"):
            builder(name)((None, None, channels))


@every_row_run
def test_two_images_give_finite_float32_logits(row):
    model = small(row)
    outputs = model(images(model, 2))
    for logits in outputs.values() if isinstance(outputs, dict) else [outputs]:
        assert logits.shape == (2, *logits.shape[1:])
        assert logits.dtype == np.float32
        assert np.isfinite(logits).all()
        assert not np.array_equal(logits[0], logits[1])


@every_row_run
def test_one_gradient_step_reaches_every_trainable_weight(row):
    model = compiled(small(row), keras.optimizers.SGD(0.01))
    before = [weight.numpy() for weight in model.trainable_weights]
    model.train_on_batch(images(model, 8), labels(model, 8))
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert not np.array_equal(weight.numpy(), old), weight.path


@every_row_run
def test_saved_and_reloaded_it_gives_the_same_logits(row, tmp_path):
    model = small(row)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = images(model, 2)
    for one, other in zip(keras.tree.flatten(again(x)), keras.tree.flatten(model(x)), strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]


@pytest.mark.slow
@every_family_run
def test_one_batch_of_16_can_be_overfit(row):
    # without shortcuts a deep network goes astray in larger steps, and so do those that drop half of 4,096 features
    careful = row.name in ("plain18", "alexnet", "zfnet")
    model = compiled(small(row), keras.optimizers.Adam(1e-4 if careful else 1e-3))
    x, y = images(model, 16), labels(model, 16)
    for _ in range(400):
        # The second condition waits for the moving averages of batch normalization.
        if model.train_on_batch(x, y) < 0.05 and model.test_on_batch(x, y) < 0.1:
            break
    logits = model(x).numpy()
    np.testing.assert_array_equal(logits > 0 if logits.shape[-1] == 1 else np.argmax(logits, -1), y)


@every_row_run
@pytest.mark.usefixtures("_mixed_precision")
def test_logits_are_float32_under_mixed_precision(row):
    model = small(row)
    assert {layer.compute_dtype for layer in model.layers if layer.weights} > {"float32"}
    # by the statistics of an untrained network, the feature maps of 50 blocks grow beyond what float16 holds
    deep = row.name in ("resnet152", "resnet152_v1_5", "resnet110", "resnet110_b")
    by_batch = deep and keras.config.dtype_policy().name == "mixed_float16"
    for logits in keras.tree.flatten(model(images(model, 2), training=by_batch)):
        assert logits.dtype == "float32"
        assert np.isfinite(logits.numpy()).all()
