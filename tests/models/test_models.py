"""The contract of a model builder, for every row of the catalogue."""

import functools
import importlib
import math

import keras
import numpy as np
import pytest

from kerascnn.analysis.summary import symbolic_model
from kerascnn.errors import UsageError
from kerascnn.models import MODELS, builder, unet
from tests.catalogue import CATALOGUE, SMALL

SEGMENTATION = {name for name, family in MODELS.items() if family == "unet"}
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

every_row = pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)
SMALLEST = {
    min((row for row in CATALOGUE if MODELS[row.name] == family), key=lambda row: row.parameters).name
    for family in MODELS.values()
}


def rows_run(rows):
    """The smallest of each family are run, unless they have millions of weights; the others under `slow`."""
    quick = [row.name in SMALLEST and row.parameters < 2_000_000 for row in rows]
    marked = [
        pytest.param(row, id=row.name, marks=() if fast else pytest.mark.slow)
        for row, fast in zip(rows, quick, strict=True)
    ]
    return pytest.mark.parametrize("row", marked)


every_row_run = rows_run(CATALOGUE)
# AlexNet and ZFNet begin with weights of 0.01 and drop half, Inception-v4 takes minutes: too many steps for a test
LEARNING = SMALLEST - {"alexnet", "zfnet", "inception_v4"}
every_family_run = rows_run([row for row in CATALOGUE if row.name in LEARNING])


blueprint = functools.cache(symbolic_model)


def small(row):
    """The network for a small input and at most ten classes."""
    return builder(row.name)(SMALL.get(row.name, SMALL[MODELS[row.name]]), min(row.classes, 10))


# What the sources print for each layer with trainable parameters.
COUNTS_BY_LAYER = {
    "five_layer_cnn": [104, 808, 1_548, 117_800, 2_010],
    "lenet5": [156, 2_416, 48_120, 10_164, 850],
    # C3: six maps see 3 maps, nine see 4, one sees 6: 6*(25*3+1) + 9*(25*4+1) + 1*(25*6+1).
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


@pytest.fixture(params=["mixed_bfloat16", "mixed_float16"])
def _mixed_precision(request):
    keras.config.set_dtype_policy(request.param)
    yield
    keras.config.set_dtype_policy("float32")


def test_catalogue_and_models_hold_the_same_names():
    assert [row.name for row in CATALOGUE] == list(MODELS)


def test_an_unknown_name_is_answered_with_the_near_ones():
    with pytest.raises(UsageError, match=r"^unknown model 'lenet'; choose one of .*lenet5"):
        builder("lenet")


def test_a_name_like_no_other_is_answered_with_all_of_them():
    with pytest.raises(UsageError) as caught:
        builder("0")
    assert all(name in str(caught.value) for name in MODELS)


@every_row
def test_defaults_give_the_published_count(row):
    assert count(blueprint(row.name).trainable_weights) == row.parameters
    assert f"{row.parameters:,} trainable parameters" in builder(row.name).__doc__


@pytest.mark.parametrize("name", COUNTS_BY_LAYER)
def test_every_layer_has_its_published_count(name):
    layers = builder(name)().layers
    assert [count(layer.trainable_weights) for layer in layers if layer.trainable_weights] == COUNTS_BY_LAYER[name]


def test_lenet5_1998_keeps_840_code_values_that_are_not_trained():
    model = builder("lenet5_1998")()
    assert count(model.non_trainable_weights) == 10 * 7 * 12


@pytest.mark.parametrize(("hidden", "parameters"), [(300, 238_510), (1000, 795_010)])
def test_mlp_has_both_widths_of_the_paper(hidden, parameters):
    assert count(builder("mlp")(hidden=hidden).trainable_weights) == parameters


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


def test_unet_2015_has_the_sizes_of_figure_1():
    model = blueprint("unet_2015")
    sizes = [model.get_layer(f"encoder{i}_conv2").output.shape[1] for i in range(1, 5)]
    assert sizes == [568, 280, 136, 64]
    assert model.get_layer("bottom_conv2").output.shape[1:] == (28, 28, 1024)
    assert [model.get_layer(f"decoder{i}_conv2").output.shape[1] for i in (4, 3, 2, 1)] == [52, 100, 196, 388]
    assert model.output_shape == (None, 388, 388, 2)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("alexnet", {"conv1": 55, "pool1": 27, "conv2": 27, "pool2": 13, "conv5": 13, "pool5": 6}),
        ("zfnet", {"conv1": 110, "pool1": 55, "conv2": 26, "pool2": 13, "conv5": 13, "pool5": 6}),
        ("googlenet", {"conv1": 112, "pool1": 56, "pool2": 28, "pool3": 14, "pool4": 7, "inception5b_output": 7}),
        ("inception_v4", {"stem_c_output": 35, "reduction_a_output": 17, "reduction_b_output": 8}),
        ("resnet50", {"stem_conv": 112, "pool": 56, "stage2_block1_add": 28, "stage4_block3_add": 7}),
        ("senet154", {"stem_conv3": 112, "pool": 56, "stage2_block1_add": 28, "stage4_block3_add": 7}),
        ("vgg16", {"stage1_pool": 112, "stage3_pool": 28, "stage5_pool": 7}),
        ("resnet20", {"stage1_block3_add": 32, "stage2_block1_add": 16, "stage3_block3_add": 8}),
    ],
)
def test_maps_are_as_large_as_the_paper_says(name, sizes):
    model = blueprint(name)
    assert {layer: model.get_layer(layer).output.shape[1] for layer in sizes} == sizes


@every_row
def test_normalize_is_fixed_and_comes_before_every_weight(row):
    layers = blueprint(row.name).layers
    names = [layer.name for layer in layers]
    assert not any(layer.weights for layer in layers[: names.index("normalize") + 1])


@every_row
def test_a_wrong_input_shape_is_refused_with_the_smallest_size(row):
    build = builder(row.name)
    for shape in [(0, 0, row.input_shape[-1]), row.input_shape[:2], (*row.input_shape[:2], 0)]:
        with pytest.raises(
            ValueError, match=rf"^input shape .* does not fit {row.name}; use .* at least \d+ x \d+ pix"
        ):
            build(shape)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *(("simple_cnn", 10), ("lenet5", 12), ("lenet5_1998", 12), ("lenet_homework", 16), ("vgg_digits", 12)),
        *(("convnetjs", 8), ("alexnet", 67), ("alexnet_2014", 63), ("zfnet", 63), ("vgg11", 32), ("inception_v4", 75)),
        *(("googlenet", 31), ("googlenet_bn", 15), ("se_resnet18", 3), ("senet154", 3)),
    ],
)
def test_the_smallest_size_that_is_named_is_the_smallest_that_works(name, size):
    channels = blueprint(name).input_shape[-1]
    assert symbolic_model(name, (size, size, channels), 7).output_shape == (None, 7)
    with pytest.raises(ValueError, match=f"at least {size} x {size} pixels"):
        builder(name)((size, size - 1, channels))
    if name not in GLOBALLY_POOLED:
        with pytest.raises(ValueError, match=r"\(None, None, \d\) does not fit"):
            builder(name)((None, None, channels))


def test_lenet5_1998_refuses_more_classes_than_it_has_codes():
    with pytest.raises(ValueError, match=r"^lenet5_1998 has codes for 10 classes, not 11; use lenet5 for more$"):
        builder("lenet5_1998")(num_classes=11)


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


@every_family_run
def test_one_batch_of_16_can_be_learnt_by_heart(row):
    # without shortcuts a deep network goes astray in larger steps
    model = compiled(small(row), keras.optimizers.Adam(1e-4 if row.name == "plain18" else 1e-3))
    x, y = images(model, 16), labels(model, 16)
    for _ in range(400):
        # The second condition waits for the moving averages of batch normalisation.
        if model.train_on_batch(x, y) < 0.05 and model.test_on_batch(x, y) < 0.1:
            break
    logits = model(x).numpy()
    np.testing.assert_array_equal(logits > 0 if logits.shape[-1] == 1 else np.argmax(logits, -1), y)


@every_row_run
@pytest.mark.usefixtures("_mixed_precision")
def test_logits_are_float32_under_mixed_precision(row):
    model = small(row)
    assert {layer.compute_dtype for layer in model.layers if layer.weights} > {"float32"}
    # by the statistics of an untrained network, the maps of 50 blocks grow beyond what float16 holds
    deep = row.name in ("resnet152", "resnet152_v1_5", "resnet110", "resnet110_b")
    by_batch = deep and keras.config.dtype_policy().name == "mixed_float16"
    for logits in keras.tree.flatten(model(images(model, 2), training=by_batch)):
        assert logits.dtype == "float32"
        assert np.isfinite(logits.numpy()).all()


def test_lenet5_1998_sees_the_background_of_the_paper_around_the_image():
    model = builder("lenet5_1998")()
    scaled = keras.Model(model.input, model.get_layer("normalize").output)(np.ones((1, 28, 28, 1), np.float32)).numpy()
    inner = np.zeros((32, 32), bool)
    inner[2:30, 2:30] = True
    np.testing.assert_allclose(scaled[0, inner], 1.175, rtol=1e-6)
    np.testing.assert_allclose(scaled[0, ~inner], -0.1, rtol=1e-6)


def test_every_c3_connection_of_lenet5_1998_is_of_table_1():
    connections = importlib.import_module("kerascnn.models.lenet").CONNECTIONS
    rotated = [{(first + step) % 6 for step in steps} for steps in ((0, 1, 2), (0, 1, 2, 3)) for first in range(6)]
    # "every contiguous subset of three", then of four, "some discontinuous subsets of four", then all.
    assert [set(inputs) for inputs in connections[:12]] == rotated
    assert [len(set(inputs)) for inputs in connections[12:]] == [4, 4, 4, 6]
    assert len({frozenset(inputs) for inputs in connections}) == 16
    # Every row of the table has ten crosses.
    assert [sum(i in inputs for inputs in connections) for i in range(6)] == [10] * 6


def test_an_embedding_that_is_the_code_of_a_digit_is_that_digit():
    model = builder("lenet5_1998")()
    codes = model.get_layer("logits").codes.numpy()
    assert set(np.unique(codes)) == {-1, 1}
    logits = model.get_layer("logits")(codes).numpy()
    np.testing.assert_array_equal(np.diag(logits), 0)
    # Codes that differ in d places are 4d apart; at least eight places keep any two digits distinct.
    assert logits[~np.eye(10, dtype=bool)].max() <= -4 * 8


def test_codes_are_bitmaps_of_the_digits():
    codes = builder("lenet5_1998")().get_layer("logits").codes.numpy().reshape(10, 12, 7)
    seven = ["#######", "......#", ".....#.", ".....#.", "....#..", "....#..", "...#...", "...#..."] + ["..#...."] * 4
    assert ["".join("#" if pixel > 0 else "." for pixel in line) for line in codes[7]] == seven


def test_the_reduced_inception_module_costs_a_tenth_of_the_naive_one_in_5x5_convolutions():
    from kerascnn.analysis.summary import multiply_adds
    from kerascnn.models.googlenet import MODULES, inception, naive_inception

    image = keras.Input((28, 28, 192))
    naive = keras.Model(image, naive_inception(image, MODULES["inception3a"], "naive"))
    reduced = keras.Model(image, inception(image, MODULES["inception3a"], "reduced"))
    # Input maps stay when they are only pooled, so that every naive module makes the next one dearer.
    assert naive.output_shape == (None, 28, 28, 64 + 128 + 32 + 192)
    assert reduced.output_shape == (None, 28, 28, 256)
    # Ng's "Deep Learning Specialization", course 4: 120 million multiplications become 12.4 million.
    assert multiply_adds(naive.get_layer("naive_5x5")) == 28 * 28 * 32 * 5 * 5 * 192 == 120_422_400
    parts = [multiply_adds(reduced.get_layer(f"reduced_5x5{end}")) for end in ("_reduce", "")]
    assert parts == [28 * 28 * 192 * 16, 28 * 28 * 16 * 5 * 5 * 32]
    assert sum(parts) == pytest.approx(12.4e6, rel=0.01)


def test_squeeze_and_excitation_scales_each_channel_by_a_gate_of_all_means():
    from kerascnn.models.senet import squeeze_excitation

    image = keras.Input((5, 6, 32))
    model = keras.Model(image, squeeze_excitation(image, "se"))
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 32)).astype(np.float32)
    reduce, excite = (model.get_layer(f"se_{name}") for name in ("reduce", "excite"))
    assert reduce.kernel.shape == (32, 2)
    hidden = np.maximum(x.mean((1, 2)) @ reduce.kernel.numpy() + reduce.bias.numpy(), 0)
    gate = 1 / (1 + np.exp(-(hidden @ excite.kernel.numpy() + excite.bias.numpy())))
    np.testing.assert_allclose(model(x).numpy(), x * gate[:, None, None], atol=1e-5)


def test_a_framed_network_without_padding_labels_every_pixel():
    keras.utils.set_random_seed(0)
    model = unet.framed((96, 96, 3), width=2)
    assert (model.name, model.input.name, model.output_shape) == ("unet_2015", "image", (None, 96, 96, 2))
    # 96 pixels are continued to 284, of which 100 are labelled: 94 mirrored on each side, 2 cut off on each.
    inner = unet.build((284, 284, 3), 2, "inner", width=2, padding="valid", dropout=0.5)
    inner.set_weights(model.get_weights())
    image = np.random.default_rng(0).random((1, 96, 96, 3), np.float32)
    mirrored = np.pad(image, ((0, 0), (94, 94), (94, 94), (0, 0)), mode="reflect")
    np.testing.assert_allclose(model(image), inner(mirrored)[:, 2:-2, 2:-2], atol=1e-5)


def test_a_slice_of_256_pixels_is_framed_as_the_paper_frames_its_tiles():
    model = unet.framed((256, 256, 1), width=1)
    assert model.get_layer("mirrored").output.shape[1:3] == (444, 444)
    assert model.get_layer("labels_beyond").output.shape[1:3] == (260, 260)


def test_unet_buda_has_the_width_that_is_asked_for():
    assert builder("unet_buda")((32, 32, 3), width=8).get_layer("encoder1_conv1").filters == 8
