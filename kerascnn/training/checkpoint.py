"""A training's checkpoint: one file with the variables of a model and its optimizers, and the state of callbacks."""

import hashlib
import json
import os

import keras
import numpy as np

from kerascnn.errors import InputError, UsageError
from kerascnn.files import reading_from, write_aside
from kerascnn.training.precision import has_own_step

COMMENT_LENGTH = 2  # bytes of its field in a ZIP archive, the last one of an archive without a comment
HEX_DIGITS = 64  # of a SHA-256
ARRAY = "__array__"  # in a state, before the name of what stands beside it


def variables(model):
    """Every variable that a training step may change: the model's own, then those of each optimizer that it holds.

    A model with its own train_step may hold more optimizers than the compiled one, as attributes of its own or of a
    model inside it. Raises UsageError for one of these that is not built, whose variables are not there yet; the
    compiled one is built here.
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    optimizers = {}
    for owner in model._flatten_layers() if has_own_step(model) else [model]:
        # attributes that begin with a line are Keras's own books of the same
        for name, value in {name: value for name, value in vars(owner).items() if not name.startswith("_")}.items():
            parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
            found = [part for part in parts if isinstance(part, keras.optimizers.Optimizer)]
            optimizers |= {id(optimizer): optimizer for optimizer in found}
            if not all(optimizer.built for optimizer in found):
                words = f"{name} of model {owner.name} is not built, so its state cannot be kept"
                raise UsageError(f"{words}; call its build(variables) before training", argument="model")
    return [*model.variables, *(variable for optimizer in optimizers.values() for variable in optimizer.variables)]


def assign(variables, arrays):
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def write_checkpoint(path, model, state):
    """Write the model's variables and `state`, dicts and lists of numbers, texts, None and arrays, to an .npz file."""
    named = {f"variable/{i}": variable.numpy() for i, variable in enumerate(variables(model))}
    text = json.dumps(without_arrays(state, named))
    # NumPy stores no bfloat16
    named = {name: a.astype(np.float32) if a.dtype.name == "bfloat16" else a for name, a in named.items()}

    def write(aside):
        np.savez(aside, state=text, **named)
        seal(aside)

    write_aside(path, write)


def read_checkpoint(path):
    """(arrays of the model's variables, state) of a checkpoint. Raises InputError where it is damaged."""
    with reading_from(path):
        if not sealed(path):
            raise InputError(f"{path} is damaged (its checksum is another one); train again into another folder")
        with np.load(path) as stored:
            arrays = dict(stored)
    state = with_arrays(json.loads(str(arrays["state"])), arrays)
    count = sum(name.startswith("variable/") for name in arrays)
    return [arrays[f"variable/{i}"] for i in range(count)], state


def seal(path):
    """Write the SHA-256 of a ZIP archive into its comment, which is the last that stands in it.

    The CRC-32 that ZIP has of each entry covers neither names nor the directory, and readers differ in what they check.
    """
    with open(path, "rb+") as file:
        file.seek(-COMMENT_LENGTH, os.SEEK_END)
        file.write(HEX_DIGITS.to_bytes(COMMENT_LENGTH, "little"))
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.write(digest.encode())


def sealed(path):
    """Whether `seal` has written this file, and nothing has changed since."""
    content = np.memmap(path, np.uint8, "r") if os.path.getsize(path) > HEX_DIGITS else np.zeros(0, np.uint8)
    digest = hashlib.sha256(content[:-HEX_DIGITS]).hexdigest()
    return content[-HEX_DIGITS:].tobytes() == digest.encode()


def without_arrays(value, arrays):
    """`value` for JSON: each array goes into the dict `arrays`, and its name there takes its place."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        name = f"state/{len(arrays)}"
        arrays[name] = value
        return {ARRAY: name}
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {name: without_arrays(part, arrays) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_arrays(part, arrays) for part in value]
    if not isinstance(value, str | int | float | None):
        raise UsageError(
            f"callbacks has a state with {value!r}; give dicts of texts, lists, numbers, texts, None and arrays",
            argument="callbacks",
        )
    return value


def with_arrays(value, arrays):
    """What without_arrays was given."""
    if isinstance(value, dict):
        if value.keys() == {ARRAY}:
            return arrays[value[ARRAY]]
        return {name: with_arrays(part, arrays) for name, part in value.items()}
    return [with_arrays(part, arrays) for part in value] if isinstance(value, list) else value
