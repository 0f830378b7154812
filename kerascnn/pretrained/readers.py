"""Files of weights as plain arrays by name, read whole and checked before anything is built or loaded.

`.safetensors`, `.npz`, Keras's `.h5`, and PyTorch's `.pth`, `.pt`, `.th`, `.bin` and `.ckpt`. No code of a file is run.
"""

import hashlib
import io
import re
import zipfile
from pathlib import Path

import numpy as np

from kerascnn.errors import InputError, UsageError
from kerascnn.files import check_archive, reading_from
from kerascnn.pretrained.pytorch import read_pytorch

MOST_COMPRESSION = 100  # of an .npz file
OLD_NAMES = {"W": "kernel", "b": "bias"}  # of keras.applications files from before Keras 2


def read_weights(file, key=None):
    """{name: array} of all tensors in a file; names are joined by "." in PyTorch's files and "/" in Keras's.

    key: where a file of PyTorch has several dicts of tensors, the key of the one to read.
    A file name that ends in eight digits of its SHA-256, as PyTorch's do (resnet18-f37072fd.pth), is held to them.
    Raises UsageError for another kind of file or key, InputError when the file cannot be read or is damaged.
    """
    import ml_dtypes  # noqa: F401  lets NumPy know bfloat16

    path = Path(file)
    if path.suffix not in READERS:
        raise UsageError(f"file is {path}, which is no file of weights; give one of {', '.join(READERS)}")
    read = READERS[path.suffix]
    if key is not None and read is not read_pytorch:
        raise UsageError(f"key is {key!r}, but only files of PyTorch have keys; leave it out", argument="key")
    with reading_from(path):
        check_digits(path)
    try:
        return read(path) if key is None else read(path, key)
    except (InputError, UsageError):
        raise
    # The readers of foreign formats fail in every way, also with exceptions that are their own.
    except Exception as error:
        reason = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{path} is damaged or holds more than weights ({reason[0]}); download it again") from None


DIGITS = re.compile(r"-([0-9a-f]{8})$")
YEAR, MONTH, DAY = r"(19|20)\d\d", "(0[1-9]|1[0-2])", r"(0[1-9]|[12]\d|3[01])"
DATE = re.compile(f"-({YEAR}{MONTH}{DAY}|{DAY}{MONTH}{YEAR}|{MONTH}{DAY}{YEAR})$")


def check_digits(path):
    """Hold the file to the digits of SHA-256 in its name, when there are any; a date (-20240131, -31012024) is none."""
    expected = DIGITS.search(path.stem)
    digest = sha256(path)
    if expected and not DATE.search(path.stem) and not digest.startswith(expected[1]):
        raise InputError(f"{path} is damaged (SHA-256 {digest[:8]}…, its name says {expected[1]}); download it again")


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_safetensors(path):
    from safetensors.numpy import load_file

    return load_file(path)


def read_npz(path):
    check_archive(path, MOST_COMPRESSION)
    with zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy"): read_npy(archive.read(name)) for name in archive.namelist()}


def read_npy(content):
    """The array in the bytes of an .npy file. Raises ValueError where they are not all of it.

    np.load stops where the array ends that the header claims, and then an archive's checksum is not looked at.
    """
    array = np.lib.format.read_array(file := io.BytesIO(content), allow_pickle=False)
    if file.read(1):
        raise ValueError("an array is followed by more than itself")
    return array


def read_h5(path):
    """Keras's HDF5 files, of weights or of a whole model: {layer/weight: array}, whatever lies between the two."""
    import h5py

    arrays = {}

    def visit(name, node):
        if isinstance(node, h5py.Dataset) and not name.startswith("optimizer_weights/"):
            parts = name.removeprefix("model_weights/").split("/")
            if parts[0] in ("layers", "_layer_checkpoint_dependencies"):
                raise UsageError(
                    f"file {path} comes from Keras 3's save_weights and has no names of layers; give a file of "
                    "keras.applications, or one of model.save that ends in .h5"
                )
            weight = re.sub(r"^.*_([Wb])_\d+$", r"\1", parts[-1].split(":")[0])
            key = f"{parts[0]}/{OLD_NAMES.get(weight, weight)}"
            if key in arrays:
                words = f"file {path} has several arrays called {weight} below {parts[0]}, a model within the model"
                raise UsageError(f"{words}; save that one alone, model.get_layer({parts[0]!r}).save(…)")
            arrays[key] = node[()]

    with h5py.File(path) as file:
        file.visititems(visit)
    return arrays


READERS = {
    **{".safetensors": read_safetensors, ".npz": read_npz, ".h5": read_h5},
    **dict.fromkeys((".pth", ".pt", ".th", ".bin", ".ckpt"), read_pytorch),
}
