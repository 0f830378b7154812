"""PyTorch's files without PyTorch: what torch.save writes, since version 1.6 and before.

Both formats hold a pickle in which every tensor names a storage, a plain row of numbers that lies outside of it: in a
zip archive as an entry of its own, and in the older format behind the pickles. Of the pickle only what ALLOWED names is
made, and nothing of it runs code of the file.
"""

import functools
import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from kerascnn.errors import InputError, UsageError
from kerascnn.files import check_archive

STORAGES = {
    **{"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "BFloat16Storage": "bfloat16"},
    **{"LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1"},
    "BoolStorage": "?",
}
# What training code keeps beside the weights: read over, never made.
PASSED_OVER = (
    *(("argparse", "Namespace"), ("collections", "Counter"), ("_codecs", "encode"), ("torch", "device")),
    *(("__builtin__", "set"), ("builtins", "set"), ("pathlib", "PosixPath"), ("pathlib", "WindowsPath")),
    *(("numpy", "dtype"), ("numpy", "ndarray"), ("torch", "float16"), ("torch", "bfloat16"), ("torch", "float32")),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
)
MAGIC_NUMBER, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # with which the older format begins


class Storage(NamedTuple):
    key: str
    dtype: np.dtype
    count: int  # of numbers


class Tensor(NamedTuple):
    """A tensor whose numbers are not read yet; offset and strides count numbers of the storage."""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple


def read_pytorch(path, key=None):
    """{name: array} of the one dict of tensors in the file, or of the one under `key`; keys are joined by ".".

    Raises UsageError when there are several and `key` names none of them, InputError when there is none or the file
    holds pickled objects.
    """
    with open(path, "rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"
        file.seek(0)
        content, numbers = (zip_parts if is_zip else older_parts)(file, path)
        numbers = functools.cache(numbers)
        tensors = chosen(dicts_of_tensors(content), key, path, content)
        return {name: array(tensor, numbers(tensor.storage)) for name, tensor in tensors.items()}


def zip_parts(file, path):
    """(what the zip archive's pickle holds, a function from a Storage to its array)."""
    check_archive(file)
    archive = zipfile.ZipFile(file)
    entries = {entry.filename.partition("/")[2]: entry for entry in archive.infolist()}
    # PyTorch compresses nothing; a compressed entry could be of any size
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
        raise ValueError("compressed entries")
    if "byteorder" in entries and archive.read(entries["byteorder"]) != b"little":
        raise ValueError("numbers of which the highest byte comes first")
    content = Unpickler(io.BytesIO(archive.read(entries["data.pkl"])), path).load()

    def numbers(storage):
        return np.frombuffer(archive.read(entries[f"data/{storage.key}"]), storage.dtype)

    return content, numbers


def older_parts(file, path):
    """The same of the older format: magic number, protocol, system, content, keys of storages, then the storages."""
    for expected in (MAGIC_NUMBER, PROTOCOL):
        if Unpickler(file, path).load() != expected:
            raise ValueError("no file of PyTorch")
    Unpickler(file, path).load()
    unpickler = Unpickler(file, path)
    content = unpickler.load()
    places = {}
    for key in Unpickler(file, path).load():
        storage, count = unpickler.storages[key], int.from_bytes(file.read(8), "little")
        if count != storage.count:
            raise ValueError(f"a storage of {count} numbers in place of {storage.count}")
        places[key] = file.tell()
        file.seek(count * storage.dtype.itemsize, io.SEEK_CUR)
    if file.tell() > file.seek(0, io.SEEK_END):
        raise ValueError("cut off")

    def numbers(storage):
        file.seek(places[storage.key])
        return np.frombuffer(file.read(storage.count * storage.dtype.itemsize), storage.dtype)

    return content, numbers


class Unpickler(pickle.Unpickler):
    """Reads a pickle of torch.save with a Tensor for every tensor, and the storages by key.

    Raises InputError for any class that is not allowed.
    """

    def __init__(self, file, path):
        super().__init__(file, encoding="utf-8")  # names in files of Python 2 are bytes
        self.file, self.path, self.storages = file, path, {}
        # A class of its own each time, since a pickle can set attributes of a class.
        nothing = {"__init__": lambda self, *arguments: None, "__setstate__": lambda self, state: None}
        self.allowed = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch", "Size"): tuple,
            ("torch._utils", "_rebuild_tensor"): self.tensor,
            ("torch._utils", "_rebuild_tensor_v2"): self.tensor,
            ("torch._utils", "_rebuild_parameter"): self.parameter,
            **{("torch", name): name for name in STORAGES},
            **dict.fromkeys(PASSED_OVER, type("PassedOver", (), nothing)),
        }

    def load(self):
        start = self.file.tell()
        for operation, argument, position in pickletools.genops(self.file):
            # Python makes room for all numbers below one of these, 64 GiB of it for the highest
            if operation.name.endswith("PUT") and argument > position:
                raise ValueError("a pickle of which the memo has gaps")
        self.file.seek(start)
        return super().load()

    def find_class(self, module, name):
        if (module, name) not in self.allowed:
            raise InputError(
                f"{self.path} holds an object of {f'{module}.{name}'[:80]!r}, which is never loaded from a file; "
                "save the model's state_dict() alone"
            )
        return self.allowed[module, name]

    def persistent_load(self, reference):
        kind, dtype, key, _, count, *view = reference
        if kind != "storage" or any(view):
            raise ValueError(f"a {kind} that is not known")
        self.storages[key] = Storage(key, np.dtype(STORAGES[dtype]), count)
        return self.storages[key]

    def tensor(self, storage, offset, shape, strides, *_):
        return Tensor(storage, offset, shape, strides)

    def parameter(self, tensor, *_):
        return tensor


def dicts_of_tensors(content):
    """{keys that lead there, joined by ".": dict of nothing but tensors} for dicts at most two below `content`."""
    found, seen, queue = {}, set(), [((), content)]
    for path, value in queue:
        if not isinstance(value, dict) or not value or id(value) in seen:
            continue
        seen.add(id(value))
        if all(isinstance(inside, Tensor) for inside in value.values()):
            found[".".join(path)] = value
        elif len(path) < 2:
            queue += [((*path, key), inside) for key, inside in value.items() if isinstance(key, str)]
    return found


def chosen(dicts, key, path, content):
    """The one of the dicts that `key` names, or the only one."""
    if not dicts:
        keys = f"a dict of {', '.join(map(repr, content))}" if isinstance(content, dict) else type(content).__name__
        raise InputError(f"{path} holds no dict of tensors ({keys[:200]}); give a file of weights")
    if key in dicts:
        return dicts[key]
    if key is None and len(dicts) == 1:
        return next(iter(dicts.values()))
    if "" in dicts:
        raise UsageError(f"key is {key!r}, but {path} holds its tensors under none; leave it out", argument="key")
    raise UsageError(
        f"key is {key!r}, but {path} holds tensors under {', '.join(map(repr, dicts))}; choose one", argument="key"
    )


def array(tensor, numbers):
    """The tensor as an array that shares the storage's numbers."""
    count = math.prod(tensor.shape)
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    if min(count, tensor.offset, *tensor.shape, *tensor.strides) < 0 or (count and not count <= numbers.size > last):
        raise ValueError("a tensor that reaches beyond its numbers")
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)
