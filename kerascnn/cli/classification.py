"""The commands that all classification apps share; an app says which data, network and preprocessing.

TensorFlow and Keras are imported inside the commands, after everything that can be checked without them.
"""

import contextlib
import dataclasses
import functools
import itertools
import os
from pathlib import Path

from kerascnn.cli.app import require
from kerascnn.cli.folders import trained_run
from kerascnn.cli.messages import note, result, row
from kerascnn.errors import InputError, UsageError
from kerascnn.files import read_json, reading_from, writing_to
from kerascnn.saved_model.versions import latest_version, local_model
from kerascnn.tensorflow_setup import load_tensorflow
from kerascnn.training.run_folder import check_app


def smoke(recipe):
    """The recipe of a few seconds' run on synthetic data, which proves the wiring and says so."""
    note("note: --smoke trains two epochs on drawn numerals, whatever other flags say; its figures mean nothing")
    training = dataclasses.replace(recipe.training, epochs=2, batch_size=min(recipe.training.batch_size, 32))
    return dataclasses.replace(recipe, data="synthetic", training=training)


def train(app, recipe, data, augment, out, resume):
    """Train recipe.model on `data`, a Dataset, into the folder `out`, as recipe.training says.

    Raises UsageError, before `out` is made, where the network does not take the images.
    """
    import keras

    from kerascnn.analysis.summary import symbolic_model
    from kerascnn.classification.losses import SparseCrossEntropy
    from kerascnn.cli.progress import Progress
    from kerascnn.models import builder
    from kerascnn.training.fit import fit

    shape = data.train.images.shape[1:]
    symbolic_model(recipe.model, shape, len(data.class_names))  # raises where the network does not take such images
    about = {"app": app, "data": data.metadata(), "class_names": data.class_names}
    with contextlib.closing(Progress()) as progress:
        fit(
            lambda: builder(recipe.model)(shape, len(data.class_names)),
            data.train,
            data.validation,
            recipe.training,
            out,
            loss=SparseCrossEntropy(recipe.training.label_smoothing),
            metrics=[lambda: keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
            augment=augment,
            metadata={"recipe": dataclasses.asdict(recipe), **about},
            callbacks=[progress],
            resume=resume,
        )


def evaluate(app, load_data, preprocess, out, requirements):
    """Score the model in `out` on the test split of the data it was trained on; print and check the metrics.

    load_data(name) -> Dataset. preprocess: the app's function that turns raw images into what its networks see.
    """
    from kerascnn.classification.evaluation import evaluate_classifier
    from kerascnn.training.run_folder import load_trained

    model, record = load_trained(out, app)
    data = load_data(record["data"]["name"])
    if data.checksum() != record["data"]["sha256"]:
        note(f"note: the data are not those the model in {out} was trained on")
    metadata = {"data": data.name, "split": "test", "model": model.name}
    with writing_to(out):
        metrics = evaluate_classifier(model, preprocess, data.test, data.class_names, out, metadata)
    result({name: value for name, value in metrics.items() if name != "per_class"})
    require(metrics, requirements)


def export(app, preprocess, out, warmup_images):
    """Write the model in `out` as its next SavedModel version and print where that lies."""
    from kerascnn.classification.export import export_classifier
    from kerascnn.training.run_folder import load_trained

    model, record = load_trained(out, app)
    metrics = read_json(out / "metrics.json") if (out / "metrics.json").is_file() else None
    card = {"model": model.name, "recipe": record["recipe"], "data": record["data"], "metrics": metrics}
    version = export_classifier(model, preprocess, record["class_names"], out, card, warmup_images)
    result({"saved_model": str(version)})


def predict(files, app, out, server):
    """Print file, class name and probability of each image, tab-separated; `classifier` says who answers.

    Raises InputError, after all others are printed, naming the files that cannot be read and those that are no PNG,
    JPEG or BMP image.
    """
    errors = []
    encoded = list(loaded(files, read_bytes, errors))
    if not encoded:
        raise InputError("; ".join(errors))
    answer = classifier(app, out, server)([content for _, content in encoded], "predict_bytes")
    names = [file for file, _ in encoded]
    invalid = []
    for file, name, score, valid in zip(names, answer["class_name"], answer["score"], answer["valid"], strict=True):
        if valid:
            print(f"{file}\t{name}\t{score:.4f}")
        else:
            invalid.append(str(file))
    if invalid:
        errors.append(f"cannot decode {', '.join(invalid)}; give PNG, JPEG or BMP files of at most 25 million pixels")
    if errors:
        raise InputError("; ".join(errors))


def read(files, app, out, server, results):
    """Print a JSON object for each scanned page of digits: the lines read, and each digit's box and confidence.

    The page with boxes drawn goes into the folder `results`. Raises InputError, after all others are read, naming the
    files that are no image.
    """
    from kerascnn.digits.pages import annotate, read_page
    from kerascnn.images import load_image, save_image

    places = places_of([(file, file.stem) for file in files], results, ".png")
    errors = []
    classify = functools.cache(lambda: classifier(app, out, server))  # made for the first page that can be read
    for (file, place), page in loaded(zip(files, places, strict=True), lambda pair: load_image(pair[0]), errors):
        lines = read_page(page, lambda crops: classify()(crops, "serving_default")["probabilities"])
        save_image(place, annotate(page, lines))
        text = ["".join(digit.digit for digit in line) for line in lines]
        digits = [[dataclasses.asdict(digit) for digit in line] for line in lines]
        result({"file": str(file), "lines": text, "image": str(place), "digits": digits})
    if errors:
        raise InputError("; ".join(errors))


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

    Raises UsageError when a place is, or is a folder above, a path that is read.
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
    return places


def print_summary(out):
    """What became of a model that is trained, evaluated and exported in `out`: name and value, tab-separated."""
    record, metrics = read_json(out / "recipe.json"), read_json(out / "metrics.json")
    row("data", record["data"]["description"])
    row("test error", f"{100 * metrics['error']:.2f} % of {metrics['examples']:,}")
    row("training time", f"{record['training_seconds']:.0f} s, {record['epochs_run']} epochs")
    row("training rate", f"{record['images_per_second']:,} images/s")
    row("model", out / "model.keras")
    row("SavedModel", latest_version(out))


def classifier(app, out, server):
    """classify(inputs, signature name) -> dict of arrays, by the SavedModel in `out` or by the server at an address."""
    return answerer(app, out, server, {"class_name", "score", "probabilities"})


def answerer(app, out, server, outputs):
    """answer(inputs, signature name) -> dict of arrays with `outputs` among the names, as `classifier` has it.

    out: None for the app's newest run or shipped model. Raises InputError where `out` holds a model of another app, and
    so does the answer.
    """
    if server:
        from kerascnn.serving.client import predict

        who, remedy, call = server, "serve our export", functools.partial(predict, server, app)
    else:
        out = trained_run(app, out)
        recorded(out, app)
        load_tensorflow()
        who, remedy = latest_version(out), "name another folder with --out"
        call = local_model(who)

    def answer(inputs, signature):
        values = call(inputs, signature)
        if missing := outputs - set(values):
            raise InputError(f"{who} answers for {app} without {', '.join(sorted(missing))}; {remedy}")
        return values

    return answer


def recorded(out, app):
    """recipe.json of the model in `out`, None where a SavedModel lies there alone.

    Raises InputError where it is one of another app.
    """
    if not (out / "recipe.json").is_file():
        return None
    record = read_json(out / "recipe.json")
    check_app(record, out, app)
    return record


def read_bytes(file):
    """The content of a file. Raises InputError when it cannot be read."""
    with reading_from(file):
        return Path(file).read_bytes()
