"""Every flag of every command, found by Cyclopts' own introspection, with values that nobody means.

A command ends with exit code 2 or 3 and one line, or comes to where it loads TensorFlow: nothing heavy is needed to
tell that a value is out of range. What recipes take is asked of Cyclopts' Arguments and of the recipes, as the commands
do.
"""

import builtins
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Literal, get_args, get_origin

import attrs
import numpy as np
import pytest
from cyclopts import CycloptsError, Token
from PIL import Image

from apps.__main__ import app as apps
from kerascnn.classification.recipes import FinetuneRecipe, ImageRecipe
from kerascnn.cli import app as cli
from kerascnn.cli import folders
from kerascnn.cli.flags import chosen
from kerascnn.digits.recipes import DigitRecipe
from kerascnn.errors import UsageError
from kerascnn.serving import server
from kerascnn.tumors.recipes import TumorRecipe

RECIPES = {f"{kind.__name__}Flags": kind for kind in (DigitRecipe, ImageRecipe, FinetuneRecipe, TumorRecipe)}
# No flag has a range that takes these; 1e300 is beyond float32.
NEVER = ["nan", "-inf", "1e300", "-" + "9" * 50, "9" * 5000, "", "½", "\x1b[m"]
NUMBERS = [*NEVER, "1.5", str(2**63), "-1", "0", "1e6", "1000000", "٣"]
HEAVY = {"tensorflow", "keras", "matplotlib"}
MODELS = Path(__file__).parents[2] / "saved_models"
TEXTS = ["", "a\nb\x1b[31m\u202e", "ü" * 300]
STARTS = {"photos": "photos", "photo": "photo.png", "files": "photo.png", "name": "lenet5", "names": "lenet5"}


def commands(app, path=()):
    """(words that call it, its Arguments) of each command of an app and of the apps in it."""
    if app.default_command:
        yield path, app.assemble_argument_collection(parse_docstring=False)
    for name in app:
        if not name.startswith("-"):
            yield from commands(app[name], (*path, name))


def kinds_of(hint):
    """The types in a flag's type: {int} of int | None and of tuple[int, ...], {Literal} of choices."""
    if get_origin(hint) is Literal:
        return {Literal}
    inner = [kind for kind in get_args(hint) if kind not in (type(None), Ellipsis)]
    return set().union(*map(kinds_of, inner)) if inner else {hint}


def values_of(argument):
    return NUMBERS if kinds_of(argument.hint) & {int, float} else TEXTS


def is_never(argument, value):
    """Whether no number that the flag stands for is written so."""
    return value in NEVER or value == "1.5" and float not in kinds_of(argument.hint)


def recipe_of(argument):
    """The class of the recipe whose flags this Argument stands for, or None."""
    return next((RECIPES[kind.__name__] for kind in kinds_of(argument.hint) if kind.__name__ in RECIPES), None)


def called(words, argument):
    return " ".join([*(words or ["serve"]), argument.name])


COMMANDS = [(app, *found) for app in (apps, server.command) for found in commands(app)]
FIELDS = [
    pytest.param(recipe, argument, id=called(words, argument))
    for _, words, arguments in COMMANDS
    for above in arguments
    if (recipe := recipe_of(above))
    for argument in above.children
    if kinds_of(argument.hint) != {bool}
]
OF_RECIPES = {id(param.values[1]) for param in FIELDS}
FLAGS = [
    pytest.param(app, words, arguments, argument, id=called(words, argument))
    for app, words, arguments in COMMANDS
    for argument in arguments
    if not argument.children and kinds_of(argument.hint) != {bool} and id(argument) not in OF_RECIPES
]


class Accepted(BaseException):
    """The command has come to where it loads TensorFlow, or its models."""


@pytest.fixture
def ending(tmp_path, monkeypatch, capsys):
    """ending(app, words) -> (exit code, stderr) of a command; instead of the code "accepted" where nothing is wrong."""

    def accept(*_):
        raise Accepted

    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith(("kerascnn.", "apps.")) and hasattr(module, "load_tensorflow"):
            monkeypatch.setattr(module, "load_tensorflow", accept)
    monkeypatch.setattr(server, "listening", accept)
    monkeypatch.setattr(folders, "SHIPPED", tmp_path)
    for name in ("digits", "tumors", "cifar10_fast"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(server.signal, "signal", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    page = np.full((60, 60), 255, np.uint8)
    page[20:40, 30:33] = 0  # a one, so that `read` has something to ask
    Image.fromarray(page).save("photo.png")
    (tmp_path / "photos" / "cats").mkdir(parents=True)

    def run(app, words):
        try:
            server.main(words) if app is server.command else cli.run(app, words)
        except SystemExit as ended:
            return ended.code, capsys.readouterr().err
        except Accepted:
            return "accepted", capsys.readouterr().err

    asked, load = set(), builtins.__import__

    def watched(name, *arguments, **options):
        asked.add(name.partition(".")[0])  # of what another test has loaded, too
        return load(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", watched)
    yield run
    assert not HEAVY & asked


def test_every_command_and_flag_is_found():
    assert {" ".join(words) for _, words, _ in COMMANDS} >= {
        "",
        "digits train",
        "filters",
        "images check",
        "networks show",
    }
    assert {param.id for param in FLAGS} >= {"serve --port", "digits predict --reject", "images neighbors --count"}
    assert {param.id for param in FIELDS} >= {"images finetune --blocks", "tumors train --depth", "digits train --seed"}


@pytest.mark.parametrize(("app", "words", "arguments", "argument"), FLAGS)
def test_a_flag_of_a_command_takes_its_range_or_ends_in_one_line(app, words, arguments, argument, ending):
    others = [STARTS[each.field_info.name] for each in arguments if each.required and each is not argument]
    if app is server.command and argument.name != "--models":
        others.append(f"--models={MODELS}")
    numbers = values_of(argument) is NUMBERS
    for value in values_of(argument):
        flag = [value] if argument.index is not None else [f"{argument.name}={value}"]
        code, err = ending(app, [*words, *others, *flag])
        errors = [
            line for line in err.splitlines() if not line.startswith(("run folder: ", "model folder: ", "note: "))
        ]
        assert code in ("accepted", 2) if numbers else ("accepted", 2, 3), (value, err)
        assert [line.startswith("error: ") for line in errors] == [True] * (code != "accepted"), (value, err)
        assert "".join(errors).isprintable()
        never = is_never(argument, value) if numbers else kinds_of(argument.hint) == {Literal}
        assert code == 2 or not never, value


@pytest.mark.parametrize(("recipe", "argument"), FIELDS)
def test_a_flag_of_a_recipe_takes_its_range_or_is_bad_usage(recipe, argument):
    numbers, name = values_of(argument) is NUMBERS, argument.field_info.name
    for value in values_of(argument):
        given = attrs.evolve(argument, tokens=[Token(keyword=argument.name, value=value)])
        try:
            found = given.convert_and_validate()
            whole = chosen(recipe(), SimpleNamespace(**{name: found}))
        except (CycloptsError, UsageError):
            continue
        assert not (is_never(argument, value) if numbers else kinds_of(argument.hint) == {Literal}), value
        assert found in (getattr(whole, name, None), getattr(whole.training, name, None))


@pytest.mark.parametrize(
    "command", ["digits train", "images train", "images finetune", "tumors train", "tumors crossvalidate"]
)
@pytest.mark.parametrize(
    "flag", ["--learning-rate=nan", "--rotation=1e6", "--epochs=1e6", "--optimizer=best", "--seed="]
)
def test_what_a_recipe_does_not_take_ends_a_command_in_one_line(command, flag, ending):
    code, err = ending(apps, [*command.split(), flag])
    assert (code, err.count("\n"), err.isascii()) == (2, 1, True)
    assert err.startswith("error: ")
    assert flag.partition("=")[0] in err
