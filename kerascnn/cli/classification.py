"""The commands that all classification apps share; an app says which data, network and preprocessing.

TensorFlow and Keras are imported inside the commands, after everything that can be checked without them.
"""

import collections
import contextlib
import dataclasses
import itertools
from pathlib import Path

import kerascnn as kc
from kerascnn.classification.recipes import SIZES
from kerascnn.cli.answers import check_reject, print_answers
from kerascnn.cli.app import RequirementError, require
from kerascnn.cli.folders import RUNS, made_next
from kerascnn.cli.messages import note, result
from kerascnn.cli.prediction import loaded, possible, predictor_of
from kerascnn.errors import InputError, UsageError
from kerascnn.files import writing_to
from kerascnn.saved_model.signatures import Tensor
from kerascnn.training.recipe import as_json
from kerascnn.training.record import record_file, recorded_in

CLASSES = {
    "class_name": Tensor("string", (None,)),
    "score": Tensor("float32", (None,)),
    "valid": Tensor("bool", (None,)),
}
# What `check` counts, and `trusted` where labels are looked at.
COUNTED = "files", "classes", "smallest_class", "readable", "regular", "unique", "separate", "consistent", "trusted"
TOP = {"top_names": Tensor("string", (None, None)), "top_scores": Tensor("float32", (None, None))}


def smoke(recipe):
    """The recipe of a few seconds' run on synthetic data, which proves the wiring and says so."""
    note("note: --smoke trains two epochs on drawn numerals, whatever other flags say; its figures mean nothing")
    batch_size = min(recipe.training.batch_size, 32)
    training = dataclasses.replace(recipe.training, epochs=2, decay_epochs=(), batch_size=batch_size)
    of_others = (*SIZES, "group_by", "size_schedule")
    usual = {field.name: field.default for field in dataclasses.fields(recipe) if field.name in of_others}
    return dataclasses.replace(recipe, data="synthetic", training=training, **usual)


def fitted(recipe, data, augmentations, out, minutes, auto_batch):
    """The recipe with as many epochs as fit into `minutes`, and a batch size that fits into memory where `auto_batch`.

    A run that stopped in `out` goes on with what it was started with. Raises UsageError where the training does not
    fit, InputError where one that goes on does not.
    """
    from kerascnn.analysis.summary import symbolic_model
    from kerascnn.classification.training import loss_and_metrics, untrained
    from kerascnn.datasets.augmentation import GrowingImages
    from kerascnn.training.checkpoint import read_checkpoint
    from kerascnn.training.duration import epochs_within, stretched
    from kerascnn.training.free_memory import check_memory, fitting_recipe

    training, resumed = recipe.training, False
    if (out / "checkpoint.npz").is_file():
        started = read_checkpoint(out / "checkpoint.npz")[1]["metadata"].get("recipe", {}).get("training", {})
        names = (["epochs", "warmup_epochs", "decay_every", "decay_epochs"] if minutes else []) + (
            ["batch_size", "accumulate"] if auto_batch else []
        )
        training = dataclasses.replace(training, **{name: started[name] for name in names if name in started})
        minutes, auto_batch, resumed = None, False, True

    def build():
        return symbolic_model(recipe.model, data.train.image_shape, len(data.class_names))

    if auto_batch and (fitting := fitting_recipe(build, training)) not in (None, training):
        note(f"--auto-batch: batch_size {fitting.batch_size}, accumulate {fitting.accumulate}")
        training = fitting
    check_memory(build, training, resumed)
    if minutes is not None:
        # at full size, which takes longest
        changes = tuple(change for change in augmentations if not isinstance(change, GrowingImages))
        timed, model = dataclasses.replace(training, augmentations=changes), untrained(recipe.model, data)
        training = stretched(training, epochs_within(minutes, model, data, timed, **loss_and_metrics(training)))
        if len(recipe.size_schedule) > training.epochs:
            words = f"minutes is {minutes:g}, in which {training.epochs} epochs fit, fewer than there are sizes"
            raise UsageError(f"{words} in size_schedule; give more, or fewer sizes", argument="minutes")
        note(f"--minutes {minutes:g}: {training.epochs} epochs")
    return dataclasses.replace(recipe, training=training)


def train(app, recipe, data, augmentations, out, resume, split=None):
    """Train recipe.model on `data`, a Dataset, into the folder `out`, and show how far it is.

    augmentations: those that the recipe's own fields ask for. split: what recipe.json says of it, where that is not the
    source's own. Raises UsageError where the folder holds an unfinished run of finetune, and what kc.fit raises.
    """
    import keras

    from kerascnn.analysis.summary import symbolic_model
    from kerascnn.classification.evaluation import calibrate
    from kerascnn.classification.training import untrained
    from kerascnn.cli.progress import Progress

    if (out / "head").is_dir():  # of finetune
        raise UsageError(f"folder {out} holds an unfinished run of another recipe; choose another folder")
    shape, classes = data.train.image_shape, len(data.class_names)
    symbolic_model(recipe.model, shape, classes)  # raises where the network does not take such images
    metadata = {"recipe": as_json(recipe), "app": app, "class_names": data.class_names}
    keras.utils.set_random_seed(recipe.training.seed)
    model = untrained(recipe.model, data)
    with contextlib.closing(Progress()) as progress:
        kc.fit(
            model,
            data,
            dataclasses.replace(recipe.training, augmentations=augmentations),
            folder=out,
            callbacks=[progress],
            resume=resume,
            verbose=0,
            metadata=metadata | ({"split": split} if split else {}),
            conclude=lambda model: calibrate(model, data.validation, getattr(recipe, "tta", "none")),
        )


def show_augmentations(data, augmentations, seed, out):
    """Draw what the augmentations make of images of a Dataset to augmentations.png in `out`, and print its path."""
    from kerascnn.classification.augmentation_sheet import plot_augmentations

    with writing_to(out):
        out.mkdir(parents=True, exist_ok=True)
        plot_augmentations(data, augmentations, seed, out / "augmentations.png")
    result({"augmentations": str(out / "augmentations.png")})


def check(data, out, requirements, backbone):
    """Look for what is wrong with a Dataset of photos; `out` gets check.html and check.json. Print the summary.

    out: a folder, or None for runs/images/check1, check2, ….
    backbone: the run folder of the network that doubtful labels are told by, or None.
    """
    from kerascnn.classification.data_check import check_images
    from kerascnn.classification.data_report import write_report
    from kerascnn.classification.preprocessing import resize_of
    from kerascnn.training.run_folder import load_model, main_head

    if backbone is None:
        note("note: labels are not looked at without a trained network; name its run folder with --backbone")
        findings = check_images(data)
    else:
        findings = check_images(data, main_head(load_model(backbone)), **resize_of(backbone))
    with writing_to(out or Path("runs", "images")):
        folder = out or made_next("images", "check")
        folder.mkdir(parents=True, exist_ok=True)
        write_report(findings, data.name, folder)
    note(f"report: {folder / 'check.html'}")
    result(findings["summary"])
    known = findings["summary"]
    require(known, {name: least for name, least in requirements.items() if name in known or name != "trusted"})
    if "trusted" in requirements.keys() - known:
        raise RequirementError("trusted is not known, as labels were not looked at; see the note above")


def evaluate(app, load_data, preprocess, out, requirements):
    """Score the model in `out` on the test split of the data it was trained on; print and check the metrics.

    load_data(record) -> the Dataset of a run, by what its recipe.json says. preprocess: the app's function that turns
    raw images into what its networks see; None where the Dataset's images are that.
    """
    from kerascnn.classification.data import FIELDS
    from kerascnn.classification.evaluation import evaluate_classifier
    from kerascnn.classification.inference import Inference
    from kerascnn.training.run_folder import load_trained, warn_of_other_data

    model, record = load_trained(out, RUNS[app])
    with recorded_in(out, (*FIELDS, "name", "tta", "temperature")):
        data, inference = load_data(record), Inference.recorded(record)
    check_classes(model, record["class_names"], list(data.class_names), out)
    warn_of_other_data(record, data)
    metadata = {"data": data.name, "split": "test", "model": model.name}
    with writing_to(out):
        metrics = evaluate_classifier(model, preprocess, data.test, data.class_names, out, metadata, inference)
    result({name: value for name, value in metrics.items() if name != "per_class"})
    require(metrics, requirements)


def export(app, preprocess, out, examples):
    """Write the model in `out` as its next SavedModel version and print where that lies.

    preprocess, examples: as kerascnn.export takes them.
    """
    from kerascnn.classification.class_names import checked_names
    from kerascnn.training.run_folder import load_trained

    model, record = load_trained(out, RUNS[app])
    with recorded_in(out):
        names = checked_names(record["class_names"], model.output_shape[-1])
    version = kc.export(model, out, class_names=names, preprocessing=preprocess, examples=examples)
    result({"saved_model": str(version)})


def check_classes(model, trained, names, out):
    """Raise InputError unless the model in `out` has a logit for each class of its run, which are those of the data.

    trained, names: the classes that recipe.json says, and those of the data.
    """
    if (count := model.output_shape[-1]) != len(trained):
        words = f"{out / 'model.keras'} has {count} logits, and {record_file(out)} is of {len(trained)} classes"
        raise InputError(f"{words}; restore the two of one run, or train again")
    if names != trained:
        changes = [f"a class {name}" for name in names if name not in trained]
        changes += [f"no class {name} any more" for name in trained if name not in names]
        changes += ["their classes in another order"]
        words = f"the data have {changes[0]}, and the model in {out} was trained on {', '.join(trained[:20])}"
        raise InputError(f"{words}; give the data the same classes, or train again")


def predict(files, app, out, server, form="lines", reject=0.0):
    """Print what each image is, in a form and with the probability that print_answers takes.

    app, out, server: who answers, see predictor_of. Raises InputError, after all others are printed, naming the files
    that cannot be read and those that are no image; UsageError where `reject` is no probability.
    """
    check_reject(reject)
    from kerascnn.serving.predictor import read

    errors = []
    encoded = loaded(files, read, errors)
    first = next(encoded, None)
    if first is None:
        raise InputError("; ".join(errors))
    predictor = predictor_of(app, out, server, "predict_bytes", CLASSES | (TOP if form == "json" else {}))
    asked, rejected = collections.deque(), {}  # names alone: contents of many may be rejected before an answer comes

    def contents():
        for file, content in itertools.chain([first], encoded):
            asked.append(file)
            yield content

    rows = itertools.chain.from_iterable(
        (dict(zip(answer, row, strict=True)) for row in zip(*possible(predictor, answer).values(), strict=True))
        for answer in predictor.stream(contents(), rejected=rejected.__setitem__)
    )

    places = itertools.count()

    def answered():
        # when a row is there, all that were asked before it have been answered or rejected
        while asked:
            file, place = asked.popleft(), next(places)
            if place in rejected:
                errors.append(f"cannot predict {file}: {rejected[place]}")
            else:
                yield file

    invalid = []
    try:
        print_answers(((file, row) for row, file in zip(rows, answered(), strict=True)), form, reject, invalid)
    except InputError as error:  # of the model; files that it has looked at before are named beside it
        left = zip(asked, places, strict=False)
        errors += [f"cannot predict {file}: {rejected[place]}" for file, place in left if place in rejected]
        errors.append(str(error))
    if invalid:
        errors.append(
            f"cannot decode {', '.join(invalid)}; give PNG, JPEG, WebP or BMP files of up to 25 million pixels, JPEGs "
            "of 134 million (saved_models/digits takes neither these nor WebP); convert HEIC, AVIF, TIFF and GIF files"
        )
    if errors:
        raise InputError("; ".join(errors))
