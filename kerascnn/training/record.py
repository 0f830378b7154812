"""recipe.json of a finished run, read: what a program needs of it is looked at before it is used.

Whoever calls kerascnn.fit may put more into it, which is left alone.
"""

import contextlib
import math
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args, get_origin

from kerascnn.errors import InputError, UsageError
from kerascnn.files import read_json


class RunSchema(NamedTuple):
    """What an app needs of its runs. app: what they call it. pattern: of what they say, as `mismatch` takes it."""

    app: str
    pattern: dict = {}


def record_file(folder):
    """Where a run says what it is."""
    return Path(folder) / "recipe.json"


def read_record(folder, schema=None):
    """What recipe.json of the finished run in `folder` says, a dict.

    Raises InputError where there is none, where it is of another app than that of a RunSchema, or where it is damaged:
    no JSON, or without what the schema needs.
    """
    path = record_file(folder)
    if not path.is_file():
        raise InputError(f"no trained model at {Path(folder) / 'model.keras'}; train one first, or name another folder")
    record = checked(read_json(path), {}, path)
    if schema is None:
        return record
    if (found := checked(record, {"app?": str}, path).get("app")) != schema.app:
        raise InputError(f"{folder} holds a model of {found or 'no app'}, not of {schema.app}; name another folder")
    return checked(record, schema.pattern, path)


def read_record_if_any(folder, schema=None):
    """The same, None where there is none."""
    return read_record(folder, schema) if record_file(folder).is_file() else None


def section(record, name):
    """The dict that a record has under a name, {} where it has none: kerascnn.fit takes anything there."""
    return value if isinstance(value := record.get(name), dict) else {}


def checked(value, pattern, path):
    """A value that was read from a JSON file. Raises InputError unless it has the pattern."""
    if words := mismatch(value, pattern):
        raise InputError(f"{path} is damaged ({words}); restore it or train again")
    return value


@contextlib.contextmanager
def recorded_in(folder, arguments=None):
    """Turn UsageError about a value that comes from recipe.json of a run into InputError that names the file.

    arguments: the names of those that come from it, where others may be wrong, too.
    """
    try:
        yield
    except UsageError as error:
        if arguments and error.argument not in arguments:
            raise
        what, _, _ = str(error).partition("; ")
        raise InputError(f"{record_file(folder)} is damaged ({what}); restore it or train again") from None


def mismatch(value, pattern, name=""):
    """What in a value of JSON types is not as its pattern says, "" where all is.

    pattern: a type, of which float is any finite number; Literal[…], one of these; a dataclass, see `rebuilt`; a tuple
    of patterns, one of which it has; [pattern], which every item of a list has; or {name: pattern}, a dict with these
    names among others, where one that ends in ? may be absent or None.
    """
    if isinstance(pattern, tuple):
        found = [mismatch(value, each, name) for each in pattern]
        return "" if "" in found else found[-1]
    if isinstance(pattern, dict | list):
        if not isinstance(value, type(pattern)):
            return said(value, name)
        parts = dict_parts(value, pattern, name) if isinstance(pattern, dict) else list_parts(value, pattern, name)
        return next(filter(None, parts), "")
    if is_dataclass(pattern):
        try:
            rebuilt(pattern, value)
        except UsageError as error:
            return f"{name}: {str(error).partition('; ')[0]}"
        return ""
    return "" if is_one(value, pattern) else said(value, name)


def dict_parts(value, pattern, name):
    """What is wrong with each of the names that a pattern has of a dict."""
    for key, part in pattern.items():
        optional, key = key.endswith("?"), key.removesuffix("?")
        if value.get(key) is None and optional:
            continue
        below = f"{name}.{key}".removeprefix(".")
        yield mismatch(value[key], part, below) if key in value else f"it has no {below}"


def list_parts(value, pattern, name):
    """What is wrong with each item of a list."""
    return (mismatch(item, pattern[0], f"{name}[{number}]") for number, item in enumerate(value))


def is_one(value, kind):
    """Whether a value of JSON types is of this type, or one of the values of a Literal."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if kind is str:
        return isinstance(value, str) and "\0" not in value  # no path has it
    return isinstance(value, kind) and isinstance(value, bool) == (kind is bool)


def said(value, name):
    """What a value is, in few words."""
    shown = repr(value)
    return f"{name or 'it'} is {shown if len(shown) < 60 else shown[:60] + '…'}"


def rebuilt(kind, values):
    """The dataclass `kind` of which as_json has made `values`.

    Fields that are not there, as in runs from before them, have their defaults. Raises UsageError for other fields, and
    for values that the dataclass does not take.
    """
    if not isinstance(values, dict):
        raise UsageError(said(values, ""))
    known = {field.name: field for field in fields(kind)}
    if other := sorted(values.keys() - known.keys()):
        raise UsageError(f"{other[0]!r} is no field of {kind.__name__}")
    if absent := [name for name, field in known.items() if field.default is MISSING and name not in values]:
        raise UsageError(f"it has no {absent[0]}")
    parts = {name: rebuilt_part(known[name].type, value) for name, value in values.items() if name != "augmentations"}
    try:
        return kind(**parts)
    except TypeError as error:  # a dataclass may compare before it looks at types
        raise UsageError(f"{kind.__name__} does not take it: {error}") from None


def rebuilt_part(kind, value):
    if is_dataclass(kind):
        return rebuilt(kind, value)
    return tuple(value) if isinstance(value, list) else value
