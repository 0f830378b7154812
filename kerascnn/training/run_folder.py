"""What a run folder holds: whose run it is, whether it is finished, and its trained model."""

import json
import logging
import zipfile

from kerascnn.errors import InputError, UsageError
from kerascnn.files import read_json

logger = logging.getLogger(__name__)


def load_trained(folder, app):
    """(model, recipe record) of a finished run in `folder`; the model is not compiled and ends in `logits` alone.

    Raises InputError when there is no finished run, or one of another app, or its files are damaged.
    """
    if not (folder / "recipe.json").is_file() or not (folder / "model.keras").is_file():
        raise InputError(f"no trained model at {folder / 'model.keras'}; train one first, or name another folder")
    import keras

    from kerascnn.models import builder

    record = read_json(folder / "recipe.json")
    check_app(record, folder, app)
    try:
        builder(record["recipe"]["model"])
        return main_head(keras.saving.load_model(folder / "model.keras", compile=False)), record
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, UsageError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder / 'model.keras'} is damaged ({reason}); restore it or train again") from None


def main_head(model):
    """The part of a network with auxiliary heads that ends in `logits`; any other network as it is."""
    if not isinstance(model.output, dict):
        return model
    import keras

    return keras.Model(model.input, model.output["logits"], name=model.name)


def check_app(record, folder, app):
    """Raise InputError unless the run recorded in `folder` is one of the app `app`."""
    found = record.get("app") if isinstance(record, dict) else None
    if found != app:
        raise InputError(f"{folder} holds a model of {found or 'no app'}, not of {app}; name another folder")


def check_unfinished(folder):
    """Raise UsageError where `folder` holds a finished run."""
    if (folder / "recipe.json").exists():
        raise UsageError(f"{folder} holds a finished run; choose another folder")


def check_same_run(folder, recorded, given):
    """Raise UsageError unless the run in `folder`, of which this is `recorded`, had what is `given` now, two dicts."""
    if was := differences(recorded, json.loads(json.dumps(given))):
        raise UsageError(f"{folder} was trained with {', '.join(was)}; give the same recipe or choose another folder")


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
            found.append(f"{name} {was!r} (now {now!r})")
    return found
