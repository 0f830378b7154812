"""recipe.json is read by one reader, which looks at what the program needs of it."""

import dataclasses
import json
from typing import Literal

import pytest

from kerascnn.classification import recipes as images
from kerascnn.classification.recipes import FinetuneRecipe, ImageRecipe
from kerascnn.cli.folders import RUNS, SHIPPED
from kerascnn.digits.recipes import DigitRecipe
from kerascnn.errors import InputError, UsageError
from kerascnn.training.recipe import Recipe, as_json
from kerascnn.training.record import RunSchema, mismatch, read_record, read_record_if_any, rebuilt, recorded_in
from kerascnn.tumors.recipes import TumorRecipe

DATA = {"name": "cifar10", "sha256": "00"}
IMAGES = {"app": "images", "data": DATA, "class_names": ["cat", "dog"], "recipe": as_json(ImageRecipe())}


def write(folder, record):
    (folder / "recipe.json").write_text(json.dumps(record))
    return folder


def without(record, *names):
    return {name: value for name, value in record.items() if name not in names}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": None}, "data is None"),
        ({"data": [1]}, r"data is \[1\]"),
        ({"data": without(DATA, "name")}, "it has no data.name"),
        ({"data": {**DATA, "name": "a\0b"}}, r"data.name is 'a\\x00b'"),
        ({"class_names": ["cat", 5]}, r"class_names\[1\] is 5"),
        ({"class_names": "cat"}, "class_names is 'cat'"),
        ({"split": {"test": ["a", None]}}, r"split.test\[1\] is None"),
        ({"recipe": None}, "recipe: it is None"),
        ({"recipe": as_json(ImageRecipe()) | {"model": 5}}, "recipe: model is 5"),
        ({"recipe": as_json(ImageRecipe()) | {"model": "resnet21"}}, "recipe: model is 'resnet21'.*"),
        ({"recipe": as_json(ImageRecipe()) | {"size_schedule": 5}}, "recipe: size_schedule is 5"),
        ({"recipe": as_json(ImageRecipe()) | {"dbta": "x"}}, "recipe: 'dbta' is no field of FinetuneRecipe"),
        ({"recipe": as_json(ImageRecipe()) | {"training": {"epochs": 0}}}, "recipe: epochs is 0"),
        ({"recipe": as_json(ImageRecipe()) | {"training": "all"}}, "recipe: it is 'all'"),
        ({"recipe": as_json(ImageRecipe()) | {"training": {"layer_rates": [1]}}}, r"recipe: layer_rates is \(1,\)"),
        ({"recipe": as_json(ImageRecipe()) | {"training": {"learning_rate": float("nan")}}}, ".* learning_rate is nan"),
        ({"recipe": as_json(ImageRecipe()) | {"tta": ["flip"]}}, r"recipe: tta is \('flip',\)"),
    ],
)
def test_what_an_app_cannot_use_is_named_with_the_file(changes, words, tmp_path):
    write(tmp_path, IMAGES | changes)
    with pytest.raises(
        InputError, match=rf"^{tmp_path}/recipe.json is damaged \({words}\); restore it or train again$"
    ):
        read_record(tmp_path, images.RUNS)


@pytest.mark.parametrize("text", ["5", "[]", "null", '"recipe"', '{"a": ' * 300 + "1" + "}" * 300])
def test_what_is_no_record_at_all_is_named_whoever_reads_it(text, tmp_path):
    (tmp_path / "recipe.json").write_text(text)
    for schema in (None, images.RUNS):
        with pytest.raises(InputError, match=rf"^{tmp_path}/recipe.json is damaged \(.*\); restore it or train again$"):
            read_record(tmp_path, schema)


@pytest.mark.parametrize(("app", "found"), [("tumors", "tumors"), (None, "no app"), ("", "no app")])
def test_a_run_of_another_app_is_told_apart(app, found, tmp_path):
    write(tmp_path, IMAGES | {"app": app})
    with pytest.raises(InputError, match=f"^{tmp_path} holds a model of {found}, not of images; name another folder$"):
        read_record(tmp_path, images.RUNS)


def test_no_record_is_none_or_an_error_that_says_what_to_do(tmp_path):
    assert read_record_if_any(tmp_path) is None
    with pytest.raises(InputError, match=r"no trained model at .*model.keras; train one first, or name another folder"):
        read_record(tmp_path)


def test_what_callers_of_fit_add_is_left_alone(tmp_path):
    record = IMAGES | {"mine": [None, {"deep": [1]}], "recipe": as_json(FinetuneRecipe(model="resnet20", weights="w"))}
    assert read_record(write(tmp_path, record), images.RUNS) == record
    own = {"recipe": "by hand", "data": None, "app": 5}
    assert read_record(write(tmp_path, own)) == own


@pytest.mark.parametrize("app", ["digits", "tumors"])
def test_the_shipped_runs_are_read_though_they_lack_newer_fields(app):
    record = read_record(SHIPPED / app, RUNS[app])
    assert "layer_rates" not in record["recipe"]["training"]


@pytest.mark.parametrize(
    "recipe",
    [
        DigitRecipe(model="mlp", shift=0.0),
        ImageRecipe(
            size_schedule=(16, 32), training=Recipe(layer_rates=("stem=0.1",), decay_epochs=(1, 2), schedule="step")
        ),
        FinetuneRecipe(model="resnet20", weights="a.pth", blocks=2),
        TumorRecipe(data="nifti", modalities=("flair",), training=Recipe(seed=3)),
    ],
    ids=lambda recipe: type(recipe).__name__,
)
def test_a_recipe_comes_back_from_json_as_it_was(recipe):
    stored = json.loads(json.dumps(as_json(recipe)))
    assert rebuilt(type(recipe), stored) == recipe
    del stored["training"]["seed"]
    assert rebuilt(type(recipe), stored).training == dataclasses.replace(recipe.training, seed=0)


@pytest.mark.parametrize(
    ("value", "pattern", "words"),
    [
        (True, int, "it is True"),
        (1, float, ""),
        (float("inf"), float, "it is inf"),
        (1, bool, "it is 1"),
        ("b", Literal["a", "b"], ""),
        (["b"], Literal["a", "b"], "it is ['b']"),
        ({"a": None}, {"a?": int, "b?": int}, ""),
        ({"a": None}, {"a": int}, "a is None"),
        ({"a": [{"b": 1}, {"b": "x" * 90}]}, {"a": [{"b": int}]}, f"a[1].b is '{'x' * 59}…"),
        (5, (str, int), ""),
        (5, (str, [int]), "it is 5"),
    ],
)
def test_patterns_say_where_a_value_is_another(value, pattern, words):
    assert mismatch(value, pattern) == words


def test_a_value_of_the_record_that_a_call_does_not_take_is_an_error_of_the_file(tmp_path):
    with pytest.raises(InputError) as caught, recorded_in(tmp_path):
        raise UsageError("data is 'cifbr10', neither a folder nor a data set; choose one of mnist", argument="data")
    expected = "is damaged (data is 'cifbr10', neither a folder nor a data set); restore it or train again"
    assert str(caught.value) == f"{tmp_path}/recipe.json {expected}"


def test_an_error_of_what_no_record_says_stays_what_it_is(tmp_path):
    with pytest.raises(UsageError, match="^file labels.csv has no column file"), recorded_in(tmp_path, ("data",)):
        raise UsageError("file labels.csv has no column file; head its columns file,label")


def test_an_app_that_needs_nothing_reads_any_dict(tmp_path):
    assert read_record(write(tmp_path, {"app": "test"}), RunSchema("test")) == {"app": "test"}
