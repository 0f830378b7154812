"""Asking a TensorFlow Serving REST server to classify, with Python's own HTTP client and without TensorFlow."""

import base64
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request

import numpy as np

from kerascnn.errors import InputError, InputRejected

REQUEST_CHARACTERS = 16 * 2**20


def predict(server, model, inputs, signature="predict_bytes", timeout=60):
    """{output name: values} of a signature with one input and named outputs, one value per item of `inputs`.

    server: address such as http://127.0.0.1:8501. model: the name under which it serves the model.
    inputs: a list of bytes (encoded images), or numbers as an array or nested lists (B, ...).
    Numbers come back as arrays (B, ...), decimal ones float32; text as nested lists of str. A signature with one output
    answers under the signature's own name. Many inputs go in requests of about 16 MiB. timeout: the seconds of silence
    after which the server is given up.

    Raises InputRejected when the server does not take the input, InputError when it cannot be reached or is
    no such one.
    """
    address = f"{checked(server)}/v1/models/{urllib.parse.quote(model, safe='')}:predict"
    answers = {}
    encoded = len(inputs) and isinstance(inputs[0], bytes)
    items = [{"b64": base64.b64encode(item).decode()} for item in inputs] if encoded else np.asarray(inputs).tolist()
    for rows in groups([json.dumps(item) for item in items]):
        body = f'{{"signature_name": {json.dumps(signature)}, "inputs": [{",".join(rows)}]}}'
        outputs = outputs_of(address, body, timeout)
        for name, column in (outputs if isinstance(outputs, dict) else {signature: outputs}).items():
            answers.setdefault(name, []).extend(column)
    return {name: column_values(column) for name, column in answers.items()}


def checked(server):
    """The address without a closing slash. Raises InputError when it is none."""
    try:
        parts = urllib.parse.urlsplit(server)
        # Reading the port raises ValueError when it is no number.
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise InputError(f"{server!r} is no address of a server; write it as http://127.0.0.1:8501")
    return server.rstrip("/")


def groups(rows):
    """Lists of consecutive texts of about REQUEST_CHARACTERS together; one empty list when there are none."""
    group, size = [], 0
    for row in rows:
        if group and size + len(row) > REQUEST_CHARACTERS:
            yield group
            group, size = [], 0
        group.append(row)
        size += len(row)
    yield group


def outputs_of(address, body, timeout):
    """`outputs` of the server's answer. Raises InputRejected or InputError as `predict` does."""
    request = urllib.request.Request(address, body.encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return json.load(response)["outputs"]
    except urllib.error.HTTPError as error:
        kind = InputRejected if error.code in (400, 413) else InputError
        raise kind(http_error(address, error)) from None
    except (TimeoutError, urllib.error.URLError, ConnectionError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, BrokenPipeError | ConnectionResetError):
            raise InputRejected(
                f"{address} hung up on {len(body) / 2**20:.1f} MiB; send less or raise its max_request_mib"
            ) from None
        reason = f"no answer within {timeout} s" if isinstance(reason, TimeoutError) else reason
        raise InputError(f"cannot reach {address} ({reason}); start the server, or correct the address") from None
    except (ValueError, TypeError, KeyError, OSError):
        raise InputError(f"{address} is no TensorFlow Serving REST server; correct the address") from None


def http_error(address, error):
    """What to tell about an HTTP error, in one line."""
    try:
        reason = " ".join(str(json.load(error)["error"]).split())
    except (ValueError, TypeError, KeyError, OSError, http.client.HTTPException):
        reason = error.reason
    if error.code == 404:
        return f"{address} is not there ({reason}); serve that model or correct the address"
    return f"{address} answered {error.code} ({reason}); correct the input or the address"


def column_values(column):
    """A column of an answer as an array of numbers, or as it is when it holds text."""
    array = np.asarray(column)
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    return array if array.dtype.kind in "iub" else column
