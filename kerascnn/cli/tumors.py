"""The commands of the tumor networks: train, evaluate, crossvalidate, export and predict.

TensorFlow and Keras are imported inside the commands, after everything that can be checked without them.
"""

import contextlib
import dataclasses
import functools

import numpy as np

from kerascnn.cli.app import require
from kerascnn.cli.folders import trained_run
from kerascnn.cli.messages import note, result
from kerascnn.cli.prediction import loaded, places_of, possible, predictor_of
from kerascnn.errors import InputError, InputRejected
from kerascnn.files import check_writable
from kerascnn.saved_model.signatures import Tensor
from kerascnn.tensorflow_setup import load_tensorflow
from kerascnn.training.record import read_record_if_any
from kerascnn.tumors import data as sources
from kerascnn.tumors.recipes import ANSWERING, APP, RUNS, TumorRecipe
from kerascnn.tumors.training import check_new_run, folds_of

MASKS = {name: Tensor(dtype, (None,) * 4 + (1,)) for name, dtype in (("probability", "float32"), ("mask", "uint8"))}


def smoke(recipe):
    """The recipe of a few seconds' run on drawn phantoms, which proves the wiring and says so."""
    note("note: --smoke trains two epochs on drawn phantoms, whatever other flags say; its figures mean nothing")
    tiny = {"model": "unet", "width": 8, "depth": 2, "image_size": 64, "loss": "dice_cross_entropy"}
    source = {"data": "phantoms", "modalities": TumorRecipe.modalities}
    training = dataclasses.replace(recipe.training, epochs=2, decay_epochs=(), batch_size=8)
    return dataclasses.replace(recipe, **tiny, **source, training=training)


def train(recipe, data_dir, out, resume):
    """Train the network of a recipe, or its ensemble, into the folder `out`."""
    sources.check_source(recipe.data, data_dir)
    check_new_run(out, recipe.ensemble)
    load_tensorflow()
    from kerascnn.cli.progress import Progress
    from kerascnn.tumors import training

    data = sources.load(recipe.data, data_dir, recipe.modalities)
    with contextlib.closing(Progress()) as progress:
        training.train(recipe, data, out, [progress], resume)


def evaluate(data_dir, out, empty, requirements):
    """Score the model in `out` on the test patients of its split; print and check the metrics."""
    load_tensorflow()
    from kerascnn.training.run_folder import load_trained
    from kerascnn.tumors import evaluation

    model, record = load_trained(out, RUNS)
    modalities = record["recipe"].get("modalities", TumorRecipe.modalities)
    data = sources.load(record["data"]["name"], data_dir, modalities)
    metrics = evaluation.evaluate(model, record, data, out, empty)
    result({name: value for name, value in metrics.items() if name not in ("table", "by_patient", "by_slice")})
    require(metrics, requirements)


def crossvalidate(recipe, data_dir, out, empty):
    """Train and score all five folds in `out`, each from where it stands; print what they say together."""
    sources.check_source(recipe.data, data_dir)
    folds_of(recipe, out)
    check_writable(out)
    load_tensorflow()
    from kerascnn.cli.progress import Progress
    from kerascnn.tumors import cross_validation

    data = sources.load(recipe.data, data_dir, recipe.modalities)
    with contextlib.closing(Progress()) as progress:
        figures = cross_validation.crossvalidate(recipe, data, out, empty, [progress])
    result({name: value for name, value in figures.items() if name not in ("table", "by_patient", "recipe")})


def export(out):
    """Write the model in `out` as its next SavedModel version and print where that lies."""
    load_tensorflow()
    from kerascnn.training.run_folder import load_trained
    from kerascnn.tumors.export import export

    result({"saved_model": str(export(*load_trained(out, RUNS), out))})


def predict(paths, out, server, results):
    """Segment each scan: a JSON object a scan on stdout, its files in a folder of its own in `results`.

    Raises InputError, after all others are segmented, naming the scans that cannot be read and those that the model
    does not take.
    """
    from kerascnn.tumors.prediction import write_prediction
    from kerascnn.tumors.report import NOTICE
    from kerascnn.tumors.scans import read_scan, scan_name

    out = out if server is not None else trained_run(APP, out)
    record = out and read_record_if_any(out, ANSWERING)
    channels, modalities = 3, TumorRecipe.modalities
    if record:
        channels, modalities = len(record["data"]["channels"]), record["recipe"].get("modalities", modalities)
    places = places_of([(path, scan_name(path)) for path in paths], results)
    errors = []
    predictor = functools.cache(lambda: predictor_of(APP, out, server, "predict_volume", MASKS))  # for the first scan

    def read(pair):
        return read_scan(pair[0], channels, modalities)

    for (path, place), scan in loaded(zip(paths, places, strict=True), read, errors):
        model = f"{APP} at {server}" if server is not None else f"{APP}, {predictor().name}"
        try:
            answers = possible(predictor(), predictor().call("predict_volume", scan.images[np.newaxis]))
        except InputRejected as error:
            errors.append(f"cannot segment {path}: {error}")
            continue
        shape = (1, *scan.images.shape[:-1], 1)
        if other := {array.shape for name, array in answers.items() if name in MASKS} - {shape}:
            who = predictor()
            raise InputError(f"{who.name} answers masks of shape {other.pop()} for {path}, not {shape}; {who.remedy}")
        result({"file": str(path), **write_prediction(scan, answers, place, model)})
    if len(errors) < len(paths):
        note(f"note: {NOTICE}")
    if errors:
        raise InputError("; ".join(errors))
