"""A model behind TensorFlow Serving's REST API, asked without TensorFlow.

Nothing that a server says is believed: every value is of the type that the server's own metadata say, or an error.
"""

import base64
import json
import re
import urllib.parse

import numpy as np

from kerascnn.errors import InputError, InputRejected, printable
from kerascnn.image_headers import pixels_of
from kerascnn.saved_model.signatures import MOST_SIZES, signatures_in
from kerascnn.serving.http_request import fetch, route_to
from kerascnn.serving.json_tensors import JSON_NAMES, JSON_TYPES

TIMEOUT = 40  # seconds that one request may take in all, and one more for each MiB of it
METADATA_TIMEOUT = 10  # that a model says of itself at once
# Of an answer: JSON of lists and objects takes up to 30 times as much memory. What is answered for pixels is longer: it
# has numbers of more digits than a request of pixels, and is JSON where images are compressed.
MOST_BYTES = 3 * 2**20
MOST_BYTES_OF_ROW = 2**15  # a thousand classes
MOST_TIMES = 8  # the bytes of the request
MOST_BYTES_OF_PIXEL = 64
MOST_REQUEST = 2**23  # bytes of one for more than one image
MOST_CHARACTERS = 10_000  # of a text
MOST_TEXT = 2**24  # characters of an array, in which each text takes as much memory as the longest


class ServedModel:
    """A model at an address such as http://127.0.0.1:8501/v1/models/digits. signatures: {name: Signature}.

    timeout: the seconds that one request may take in all, and one more for each MiB of it. Raises InputError where
    nothing there answers as TensorFlow Serving does.
    """

    def __init__(self, address, timeout=TIMEOUT):
        self.name, self.timeout = checked(address), timeout
        metadata = self._asked("/metadata", timeout=min(timeout, METADATA_TIMEOUT))
        self.remedy = f"serve our export there, or correct the address{self._route().remedy}"
        try:
            self.signatures = signatures_in(metadata)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            raise self._no_server("tells no signatures") from None

    def call(self, signature, values, wanted):
        """{output name: array} of the outputs `wanted`, {name: Tensor}, of a signature on an array or a list of bytes.

        Numbers have the dtypes of the signature, text is a str array, and what is called *_bytes an array of bytes
        objects. Raises InputRejected, also where several values take more than 8 MiB as JSON, or InputError.
        """
        encoded = isinstance(values, list)
        items = [{"b64": base64.b64encode(item).decode()} for item in values] if encoded else values.tolist()
        body = json.dumps({"signature_name": signature, "inputs": items}, separators=(",", ":")).encode()
        if len(values) > 1 and len(body) > MOST_REQUEST:
            raise InputRejected(f"{len(values)} images take {len(body) / 2**20:.1f} MiB as JSON; send fewer at a time")
        longest = MOST_BYTES + MOST_BYTES_OF_ROW * len(values)
        if any(tensor.is_of_pixels() for tensor in wanted.values()):
            longest += MOST_TIMES * len(body) + (MOST_BYTES_OF_PIXEL * pixels_of(values)[1] if encoded else 0)
        answer = self._asked(":predict", body, self.timeout + len(body) // 2**20, longest)
        if not isinstance(answer, dict) or "outputs" not in answer:
            raise self._no_server("answers without outputs")
        outputs = answer["outputs"]
        if len(names := self.signatures[signature].outputs) == 1:
            outputs = dict.fromkeys(names, outputs)  # a lone output stands without its name
        if not isinstance(outputs, dict):
            raise self._no_server("answers without the outputs' names")
        try:
            return {
                name: array(name, outputs[name], tensor.dtype) for name, tensor in wanted.items() if name in outputs
            }
        except ValueError as error:
            raise InputError(f"{self.name} answers with {printable(str(error))}; {self.remedy}") from None

    def _asked(self, path, body=None, timeout=TIMEOUT, most_bytes=MOST_BYTES):
        """The JSON that the server answers at a path of the model."""
        content = fetch(f"{self.name}{path}", body, timeout, most_bytes)
        try:
            return json.loads(content)
        except ValueError:
            raise self._no_server("answers with no JSON") from None
        except RecursionError:
            raise self._no_server("answers with JSON nested too deep") from None

    def _no_server(self, what):
        route = self._route()
        words = f"{route.words} is no TensorFlow Serving REST server: it {what}"
        return InputError(f"{words}; correct the address{route.remedy}")

    def _route(self):
        return route_to(self.name, self.timeout)


def checked(address):
    """The address of a model without a closing slash, as http.client takes it. Raises InputError when it is none."""
    try:
        parts = urllib.parse.urlsplit(address)
        # reading the port raises ValueError when it is no number
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
        usable = usable and not parts.query and not parts.fragment
        path = urllib.parse.quote(parts.path.rstrip("/"), safe="/%:@")
    except ValueError:
        usable = False
    if not usable or not re.search(r"/v1/models/[^/:]+(/(versions|labels)/[^/:]+)?$", path):
        raise InputError(
            f"{address!r} is no address of a served model; write it as http://127.0.0.1:8501/v1/models/digits"
        )
    return parts._replace(path=path).geturl()


def array(name, value, dtype):
    """The JSON value of an output as an array. Raises ValueError where it is of another type."""
    cells = np.array(value, dtype=object)
    if cells.ndim > MOST_SIZES:
        raise ValueError(f"lists nested {cells.ndim} deep as {name}")
    found = set(map(type, cells.flat))
    if list in found:
        raise ValueError(f"lists of unequal length as {name}")
    of_text = {dict} if name.endswith("_bytes") else {str}
    taken = of_text if dtype == "string" else JSON_TYPES[np.dtype(dtype).kind]
    if stray := found - taken:
        given = ", ".join(sorted(JSON_NAMES.get(each, "a number") for each in stray))
        raise ValueError(f"{given} as {name}, which is {dtype}")
    if dtype != "string":
        try:
            with np.errstate(over="ignore"):  # an infinite number is found later
                return cells.astype(dtype)
        except OverflowError:
            raise ValueError(f"a number beyond the range of {dtype} as {name}") from None
    convert = content if dict in taken else text
    converted = [convert(name, cell) for cell in cells.flat]
    if dict not in taken and cells.size * max(map(len, converted), default=0) > MOST_TEXT:
        raise ValueError(f"{cells.size:,} texts, some of them long, as {name}")
    return np.array(converted, object if dict in taken else str).reshape(cells.shape)


def text(name, cell):
    """A text. Raises ValueError where it is too long or no Unicode."""
    if len(cell) > MOST_CHARACTERS:
        raise ValueError(f"a text of {len(cell):,} characters as {name}")
    try:
        cell.encode()
    except UnicodeEncodeError:
        raise ValueError(f"half a character, {ascii(cell[:100])}, as {name}") from None
    return cell


def content(name, cell):
    """The bytes of {"b64": base64}. Raises ValueError."""
    try:
        return base64.b64decode(cell["b64"], validate=True)
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"an object that is no {{'b64': base64}} as {name}") from None
