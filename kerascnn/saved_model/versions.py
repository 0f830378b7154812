"""Finding and calling an exported SavedModel with TensorFlow alone: no Keras call, none of our model code."""

import hashlib
import math
import re
from pathlib import Path

from kerascnn.errors import InputError, InputRejected, reason_of
from kerascnn.files import read_json_if_any, reading_from
from kerascnn.saved_model.signatures import signatures_of

CARD = Path("assets.extra", "card.json")  # in a version folder


def versions(folder):
    """The version folders in a model folder, lowest number first."""
    children = folder.iterdir() if folder.is_dir() else ()
    found = [child for child in children if child.name.isdecimal() and (child / "saved_model.pb").is_file()]
    return sorted(found, key=lambda child: int(child.name))


def latest_version(folder):
    """The highest version folder. Raises InputError when there is none."""
    found = versions(folder)
    if not found:
        raise InputError(f"no SavedModel under {folder}; export a model into it first, or name another folder")
    return found[-1]


def digests(version):
    """{path: SHA-256 as hex digits} of what TensorFlow reads of a version folder; assets.extra is its owner's."""
    found = {}
    for path in sorted(version.rglob("*")):
        if path.is_file() and CARD.parent not in path.relative_to(version).parents:
            with open(path, "rb") as file:
                found[path.relative_to(version).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def check_digests(version):
    """Raise InputError where files of a version are others than its card says; some cards do not say it."""
    card = read_json_if_any(version / CARD)
    said = card.get("sha256") if isinstance(card, dict) else None
    if isinstance(said, dict):
        with reading_from(version):
            there = digests(version)
        if others := [path for path, digest in said.items() if there.get(path) != digest]:
            words = f"{version / others[0]} is damaged (its checksum is not the one in {CARD.name})"
            raise InputError(f"{words}; restore it or export again")


def load_signatures(version):
    """The signatures of the SavedModel in a version folder, by name. Raises InputError when it is damaged."""
    import tensorflow as tf

    check_digests(Path(version))
    try:
        return tf.saved_model.load(str(version)).signatures
    except Exception as error:  # whatever a damaged file makes TensorFlow raise
        words = reason_of(error)
        raise InputError(f"the SavedModel {version} is damaged ({words}); restore it or export again") from None


class SavedModel:
    """The model in a version folder. signatures: {name: Signature}. Raises InputError when it is damaged."""

    remedy, timeout = "name another folder", math.inf

    def __init__(self, version):
        self.name = str(version)
        self._functions = load_signatures(version)
        self.signatures = signatures_of(self._functions)

    def call(self, signature, values, wanted):
        """{output name: array} of the outputs named in `wanted` of a signature on an array, or on a list of bytes.

        Numbers have the dtypes of the signature, text is a str array, and what is called *_bytes an array of bytes
        objects. Raises InputRejected when the model does not take the values.
        """
        import numpy as np
        import tensorflow as tf

        name, tensor, _ = self.signatures[signature]
        try:
            outputs = self._functions[signature](**{name: tf.constant(values, tensor.dtype)})
        except (tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError) as error:
            raise InputRejected(f"{self.name} does not take this input ({reason(error)})") from None
        arrays = {key: array_of(outputs[key]) for key in wanted}
        for key, array in arrays.items():
            if array.dtype == object and not key.endswith("_bytes"):
                words = [part.decode(errors="replace") for part in array.flat]
                arrays[key] = np.array(words, str).reshape(array.shape)
        return arrays


def array_of(tensor):
    """The NumPy array of a tensor; TensorFlow gives bytes for a single text."""
    import numpy as np

    value = tensor.numpy()
    return np.array(value, object) if isinstance(value, bytes) else value


def reason(error):
    """Why a model does not take its input: one line of a tf.errors.OpError."""
    # The reason is the last line before the list of graph nodes; node names, in double braces, say nothing here.
    line = (error.message or "the model failed").split("\n\t [[")[0].splitlines()[-1]
    return re.sub(r"\{\{.*?\}\}", "", line).strip()
