"""What the commands that predict share: inputs read one after another, places for results, and who answers."""

import collections
import os
import re
from pathlib import Path

from kerascnn.cli.folders import MODELS, trained_run
from kerascnn.errors import InputError, UsageError, printable
from kerascnn.files import check_writable
from kerascnn.tensorflow_setup import load_tensorflow
from kerascnn.training.record import RunSchema, read_record_if_any

ROUNDING = 1e-5  # a softmax of float32 may be above 1 by less


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
    within = {}  # {a path that is read, or a folder above it: the first such path}
    for path, _ in named:
        real = Path(os.path.realpath(path))  # resolve() fails where links lead in circles
        for each in (real, *real.parents):
            within.setdefault(str(each), path)
    places, used = {}, collections.Counter()
    for _, name in named:
        place = None
        while place is None or place in places:
            used[name] += 1
            place = folder / f"{name}{f'-{used[name]}' if used[name] > 1 else ''}{suffix}"
        places[place] = name
        if path := within.get(os.path.realpath(place)):
            words = f"{path} is read and would be written over, at {place}"
            raise UsageError(f"{words}; choose another folder with --results")
    check_writable(folder)
    return list(places)


def predictor_of(app, out, server, signature, outputs):
    """The Predictor of the SavedModel in `out`, or of the one that a server at an address has.

    out: None for the app's newest run or shipped model. server: None, or an address: of a model, or of a server that
    has it under the name of the app's shipped one. Of the signature, the outputs {name: Tensor} alone are asked. Raises
    UsageError for no address, InputError where `out` holds a model of another app, or the model has no such signature
    with such outputs.
    """
    from kerascnn.serving.client import ServedModel
    from kerascnn.serving.predictor import Predictor, load_predictor

    if server is not None:
        address = server.rstrip("/")
        if not re.fullmatch(r"https?://[^/]+(/.*)?", address):
            words = f"--server {printable(server)!r} is no address of a server; write it as http://127.0.0.1:8501"
            raise UsageError(words)
        named = address if "/v1/models/" in address else f"{address}/v1/models/{MODELS[app]}"
        predictor = Predictor(ServedModel(named))
    else:
        out = trained_run(app, out)
        read_record_if_any(out, RunSchema(app))
        load_tensorflow()
        predictor = load_predictor(out)
    predictor.require(signature, outputs)
    return predictor


def possible(predictor, answer):
    """What the predictor has answered. Raises InputError where a probability, or a pixel of a mask, is none."""
    import numpy as np

    for name in ("score", "top_scores", "probabilities", "probability", "mask"):
        values = np.asarray(answer.get(name, 0))
        if outside := values[(values < 0) | (values > 1 + ROUNDING)].tolist():
            words = f"{predictor.name} answers {outside[0]:g} as {name}, which lies from 0 to 1"
            raise InputError(f"{words}; {predictor.remedy}")
    tops = [answer[name].shape for name in ("top_names", "top_scores") if name in answer]
    if tops[1:] and tops[0] != tops[1]:
        raise InputError(f"{predictor.name} answers top_names {tops[0]} and top_scores {tops[1]}; {predictor.remedy}")
    return answer
