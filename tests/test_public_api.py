"""Every public name has documentation with an example, and the examples run, one after the other, as in a notebook."""

import inspect
import re
import textwrap
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

import kerascnn as kc
from kerascnn.errors import InputError
from tests.pretrained.test_load_weights import lenet_arrays

AUGMENTATIONS = [name for name in kc.augmentation.__all__ if inspect.isclass(getattr(kc.augmentation, name))]

FUNCTIONS = {
    "datasets.load": kc.datasets.load,
    "datasets.colour_covariance": kc.datasets.colour_covariance,
    "datasets.from_arrays": kc.datasets.from_arrays,
    "datasets.image_folder": kc.datasets.image_folder,
    "datasets.image_records": kc.datasets.image_records,
    "datasets.image_table": kc.datasets.image_table,
    "Recipe": kc.Recipe,
    "batches": kc.batches,
    "callbacks.Resumable": kc.callbacks.Resumable,
    **{f"augmentation.{name}": getattr(kc.augmentation, name) for name in AUGMENTATIONS},
    "fit": kc.fit,
    "evaluate": kc.evaluate,
    "calibrate": kc.calibrate,
    "export": kc.export,
    "load_model": kc.load_model,
    "load_predictor": kc.load_predictor,
    "load_weights": kc.load_weights,
}


def example(value):
    """The indented lines of code in a docstring."""
    blocks = re.findall(r"(?:^ {4,}\S.*\n(?:\s*\n(?= {4}))*)+", inspect.cleandoc(value.__doc__) + "\n", re.MULTILINE)
    return textwrap.dedent("".join(blocks))


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """The names that the examples take for granted, in a folder with photos and a trained, exported run."""
    monkeypatch.chdir(tmp_path)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(10):
            cv2.imwrite(f"photos/{name}/{number}.png", np.full((30, 30, 3), 20 * number, np.uint8))
    cv2.imwrite("a.png", np.full((28, 28, 3), 200, np.uint8))
    data = kc.datasets.load("synthetic")
    model = kc.models.lenet5((28, 28, 1), 10)
    return {
        "kc": kc,
        "keras": keras,
        "np": np,
        "data": data,
        "model": model,
        "png_bytes": (tmp_path / "a.png").read_bytes(),
    }


def test_every_public_function_has_an_example():
    lazy = {name for name in kc.LAZY if inspect.isfunction(getattr(kc, name)) or inspect.isclass(getattr(kc, name))}
    assert lazy | {"fit", "evaluate", "export"} <= set(FUNCTIONS)
    for name, value in FUNCTIONS.items():
        assert "kc." in example(value), name


@pytest.mark.parametrize(
    "name",
    ["Recipe", "batches", "datasets.from_arrays", "datasets.load", *(f"augmentation.{name}" for name in AUGMENTATIONS)],
)
def test_its_example_runs(name, notebook):
    exec(example(FUNCTIONS[name]), notebook)


@pytest.mark.long
def test_the_examples_of_a_run_go_together(notebook):
    exec(example(kc.datasets.image_folder).replace("224, 224", "28, 28"), {**notebook})
    exec(example(kc.datasets.colour_covariance), {**notebook})
    rows = [f"photos/{name}/{number}.png,{name}\n" for name in ("cat", "dog") for number in range(10)]
    Path("labels.csv").write_text("".join(["file,label\n", *rows]))
    exec(example(kc.datasets.image_table).replace("224, 224", "28, 28"), {**notebook})
    exec(example(kc.fit), {**notebook})
    exec(example(kc.evaluate), notebook)
    exec(example(kc.calibrate), notebook)
    exec(example(kc.load_model), notebook)
    names = example(kc.export).replace('["cat", "dog"]', "data.class_names")
    exec(names, notebook)
    exec(example(kc.load_predictor), {**notebook, "array": np.zeros((28, 28, 1), np.uint8)})


def test_the_example_of_weights_runs_with_a_smaller_network(notebook):
    np.savez("lenet5.npz", **lenet_arrays())
    lines = example(kc.load_weights).replace("resnet50_v1_5((None, None, 3), 10)", "lenet5()")
    exec(lines.replace("resnet50-0676ba61.pth", "lenet5.npz"), notebook)


@pytest.mark.long
def test_plain_model_fit_as_the_documentation_writes_it(notebook):
    exec(example(kc.callbacks.Resumable), notebook)
    assert notebook["resumable"].epoch == 5


@pytest.mark.parametrize("data", [np.zeros((4, 28, 28, 1)), (np.zeros((4, 28, 28, 1)), np.zeros(4))])
def test_bare_arrays_are_an_error_that_names_the_way(data, tmp_path):
    with pytest.raises(
        ValueError, match=r"^data is ndarray without labels; give what kc.datasets.from_arrays\(x, y\) returns, or a tf"
    ):
        kc.fit(kc.models.lenet5(), data, folder=tmp_path)
    model = kc.models.lenet5()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"^data is ndarray; give what kc.datasets.from_arrays\(x, y\) returns"):
        kc.fit(model, data, folder=tmp_path)


X, Y = np.zeros((40, 28, 28, 1), np.uint8), np.arange(40) % 10
MASKED = kc.datasets.from_arrays(np.zeros((40, 16, 16, 3), np.uint8), np.ones((40, 16, 16, 1), np.uint8))


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("recipe", lambda: kc.fit(kc.models.mlp(), kc.datasets.from_arrays(X, Y), {"epochs": 1}, folder="x")),
        ("seed", lambda: kc.datasets.from_arrays(X, Y, seed=-1)),
        ("validation", lambda: kc.datasets.from_arrays(X, Y, validation=0.6, test=0.6)),
        ("seed", lambda: kc.batches(MASKED.train, 8, seed=None)),
        ("alike", lambda: kc.batches(MASKED.train, 8, alike=True)),
        ("num_classes", lambda: kc.models.lenet5((28, 28, 1), 0)),
        ("num_classes", lambda: kc.models.unet((32, 32, 3), 1.5)),
        ("image_size", lambda: kc.datasets.image_folder(".", image_size=(16.5, 16))),
        ("examples", lambda: kc.calibrate(kc.models.mlp(), kc.datasets.from_arrays(X, Y))),
        ("preprocessing", lambda: kc.export(kc.models.unet((32, 32, 3), 1), "x", preprocessing=len)),
        ("class_names", lambda: kc.export(kc.models.unet((32, 32, 3), 1), "x", class_names=["a"])),
    ],
)
def test_what_an_argument_cannot_be_is_one_line_that_begins_with_it(argument, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"^{argument} is ") as caught:
        call()
    assert caught.value.argument == argument
    assert len(str(caught.value).splitlines()) == 1


def ending_in_softmax(loss):
    layers = [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")]
    model = keras.Sequential(layers, name="ending")
    model.compile("sgd", loss)
    return model


@pytest.mark.parametrize(
    "call", [lambda model, data: kc.evaluate(model, data.test), lambda model, _: kc.export(model, "x")]
)
def test_a_model_of_probabilities_is_neither_scored_nor_exported_as_one_of_logits(call):
    model, data = ending_in_softmax("sparse_categorical_crossentropy"), kc.datasets.load("synthetic")
    with pytest.raises(
        ValueError, match="^model ending ends in an activation, and logits are wanted; leave it out, and"
    ):
        call(model, data)


def test_models_that_cannot_be_exported_are_an_error(tmp_path):
    class Own(keras.Model):
        pass

    with pytest.raises(
        ValueError, match=r"^model own has no input and output of its own; build it as keras.Model\(inp"
    ):
        kc.export(Own(name="own"), tmp_path)
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(image)
    two = keras.Model(image, [keras.layers.Dense(2)(x), keras.layers.Dense(2)(x)], name="two")
    with pytest.raises(
        ValueError, match=r"^model two has 2 outputs, none of them called logits; give keras.Model\(mod"
    ):
        kc.export(two, tmp_path)


def test_the_whole_data_set_has_no_covariance_and_augmentations_are_a_list():
    data = kc.datasets.load("synthetic")
    with pytest.raises(kc.errors.UsageError, match="^examples is Dataset; give a split of a Dataset, as data.train$"):
        kc.datasets.colour_covariance(data)
    with pytest.raises(kc.errors.UsageError, match="^augmentations is HorizontalFlip.*; give it in a list$"):
        kc.batches(data.train, 32, augmentations=kc.augmentation.HorizontalFlip())


def test_the_whole_data_set_is_not_scored():
    with pytest.raises(
        ValueError, match="^data is the whole data set synthetic; give one of its splits, as data.test$"
    ):
        kc.evaluate(kc.models.lenet5(), kc.datasets.load("synthetic"))


@keras.saving.register_keras_serializable("test")
class Known(keras.layers.Layer):
    def call(self, x):
        return x


def test_a_layer_that_keras_does_not_know_is_not_called_damage(tmp_path):
    image = keras.Input((8,))
    keras.Model(image, Known()(image)).save(tmp_path / "model.keras")
    objects = keras.saving.get_custom_objects()
    (name,) = [name for name, value in objects.items() if value is Known]
    objects.pop(name)
    with pytest.raises(InputError, match=r"model.keras holds what Keras does not know \(.*\); import the module"):
        kc.load_model(tmp_path)


@pytest.mark.slow
def test_the_page_about_the_library_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[1] / "docs" / "library.md").read_text()
    # a smaller network is traced in less time
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)).replace("resnet20", "mlp")
    exec(code, {})
    assert (tmp_path / "runs" / "mine" / "1" / "saved_model.pb").is_file()
    assert (tmp_path / "runs" / "plain" / "history.csv").is_file()


@pytest.mark.long
def test_the_lines_on_the_first_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[1] / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(code.replace("resnet20", "mlp"), {})
    assert (tmp_path / "runs" / "mine" / "1" / "saved_model.pb").is_file()
