"""Files of weights as plain arrays by name, read whole and checked before anything is built or loaded.

`.safetensors`, `.npz`, Keras's `.h5`, and PyTorch's `.pth` and `.pt` where torch is installed. Pickled code is never
executed.
"""

import hashlib
import pickle
import re
from pathlib import Path

import numpy as np

from kerascnn.errors import InputError, UsageError

OLD_NAMES = {"W": "kernel", "b": "bias"}  # of keras.applications files from before Keras 2


def read_weights(path):
    """{name: array} of all tensors in a file; names are joined by "." in PyTorch's files and "/" in Keras's.

    A file name that ends in eight digits of its SHA-256, as PyTorch's do (resnet18-f37072fd.pth), is held to them.
    Raises UsageError for another kind of file, InputError when the file cannot be read or is damaged.
    """
    path = Path(path)
    if path.suffix not in READERS:
        raise UsageError(f"{path} is no file of weights; give one of {', '.join(READERS)}")
    check_digits(path)
    try:
        return READERS[path.suffix](path)
    except UsageError:
        raise
    # The readers of foreign formats fail in every way, also with exceptions that are their own.
    except Exception as error:
        reason = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{path} is damaged or holds more than weights ({reason[0]}); download it again") from None


def check_digits(path):
    """Hold the file to the digits of SHA-256 in its name, when there are any."""
    try:
        digest = sha256(path)
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror}); check the path") from None
    expected = re.search(r"-([0-9a-f]{8})$", path.stem)
    if expected and not digest.startswith(expected[1]):
        raise InputError(f"{path} is damaged (SHA-256 {digest[:8]}…, its name says {expected[1]}); download it again")


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_safetensors(path):
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError:
        raise UsageError(f"{path} needs the package safetensors; run pip install safetensors") from None
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(error) from None


def read_npz(path):
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
        return dict(stored)


def read_h5(path):
    """Keras's HDF5 files, of weights or of a whole model: {layer/weight: array}, whatever lies between the two."""
    import h5py

    arrays = {}

    def visit(name, node):
        if isinstance(node, h5py.Dataset) and not name.startswith("optimizer_weights/"):
            parts = name.removeprefix("model_weights/").split("/")
            if parts[0] in ("layers", "_layer_checkpoint_dependencies"):
                raise UsageError(
                    f"{path} comes from Keras 3's save_weights and has no names of layers; give a file of "
                    "keras.applications, or one of model.save that ends in .h5"
                )
            weight = re.sub(r"^.*_([Wb])_\d+$", r"\1", parts[-1].split(":")[0])
            key = f"{parts[0]}/{OLD_NAMES.get(weight, weight)}"
            if key in arrays:
                raise ValueError(f"two arrays are {key}")
            arrays[key] = node[()]

    with h5py.File(path) as file:
        file.visititems(visit)
    return arrays


def read_pth(path):
    try:
        import torch
    except ImportError:
        raise UsageError(
            f"{path} needs the package torch; install it, or convert the file to .safetensors where torch is"
        ) from None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        # torch's own words advise to execute it
        raise ValueError("pickled objects other than tensors, which are never loaded") from None
    if not isinstance(state, dict):
        raise ValueError(f"a {type(state).__name__} and no state dict")
    state = next((state[key] for key in ("state_dict", "model") if isinstance(state.get(key), dict)), state)
    return {name: tensor.detach().float().numpy() for name, tensor in state.items()}


READERS = {".safetensors": read_safetensors, ".npz": read_npz, ".h5": read_h5, ".pth": read_pth, ".pt": read_pth}
