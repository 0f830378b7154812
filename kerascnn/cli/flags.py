"""Flags: those that mean the same in every app, and those that a recipe becomes."""

import dataclasses
import re
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

import docstring_parser
from cyclopts import Parameter

from kerascnn.errors import UsageError
from kerascnn.serving.limits import whole
from kerascnn.training.recipe import OF_ONE_CHOICE

LARGEST_SIDE = 16_384
UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}

Out = Annotated[
    Path | None,
    Parameter(
        help="The run folder. Default: train makes runs/APP/run1, run2, …; other commands take the newest of these, "
        "else the shipped model."
    ),
]
Server = Annotated[
    str | None,
    Parameter(
        help="TensorFlow Serving REST server to ask instead of --out, as http://127.0.0.1:8501, or a model there, as "
        "http://127.0.0.1:8501/v1/models/mine."
    ),
]
Resume = Annotated[bool, Parameter(help="Continue a stopped run; give the flags it was started with.")]
DataDir = Annotated[Path | None, Parameter(help="Where TensorFlow Datasets keeps its files; default: TFDS_DATA_DIR.")]


def check_minutes(_, minutes):
    """Raise ValueError unless this is None or a time in which something can be trained."""
    if minutes is not None and not 0 < minutes <= 1_000_000:
        raise ValueError("give a number above 0, of at most a million")


Minutes = Annotated[
    float | None,
    Parameter(help="Train as many epochs as fit into this time, by the first steps.", validator=check_minutes),
]
AutoBatch = Annotated[
    bool, Parameter(help="Divide the batch size until training fits into memory; an update sees as many images.")
]
Smoke = Annotated[bool, Parameter(help="Two epochs on synthetic data: proves the wiring, nothing else.")]
Form = Annotated[
    Literal["lines", "json", "csv"],
    Parameter(name="--format", help="How answers are printed: lines, one JSON object a file, or CSV with a header."),
]
Reject = Annotated[float, Parameter(help="Below this probability the class is `unsure`; JSON has the best guess.")]
Require = Annotated[tuple[str, ...], Parameter(help="NAME=MIN: exit code 4 unless the metric reaches it.")]


def flags_of(recipe_class):
    """A dataclass with one optional flag per field of a task's recipe and of its `training`; None where not given.

    Functions are no flags: a task's recipe says them in fields of its own. Help texts are the docstrings under the
    fields, and the defaults shown are the class's own. A command takes it as `flags: Flags | None = None`.
    """
    recipe = recipe_class()
    fields = []
    for part in (recipe, recipe.training):
        types = get_type_hints(type(part))
        # a recipe may extend another one
        kinds = filter(dataclasses.is_dataclass, reversed(type(part).__mro__))
        texts = (text for kind in kinds for text in docstring_parser.parse_from_object(kind).params)
        helps = {text.arg_name: text.description for text in texts}
        for name in (
            field.name for field in dataclasses.fields(part) if field.name not in ("training", "augmentations")
        ):
            default = getattr(part, name)
            flag = Parameter(
                help=helps[name],
                negative=None if types[name] is bool else "",
                converter=whole if {int} & {types[name], *get_args(types[name])} else None,
                consume_multiple=get_origin(types[name]) is tuple or None,
                show_default=lambda _, default=default: default,
            )
            fields.append((name, Annotated[types[name] | None, flag], None))
    namespace = {"__module__": __name__}  # Cyclopts takes no classes of Python's own modules
    name = f"{recipe_class.__name__}Flags"
    return Parameter(name="*")(dataclasses.make_dataclass(name, fields, kw_only=True, namespace=namespace))


def chosen(recipe, flags):
    """The recipe with what is given in `flags`, a flags_of(type(recipe)) or None; its other fields stay.

    Where another optimizer or schedule is given, those fields that only the recipe's own takes do not.
    """
    given = {name: value for name, value in vars(flags).items() if value is not None} if flags else {}
    of_training = {field.name for field in dataclasses.fields(recipe.training)} & set(given)
    asked, kind = {name: given.pop(name) for name in of_training}, type(recipe.training)
    for choice, names in OF_ONE_CHOICE.items():
        if choice in asked and asked[choice] != getattr(recipe.training, choice):
            asked = {name: getattr(kind, name) for name in names} | asked
    training = dataclasses.replace(recipe.training, **asked)
    return dataclasses.replace(recipe, training=training, **given)


def parse_shape(text):
    """(H, W, C) from "227x227x3". Raises UsageError unless these are three numbers of a possible size."""
    sides = re.fullmatch(r"(\d{1,6})x(\d{1,6})x(\d{1,6})", text)
    shape = tuple(map(int, sides.groups())) if sides else (0,)
    if not 1 <= min(shape) <= max(shape) <= LARGEST_SIDE:
        raise UsageError(f"--input {text!r} is no size; give HEIGHTxWIDTHxCHANNELS, each from 1 to {LARGEST_SIDE:,}")
    return shape


def parse_memory(text):
    """Bytes from "4GiB", "500MB" or a number. Raises UsageError unless it is such a size, above 0."""
    parts = re.fullmatch(r"(\d{1,15}(?:\.\d+)?) ?([a-zA-Z]*)", text)
    unit = UNITS.get(parts[2].upper()) if parts else None
    if unit is None or not float(parts[1]) * unit >= 1:
        raise UsageError(f"--memory {text!r} is no size; give one as 4GiB, 500MB or a number of bytes")
    return round(float(parts[1]) * unit)
