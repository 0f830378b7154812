"""What the commands that predict share: inputs read one after another, places for results, and who answers."""

import itertools
import os
from pathlib import Path

from kerascnn.cli.folders import trained_run
from kerascnn.errors import InputError, UsageError
from kerascnn.files import check_writable
from kerascnn.tensorflow_setup import load_tensorflow
from kerascnn.training.record import RunSchema, read_record_if_any


def loaded(items, load, errors):
    """Each (item, load(item)), one at a time; the messages about those that cannot be read go to the list `errors`."""
    for item in items:
        try:
            value = load(item)
        except InputError as error:
            errors.append(str(error))
        else:
            yield item, value


def places_of(named, folder, suffix=""):
    """Where in `folder` to write what is made of each (path, name): its name, numbered where two are alike, and suffix.

    Raises UsageError when a place is, or is a folder above, a path that is read, and InputError where files cannot be
    written into `folder`.
    """
    places = []
    read = [(path, Path(os.path.realpath(path))) for path, _ in named]  # resolve() fails where links lead in circles
    for _, name in named:
        numbered = (f"{name}-{number}" if number > 1 else name for number in itertools.count(1))
        places.append(next(place for each in numbered if (place := folder / f"{each}{suffix}") not in places))
        place = os.path.realpath(places[-1])
        for path, resolved in read:
            if resolved.is_relative_to(place):
                raise UsageError(
                    f"{path} is read and would be written over, at {places[-1]}; choose another folder with --results"
                )
    check_writable(folder)
    return places


def predictor_of(app, out, server, signature, outputs):
    """The Predictor of the SavedModel in `out`, or of the model that a server at an address has under the app's name.

    out: None for the app's newest run or shipped model. Raises InputError where `out` holds a model of another app, or
    the model has no such signature with the outputs {name: Tensor}.
    """
    from kerascnn.serving.client import ServedModel
    from kerascnn.serving.predictor import Predictor, load_predictor

    if server:
        predictor = Predictor(ServedModel(f"{server.rstrip('/')}/v1/models/{app}"))
    else:
        out = trained_run(app, out)
        read_record_if_any(out, RunSchema(app))
        load_tensorflow()
        predictor = load_predictor(out)
    predictor.require(signature, outputs)
    return predictor
