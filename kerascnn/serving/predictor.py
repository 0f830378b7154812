"""What a model says of images, wherever it is: an exported version in a folder, or behind a server.

A model is a SavedModel here or a ServedModel there, with `name`, `remedy`, `signatures`, `timeout` and `call`; what
both answer is checked here, once.
"""

import math
import os
import time
from pathlib import Path

import numpy as np

from kerascnn.errors import InputError, InputRejected, UsageError, shortened
from kerascnn.files import reading_from
from kerascnn.image_headers import JPEG, MOST_JPEG_PIXELS, MOST_PIXELS, claimed_sides
from kerascnn.saved_model.signatures import Tensor
from kerascnn.saved_model.versions import SavedModel, latest_version
from kerascnn.serving.client import TIMEOUT, ServedModel
from kerascnn.serving.rows import cropped, empty, together

IMAGES = "give the path of an image file, its bytes, or an array of pixels"
BATCH_SIZE = 64
# Of the files or pixels of a batch, if it is more than one. Files as base64 then keep within the client's 8 MiB.
BATCH_BYTES = 5 * 2**20
MOST_FILE_BYTES = 2**28  # read of a file: an image of 25 million pixels has fewer


def load_predictor(place, timeout=TIMEOUT):
    """A Predictor of the model at a place.

        predictor = kc.load_predictor("runs/mine")
        predictor.predict(["a.png", png_bytes, array])["class_name"]  # three str

    place: a run folder, of which the newest exported version is taken; a SavedModel, as "runs/mine/1"; or a model
    behind TensorFlow Serving's REST API, as "http://127.0.0.1:8501/v1/models/mine", or one of its versions, with
    "/versions/1" behind it. timeout: the seconds that one request to a server may take in all, above 0, and one more
    for each MiB of it.

    Raises InputError when there is no model, it is damaged, or no such server answers; UsageError for another timeout.
    """
    if not isinstance(timeout, int | float) or not 0 < timeout <= 86_400:
        raise UsageError(f"timeout is {timeout!r}; give seconds, above 0 and at most a day", argument="timeout")
    if "://" in (text := os.fspath(place)) or ("/v1/models/" in text and not os.path.exists(place)):
        return Predictor(ServedModel(place, timeout))
    folder = Path(place)
    return Predictor(SavedModel(folder if (folder / "saved_model.pb").is_file() else latest_version(folder)))


class Predictor:
    """A model that answers for images; load_predictor makes one.

    name: the version's folder or the address. signatures: {name: Signature}, those with one input. remedy: what to do
    where it is another kind of model, words for a message.
    """

    def __init__(self, model):
        self._model = model
        self.name, self.remedy, self.signatures = model.name, model.remedy, dict(model.signatures)

    def predict(self, inputs, batch_size=BATCH_SIZE):
        """{output name: array} of images, a row for each in their order, and the same wherever the model is.

        inputs: an image, or a list or another iterable of them, mixed as you like; or an array of them:

            str or path       an image file: PNG, JPEG, BMP, or WebP where it is an export of ours
            bytes             the content of one
            array (H, W, C)   pixels of the type that the model takes, uint8 for our exports; sizes may differ

        A single image is answered as a list of one. Files are read, and the model is asked, for at most batch_size
        images or 5 MiB at a time. A batch that the model does not take is halved until it does.

        Arrays are asked of the signature `serving_default`, files and bytes of `predict_bytes`; where both occur, the
        outputs are those of both. `valid` bool (N,) is False where bytes are no image. Text is an array of str, and
        what is called *_bytes one of bytes objects. Masks have the size of their image: (N, H, W, 1) where all are of
        one size, else an object array (N,) of arrays (H, W, 1), which are (0, 0, 1) where valid is False.

        Raises UsageError for what is no image, InputError naming all files of a list that are not there, both before
        the model is asked; InputError when the model cannot be reached or answers something else than it says, and
        InputRejected naming the image that it does not take. `stream` keeps what was answered before an error.
        """
        answers = list(self.stream(inputs, batch_size))
        return together(answers) if answers else self._nothing()

    def stream(self, inputs, batch_size=BATCH_SIZE, rejected=None):
        """What `predict` gives, as an iterator of such dicts for consecutive inputs, at most batch_size each.

        rejected(place, error): called for an input that the model does not take, which is then left out; without it
        InputRejected is raised. However many the inputs, memory holds one batch. Of an iterator that is no list each
        file is only looked for when its turn comes.
        """
        if not (isinstance(batch_size, int) and batch_size >= 1):
            raise UsageError(f"batch_size is {batch_size!r}; give a whole number, at least 1", argument="batch_size")
        if isinstance(inputs, np.ndarray) and inputs.ndim in (1, 4):
            inputs = list(inputs)
        elif isinstance(inputs, (str, bytes, bytearray, os.PathLike, np.ndarray)):
            inputs = [inputs]
        elif not hasattr(inputs, "__iter__"):
            raise UsageError(f"inputs is of type {type(inputs).__name__}; {IMAGES}", argument="inputs")
        if isinstance(inputs, (list, tuple)):
            self._check(enumerate(inputs))
        return self._batches(inputs, batch_size, rejected)

    def call(self, signature, values):
        """{output name: array} of a signature by name, asked once: an array (N, ...) for it, or a list of N bytes.

        Raises InputRejected where it does not take the values, InputError where there is no such signature, the model
        cannot be reached, or it answers something else than it says: other shapes than its signature has, not one row
        for each of the values, numbers that are not finite.
        """
        _, tensor, outputs = self._signature(signature)
        # NumPy would make an array of a list, each item as long as the longest
        dtype, shape = ("string", (len(values),)) if isinstance(values, list) else (values.dtype.name, values.shape)
        if dtype != tensor.dtype or not tensor.fits(shape):
            given, taken = Tensor(dtype, shape), str(tensor)
            raise InputRejected(f"{self.name} takes {taken} as {signature}, not {given}; give such values")
        answer = self._model.call(signature, values, outputs)
        if missing := outputs.keys() - answer.keys():
            raise self._bad_answer(f"without {', '.join(sorted(missing))}")
        for name, expected in outputs.items():
            array = answer[name]
            if array.shape[:1] != (len(values),) or not expected.fits(array.shape):
                raise self._bad_answer(f"{name} of shape {array.shape} for {len(values)} inputs, not {expected}")
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise self._bad_answer(f"{name} with numbers that are not finite")
        return {name: answer[name] for name in outputs}

    def require(self, signature, outputs):
        """Ask a signature for these outputs alone, {name: Tensor}. Raises InputError where it has not all of them."""
        found = self._signature(signature)
        given = {name: found.outputs.get(name, Tensor("", ())) for name in outputs}
        if missing := [f"{name} {tensor}" for name, tensor in outputs.items() if not tensor.describes(given[name])]:
            raise self._bad_answer(f"{signature} without {', '.join(missing)}")
        self.signatures[signature] = found._replace(outputs=given)

    def _signature(self, name):
        if name not in self.signatures:
            raise InputError(f"{self.name} has no signature {name}; {self.remedy}")
        return self.signatures[name]

    def _bad_answer(self, what):
        return InputError(f"{self.name} answers {shortened(what)}; {self.remedy}")

    def _check(self, numbered):
        """Raise UsageError for the first of (place, input) that is no image, InputError for all files not there."""
        absent = []
        for place, item in numbered:
            if isinstance(item, (str, os.PathLike)):
                if not os.path.exists(item) or os.path.isdir(item):
                    absent.append(str(item))
            elif isinstance(item, np.ndarray):
                tensor = self._signature("serving_default").input
                if item.dtype.name != tensor.dtype or not tensor.fits((1, *item.shape)):
                    words = f"inputs[{place}] is {Tensor(item.dtype.name, item.shape)}"
                    remedy = f"give images as {image_words(tensor)}"
                    remedy += ", those in [0, 1] times 255" if item.dtype.kind == "f" else ""
                    raise UsageError(f"{words}; {remedy}", argument="inputs")
            elif not isinstance(item, (bytes, bytearray)):
                raise UsageError(f"inputs[{place}] is of type {type(item).__name__}; {IMAGES}", argument="inputs")
        if absent:
            raise InputError(f"no file at {', '.join(absent)}; correct the paths, or leave them out")

    def _batches(self, inputs, batch_size, rejected):
        """What `stream` gives; files are read when their batch is put together."""
        batch, size = [], 0
        for place, item in enumerate(inputs):
            self._check([(place, item)])
            file = isinstance(item, (str, os.PathLike))
            value = read(item) if file else bytes(item) if isinstance(item, bytearray) else item
            if isinstance(value, bytes) and undecodable(value):
                value = b""  # it is not valid, wherever it is asked
            length = len(value) if isinstance(value, bytes) else value.nbytes
            if batch and (len(batch) >= batch_size or size + length > BATCH_BYTES):
                parts = 0
                for answer in self._halved(batch, rejected):
                    yield answer
                    parts += 1
                if parts > 1:  # what follows is likely to be too much at a time, too
                    batch_size = max(1, len(batch) // parts)
                batch, size = [], 0
            batch.append((place, str(item) if file else f"inputs[{place}]", value))
            size += length
        if batch:
            yield from self._halved(batch, rejected)

    def _halved(self, batch, rejected, asked=0.0):
        """The answers to a batch of (place, what to call it, image), in parts where the model does not take the whole.

        asked: for how many seconds in vain. A server that has taken a fifth of what one request may is asked no more.
        """
        started = time.monotonic()
        try:
            answer = self._answer([value for *_, value in batch])
        except InputRejected as error:
            asked += time.monotonic() - started
            if len(batch) == 1:
                ((place, name, _),) = batch
                if rejected is None:
                    raise InputRejected(f"cannot predict {name}: {error}") from None
                rejected(place, error)
                return
            if asked > self._model.timeout / 5:
                words = f"{self.name} took {asked:.0f} s to refuse these and half of these images, and so on"
                raise InputError(f"{words}; {self.remedy}") from None
            middle = len(batch) // 2
            yield from self._halved(batch[:middle], rejected, asked)
            yield from self._halved(batch[middle:], rejected, asked)
        else:
            yield answer

    def _answer(self, values):
        """The answer to bytes and arrays of any sizes, asked together where they are bytes, or of one size."""
        groups = {}
        for place, value in enumerate(values):
            groups.setdefault(getattr(value, "shape", None), []).append(place)
        answers = []
        for shape, places in groups.items():
            group = [values[place] for place in places]
            if shape is None:
                answers.append(cropped(self.call("predict_bytes", group)))
            else:
                valid = {"valid": np.ones(len(group), bool)}
                answers.append(self.call("serving_default", np.stack(group)) | valid)
        order = np.argsort(np.concatenate(list(groups.values())))
        return {name: array[order] for name, array in together(answers).items()}

    def _nothing(self):
        """What no images are answered with."""
        _, _, outputs = self.signatures.get("predict_bytes") or self._signature("serving_default")
        return {name: empty(name, *tensor) for name, tensor in outputs.items()} | {"valid": np.empty(0, bool)}


def undecodable(content):
    """Whether an encoded image claims more pixels than any model of ours decodes."""
    most = MOST_JPEG_PIXELS if content.startswith(JPEG) else MOST_PIXELS
    return math.prod(claimed_sides(content) or (0, 0)) > most


def image_words(tensor):
    """What a signature's input, the Tensor of a batch of images, takes: `uint8 (height, width, channels)`."""
    names = ("height", "width", "channels")
    sizes = [str(size or name) for name, size in zip(names, (tensor.shape or [])[1:], strict=False)]
    return f"{tensor.dtype} ({', '.join(sizes) or ', '.join(names)})"


def read(file):
    """The bytes of a file. Raises InputError when it cannot be read."""
    with reading_from(file), open(file, "rb") as opened:
        return opened.read(MOST_FILE_BYTES)
