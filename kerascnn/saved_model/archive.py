"""Writing a SavedModel as the next version of a model folder that is whole and checked, or not there."""

import contextlib
import datetime
import inspect
import logging
import os
import tempfile
from pathlib import Path

import tensorflow as tf

from kerascnn.files import check_utf8, raise_if_disk_full, remove_leftovers, write_json, writing_to
from kerascnn.provenance import provenance
from kerascnn.saved_model.versions import CARD, digests


def write_version(endpoints, inputs, verify, folder, card):
    """Write a SavedModel of `endpoints` as the next version in `folder`; the path of that version's folder.

    endpoints: by signature name, the function that answers and the tf.TensorSpec of its input. inputs: a batch for
    each, the first of which becomes its warm-up request. verify(version folder, folder for scratch files) -> what
    card.json says of parity; where it raises, nothing is left. card: what card.json says besides, JSON types.
    """
    with work_folder(folder) as work:
        version = work / "saved_model"
        specs = {name: spec for name, (_, spec) in endpoints.items()}
        with without_info():
            save(endpoints, version)
        differences = verify(version, work)
        extra = version / "assets.extra"
        extra.mkdir()
        write_warmup(extra / "tf_serving_warmup_requests", folder.name, specs, inputs)
        own = {
            "inputs": {
                name: {"name": spec.name, "dtype": spec.dtype.name, "shape": spec.shape.as_list()}
                for name, spec in specs.items()
            },
            "parity": differences,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "versions": provenance()["versions"],
        }
        write_json(version / CARD, card | own | {"sha256": digests(version)})
        return published(version, folder)


def save(endpoints, version):
    """Write a SavedModel with the signatures `endpoints`, as write_version takes them, and the variables they use.

    keras.export.ExportArchive writes the same, but traces each function twice.
    """
    functions = {
        name: tf.function(answer, input_signature=[spec]).get_concrete_function()
        for name, (answer, spec) in endpoints.items()
    }
    module = tf.Module()
    # by name: TensorFlow gives them in another order each time, and variables.data would be another file
    module.captured = [sorted(function.variables, key=lambda each: each.name) for function in functions.values()]
    tf.saved_model.save(module, str(version), signatures=functions)


@contextlib.contextmanager
def without_info():
    """TensorFlow without its INFO lines, which in a notebook would name the work folder, gone afterwards."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(level)


def described(function):
    """The name of a function, or an object with its fields, and the first line of its documentation, for a card."""
    name, words = getattr(function, "__name__", repr(function)), inspect.getdoc(function) or ""
    return f"{name}: {words.splitlines()[0]}" if words else name


@contextlib.contextmanager
def work_folder(folder):
    """A folder inside `folder` that is gone afterwards; so is `folder` itself if it is new and still empty then.

    Its name is no integer, so a server that polls `folder` does not look into it. What killed processes left is taken
    away. Raises InputError where `folder` cannot be written to, or is full while the body writes.
    """
    check_utf8(folder)
    try:
        with writing_to(folder), full_disk_named():
            folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder, ".export-*-*")
            with tempfile.TemporaryDirectory(prefix=f".export-{os.getpid()}-", dir=folder) as path:
                yield Path(path)
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()


@contextlib.contextmanager
def full_disk_named():
    """Turn what TensorFlow says of a full disk into the OSError that it was."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise_if_disk_full(str(error))
        raise


def write_warmup(path, model_name, specs, inputs):
    """One request per signature with its first input, which TensorFlow Serving replays before it serves a version."""
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, spec in specs.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model_name
            request.model_spec.signature_name = name
            request.inputs[spec.name].CopyFrom(tf.make_tensor_proto(inputs[name][:1], spec.dtype))
            log = prediction_log_pb2.PredictLog(request=request)
            writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def published(version, folder):
    """Rename `version` to the next free number in `folder`. A rename onto a filled folder fails, so nothing is lost."""
    while True:
        numbers = [int(child.name) for child in folder.iterdir() if child.name.isdecimal()]
        place = folder / str(max(numbers, default=0) + 1)
        try:
            return version.rename(place)
        except OSError:
            if not place.exists():
                raise
