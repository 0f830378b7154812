"""What a run folder holds: whose run it is, whether it is finished, and its trained model."""

import json
import logging
from pathlib import Path

from kerascnn.errors import InputError, UsageError, reason_of, shortened
from kerascnn.files import check_archive, read_json_if_any, reading_from
from kerascnn.training.record import read_record, read_record_if_any, record_file

logger = logging.getLogger(__name__)


def load_trained(folder, schema):
    """(model, recipe record) of a finished run in `folder`; the model is not compiled and ends in `logits` alone.

    schema: the RunSchema of the app. Raises InputError when there is no finished run, or one of another app, or its
    files are damaged.
    """
    record = read_record(folder, schema)
    return main_head(load_model(folder)), record


def load_model(place):
    """The keras.Model in a run folder or a .keras file, not compiled.

        model = kc.load_model("runs/mine")

    keras.saving.load_model does the same where kerascnn's layers are known to it, which is after
    `import kerascnn.models`. Raises InputError when there is none, or it is damaged.
    """
    place = Path(place)
    path = place / "model.keras" if place.is_dir() else place
    if not path.is_file():
        raise InputError(f"no trained model at {path}; train one first, or name another folder")
    import keras

    import kerascnn.models  # noqa: F401, Keras has to know our layers

    with reading_from(path):
        try:
            check_archive(path)
        except ValueError as error:
            raise InputError(f"{path} is damaged ({error}); restore it or train again") from None
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # whatever a damaged file makes Keras, h5py and zipfile raise
        reason = reason_of(error)
        if "Could not locate" in str(error):
            raise InputError(
                f"{path} holds what Keras does not know ({reason}); import the module that registers it with "
                "keras.saving.register_keras_serializable first"
            ) from None
        if "safe_mode" in str(error):
            raise InputError(
                f"{path} holds Python code, as a Lambda layer does, and code of a file is not run; use a layer of its "
                "own class instead, or keras.saving.load_model(path, safe_mode=False) where you trust the file"
            ) from None
        raise InputError(f"{path} is damaged ({reason}); restore it or train again") from None


def check_logits(model):
    """Raise UsageError where the last layer of a model makes probabilities, as far as it says so."""
    import keras

    normalised = keras.activations.softmax, keras.activations.sigmoid
    for layer in map(maker, plain(model).outputs):
        if isinstance(layer, keras.layers.Softmax) or getattr(layer, "activation", None) in normalised:
            raise UsageError(
                f"model {model.name} ends in an activation, and logits are wanted; leave it out, and where you compile "
                "take a loss of from_logits=True",
                argument="model",
            )


def maker(tensor):
    """The layer that a symbolic tensor comes from, the one inside where that is a model."""
    layer, _, index = tensor._keras_history
    return maker(layer.outputs[index]) if getattr(layer, "outputs", None) else layer


def run_card(model, folder):
    """What a SavedModel's card says of its run, JSON types: recipe and data, and metrics, None where they are not."""
    record = read_record_if_any(folder) or {}
    about = {name: record.get(name) for name in ("recipe", "data")}
    return {"model": model.name, **about, "metrics": read_json_if_any(Path(folder) / "metrics.json")}


def plain(model):
    """The same layers as a plain Functional keras.Model: not compiled, no class of its own.

    Raises UsageError for what is no model, or has no input and output of its own.
    """
    import keras

    if not isinstance(model, keras.Model):
        raise UsageError(f"model is {model!r}, which is no keras.Model; give a built one", argument="model")
    if not getattr(model, "outputs", None):
        words = f"model {model.name} has no input and output of its own"
        remedy = "build it as keras.Model(inputs, outputs) or keras.Sequential with a keras.Input"
        raise UsageError(f"{words}; {remedy}", argument="model")
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return keras.Model(model.input, model.output, name=model.name)


def main_head(model):
    """The part of a network with auxiliary heads that ends in `logits`; any other network as it is."""
    import keras

    outputs = model.output if isinstance(model.output, dict) else {}
    if len(model.outputs) > 1 and "logits" not in outputs:
        words = f"model {model.name} has {len(model.outputs)} outputs, none of them called logits"
        raise UsageError(f"{words}; give keras.Model(model.input, one of them)", argument="model")
    if not outputs:
        return model
    return keras.Model(model.input, outputs.get("logits", model.outputs[0]), name=model.name)


def check_unfinished(folder):
    """Raise UsageError where `folder` holds a finished run."""
    if record_file(folder).exists():
        raise UsageError(f"folder {folder} holds a finished run; choose another folder")


def check_same_run(folder, recorded, given):
    """Raise UsageError unless the run in `folder`, of which this is `recorded`, had what is `given` now, two dicts."""
    if was := differences(recorded, json.loads(json.dumps(given))):
        raise UsageError(
            f"folder {folder} was trained with {', '.join(was)}; give the same recipe or choose another folder"
        )


def warn_of_other_data(record, data):
    """Log a warning unless a run was trained on `data`, a Dataset or PatientDataset. record: its recipe.json."""
    if data.checksum() != record["data"]["sha256"]:
        logger.warning("the data are not those that the model was trained on")


def differences(recorded, given):
    """`name was (now is)` of every name whose values differ between two dicts, or two dicts in them, as a list."""
    found = []
    for name in recorded | given:
        was, now = recorded.get(name), given.get(name)
        if isinstance(was, dict) and isinstance(now, dict):
            found += differences(was, now)
        elif was != now:
            found.append(f"{name} {shortened(repr(was), 200)} (now {shortened(repr(now), 200)})")
    return found
