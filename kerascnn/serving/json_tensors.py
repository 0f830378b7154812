"""TensorFlow Serving's JSON: a request's rows or columns into arrays, a signature's answer into text.

Rules and wording follow TensorFlow Serving's own documentation of its REST API (`api_rest.md`) and its source
(`json_tensor.cc`): NaN and Infinity are numbers, a number like 1e999 is an error, white space in base64 is passed over.
Stricter than there: an integer that the input's type cannot hold is an error, and so are a rank or a size that the
signature does not take, which TensorFlow Serving leaves to the model. TensorFlow is not needed.
"""

import base64
import json

import numpy as np

from kerascnn.saved_model.signatures import DTYPES


class NotFinite(float):
    """One of the tokens NaN, Infinity and -Infinity; what JSON's grammar knows as a number is a plain float."""


# By the kind of NumPy type: what JSON values an input takes. `object` holds TensorFlow's strings.
JSON_TYPES = {"f": {int, float, NotFinite}, "i": {int}, "u": {int}, "b": {bool}, "O": {str, dict}}
JSON_NAMES = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
JSON_NAMES[NotFinite] = "NaN or Infinity"
WHITE_SPACE = b" \t\n\v\f\r"


class RequestError(Exception):
    """What a client asked for cannot be answered: one line for it, the HTTP status, and what headers go with it."""

    def __init__(self, message, status=400, headers=None):
        super().__init__(message)
        self.status, self.headers = status, headers


def parse_request(body):
    """The JSON object in the bytes of a request; NaN, Infinity and -Infinity are numbers. Raises RequestError."""
    try:
        request = json.loads(body, parse_constant=NotFinite)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"JSON Parse error: {error}") from None
    except ValueError:  # Python reads no longer ones, in a time that goes with the square of their length
        raise RequestError("JSON Parse error: an integer has more than 4,300 digits") from None
    if not isinstance(request, dict):
        raise RequestError("JSON Value: the request is not an object")
    return request


def signature_name(request):
    """The signature that a request asks for. Raises RequestError when it is no string."""
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        raise RequestError("'signature_name' key must be a string value")
    return name or "serving_default"


def input_arrays(request, specs):
    """({input name: array}, whether the request is in row form).

    request: what parse_request gives, with `instances` (rows) or `inputs` (columns).
    specs: {input name: Tensor}. Strings become arrays of bytes objects.
    Raises RequestError for missing and unknown names, ragged lists, wrong types, ranks and sizes.
    """
    if not specs:
        raise RequestError("the signature takes no input")
    if "instances" in request and "inputs" in request:
        raise RequestError("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" in request:
        columns = columns_of_rows(request["instances"], specs)
    elif "inputs" in request:
        columns = named_columns(request["inputs"], specs)
    else:
        raise RequestError("Missing 'inputs' or 'instances' key")
    return {name: input_array(name, columns[name], spec) for name, spec in specs.items()}, "instances" in request


def columns_of_rows(rows, specs):
    """{input name: list of one value per row}."""
    if not isinstance(rows, list):
        raise RequestError("Expecting 'instances' to be a list/array")
    if not rows:
        raise RequestError("No values in 'instances' array")
    if not is_named(rows[0]):
        if len(specs) > 1:
            raise RequestError(f"instances is a plain list, but expecting objects with the keys {', '.join(specs)}")
        if any(is_named(row) for row in rows):
            raise RequestError("Expecting value/list but got object in the list of instances")
        return {next(iter(specs)): rows}
    for number, row in enumerate(rows):
        if not is_named(row) or row.keys() != specs.keys():
            raise RequestError(f"Failed to process element: {number} of 'instances' list. Keys: {', '.join(specs)}")
    return {name: [row[name] for row in rows] for name in specs}


def named_columns(value, specs):
    """{input name: value}; a lone input may stand without its name, and unknown names are passed over."""
    if not is_named(value):
        if len(specs) > 1:
            raise RequestError(f"inputs is a plain value/list, but expecting an object with keys {', '.join(specs)}")
        return {next(iter(specs)): value}
    for name in specs:
        if name not in value:
            raise RequestError(f"Missing named input: {name} in 'inputs' object.")
    return value


def is_named(value):
    """Whether a JSON value is an object of named inputs and not one binary string."""
    return isinstance(value, dict) and not (value.keys() == {"b64"} and isinstance(value["b64"], str))


def input_array(name, value, spec):
    """The JSON value of one input as an array of its Tensor's dtype. Raises RequestError."""
    if spec.dtype not in DTYPES.values():
        raise RequestError(f"input {name!r} is {spec.dtype}, which JSON values are not converted to", 501)
    dtype = np.dtype(object if spec.dtype == "string" else spec.dtype)
    cells = np.array(value, dtype=object)
    flat = cells.reshape(-1).tolist()
    found = set(map(type, flat))
    if list in found:
        raise RequestError(f"input {name!r} has lists of unequal length or depth")
    if stray := found - JSON_TYPES[dtype.kind]:
        given = ", ".join(sorted(JSON_NAMES.get(each, "a number") for each in stray))
        raise RequestError(f"input {name!r} takes values of type {spec.dtype}, not {given}")
    if not spec.fits(cells.shape):
        raise RequestError(f"input {name!r} takes shape {spec.shape}, not {cells.shape}; None is any size")
    if dtype.kind == "O":
        return np.array([string(name, cell) for cell in flat], dtype=object).reshape(cells.shape)
    return numbers(name, cells, dtype)


def string(name, cell):
    """The bytes of a JSON string or of {"b64": base64}, whose padding may be missing. Raises RequestError."""
    try:
        if isinstance(cell, str):
            return cell.encode()
        if not is_named(cell):
            encoded = cell["b64"].encode("ascii").translate(None, WHITE_SPACE)
            return base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        pass
    raise RequestError(f"input {name!r} has a value that is neither text nor correct {{'b64': base64}}")


def numbers(name, cells, dtype):
    """An array of Python numbers as `dtype`. Raises RequestError for a number that it cannot hold."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        fits = not cells.size or (limits.min <= cells.min() and cells.max() <= limits.max)
    else:
        with np.errstate(over="ignore"):
            try:
                fits = all(type(cell) is NotFinite for cell in cells[~np.isfinite(cells.astype(dtype))])
            except OverflowError:
                fits = False
    if not fits:
        raise RequestError(f"input {name!r} has a number beyond the range of {dtype.name}")
    return cells.astype(dtype)


def answer_json(outputs, row):
    """The bytes of the answer with {output name: array}: `predictions` in row form, else `outputs`.

    A lone output stands without its name. Raises RequestError for outputs that JSON or the row form cannot express.
    """
    columns = {name: values(name, array) for name, array in outputs.items()}
    if not row:
        outputs = columns if len(columns) > 1 else next(iter(columns.values()))
        return json.dumps({"outputs": outputs}).encode()
    if len({array.shape[:1] for array in outputs.values()} | {()}) > 2 or any(not a.ndim for a in outputs.values()):
        shapes = ", ".join(f"{name} {array.shape}" for name, array in outputs.items())
        raise RequestError(f"the outputs share no batch size ({shapes}); ask in column form, with 'inputs'")
    if len(columns) == 1:
        (predictions,) = columns.values()
    else:
        predictions = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    return json.dumps({"predictions": predictions}).encode()


def values(name, array):
    """An output as nested lists for JSON. Raises RequestError when TensorFlow Serving's JSON has no such type."""
    if array.dtype == np.float32 or array.dtype == np.float16:
        # Its own shortest decimals: as doubles, 0.2 would read 0.20000000298023224.
        return mapped(array, lambda number: float(str(number)))
    if array.dtype.kind in "fiub":
        return array.tolist()
    if array.dtype.kind == "O":
        if name.endswith("_bytes"):
            return mapped(array, lambda cell: {"b64": base64.b64encode(cell).decode()})
        return mapped(array, lambda cell: cell.decode(errors="replace"))
    raise RequestError(f"output {name!r} is {array.dtype.name}, which is not converted to JSON values")


def mapped(array, convert):
    """Nested lists of convert(cell)."""
    return np.array([convert(cell) for cell in array.flat], dtype=object).reshape(array.shape).tolist()
