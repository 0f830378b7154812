"""The contract of a model builder, for every row of the catalogue."""

import importlib
import math

import keras
import numpy as np
import pytest

from kerascnn.errors import UsageError
from kerascnn.models import MODELS, builder
from tests.catalogue import CATALOGUE

SMALLEST = {
    min((row for row in CATALOGUE if MODELS.get(row.name) == family), key=lambda row: row.parameters).name
    for family in {MODELS.get(row.name) for row in CATALOGUE}
}

every_row = pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)
# Networks of a million parameters are run only as the smallest of their family, all others under `slow`.
every_row_run = pytest.mark.parametrize(
    "row",
    [
        pytest.param(
            row, id=row.name, marks=() if row.name in SMALLEST or row.parameters < 1_000_000 else pytest.mark.slow
        )
        for row in CATALOGUE
    ],
)

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


def images(row, number):
    return np.random.default_rng(1).random((number, *row.input_shape), dtype=np.float32)


def compiled(model, optimizer):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
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
    build = builder(row.name)
    assert count(build().trainable_weights) == row.parameters
    assert f"{row.parameters:,} trainable parameters" in build.__doc__


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
    model = builder(row.name)(row.input_shape, 7)
    assert model.name == row.name
    assert not model.compiled
    assert model.input_shape == (None, *row.input_shape)
    assert [(tensor.name, tensor.dtype) for tensor in model.inputs] == [("image", "float32")]
    assert model.output_names == ["logits"]
    assert model.output_shape == (None, 7)
    assert model.output.dtype == "float32"
    assert getattr(model.get_layer("logits"), "activation", None) in (None, keras.activations.linear)
    assert len(model.get_layer("embedding").output.shape) == 2


@every_row
def test_normalize_is_fixed_and_comes_before_every_weight(row):
    layers = builder(row.name)().layers
    names = [layer.name for layer in layers]
    assert not any(layer.weights for layer in layers[: names.index("normalize") + 1])


@every_row
def test_a_wrong_input_shape_is_refused_with_the_smallest_size(row):
    build = builder(row.name)
    for shape in [(0, 0, row.input_shape[-1]), row.input_shape[:2]]:
        with pytest.raises(
            ValueError, match=rf"^input shape .* does not fit {row.name}; use .* at least \d+ x \d+ pix"
        ):
            build(shape)


@pytest.mark.parametrize(
    ("name", "size"),
    [("simple_cnn", 10), ("lenet5", 12), ("lenet5_1998", 12), ("lenet_homework", 16), ("vgg_digits", 12)],
)
def test_the_smallest_size_that_is_named_is_the_smallest_that_works(name, size):
    channels = builder(name)().input_shape[-1]
    assert builder(name)((size, size, channels)).output_shape == (None, 10)
    with pytest.raises(ValueError, match=f"at least {size} x {size} pixels"):
        builder(name)((size, size - 1, channels))
    with pytest.raises(ValueError, match=r"\(None, None, \d\) does not fit"):
        builder(name)((None, None, channels))


def test_lenet5_1998_refuses_more_classes_than_it_has_codes():
    with pytest.raises(ValueError, match=r"^lenet5_1998 has codes for 10 classes, not 11; use lenet5 for more$"):
        builder("lenet5_1998")(num_classes=11)


@every_row_run
def test_two_images_give_finite_float32_logits(row):
    logits = keras.ops.convert_to_numpy(builder(row.name)()(images(row, 2)))
    assert logits.shape == (2, row.classes)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    assert not np.array_equal(logits[0], logits[1])


@every_row_run
def test_one_gradient_step_reaches_every_trainable_weight(row):
    model = compiled(builder(row.name)(), keras.optimizers.SGD(0.01))
    before = [weight.numpy() for weight in model.trainable_weights]
    model.train_on_batch(images(row, 8), np.arange(8) % row.classes)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert not np.array_equal(weight.numpy(), old), weight.path


@every_row_run
def test_saved_and_reloaded_it_gives_the_same_logits(row, tmp_path):
    model = builder(row.name)()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = images(row, 2)
    np.testing.assert_array_equal(again(x).numpy(), model(x).numpy())
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]


@every_row_run
def test_one_batch_of_16_can_be_learnt_by_heart(row):
    model = compiled(builder(row.name)(), keras.optimizers.Adam(1e-3))
    x, y = images(row, 16), np.arange(16) % row.classes
    for _ in range(400):
        # The second condition waits for the moving averages of batch normalisation.
        if model.train_on_batch(x, y) < 0.05 and model.test_on_batch(x, y) < 0.1:
            break
    np.testing.assert_array_equal(np.argmax(model(x).numpy(), -1), y)


@every_row_run
@pytest.mark.usefixtures("_mixed_precision")
def test_logits_are_float32_under_mixed_precision(row):
    model = builder(row.name)()
    logits = model(images(row, 2))
    assert model.get_layer("embedding").compute_dtype in ("bfloat16", "float16")
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
