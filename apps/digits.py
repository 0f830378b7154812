"""Handwritten digits: from raw pixels to a served model.

Trains a digit network on MNIST, evaluates it on the test split, exports it as a SavedModel, and reads image files of
single digits (predict) or scanned pages with lines of digits (read).
"""

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Annotated, Literal

if not __package__:  # run as a file
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cyclopts import Parameter

from kerascnn.cli import classification, pages
from kerascnn.cli.app import create_app, parse_requirements, run
from kerascnn.cli.flags import (
    AutoBatch,
    DataDir,
    Form,
    Minutes,
    Out,
    Reject,
    Require,
    Resume,
    Server,
    Smoke,
    chosen,
    flags_of,
)
from kerascnn.cli.folders import run_to_fill, run_to_train
from kerascnn.cli.messages import note, row
from kerascnn.digits.recipes import RECIPES, DigitRecipe
from kerascnn.files import check_writable, read_json
from kerascnn.saved_model.versions import latest_version
from kerascnn.tensorflow_setup import load_tensorflow
from kerascnn.training.record import checked, read_record, record_file
from kerascnn.training.run_folder import check_unfinished

# of recipe.json, by `demo`
SHOWN = {"data": {"description": str}, "training_seconds": float, "epochs_run": int, "images_per_second": float}

app = create_app(__doc__)

Flags = flags_of(DigitRecipe)
Named = Annotated[Literal[tuple(RECIPES)], Parameter(help="The recipe that the other flags change.")]
Files = Annotated[list[Path], Parameter(help="Image files: PNG, JPEG or BMP.", negative="", consume_multiple=(1, None))]


@app.command
def train(
    flags: Flags | None = None,
    *,
    recipe: Named = "lenet5",
    data_dir: DataDir = None,
    out: Out = None,
    resume: Resume = False,
    minutes: Minutes = None,
    auto_batch: AutoBatch = False,
    smoke: Smoke = False,
):
    """Train a network; the run folder gets model.keras, history.csv, learning_curve.png and recipe.json."""
    asked = chosen(RECIPES[recipe], flags)
    out = run_to_train("digits", out, resume, smoke)
    check_unfinished(out)
    asked = classification.smoke(asked) if smoke else asked
    load_tensorflow()
    from kerascnn.digits.augmentation import augmentations
    from kerascnn.digits.data import load

    data, changes = load(asked.data, data_dir), augmentations(asked)
    if not smoke:
        asked = classification.fitted(asked, data, changes, out, minutes, auto_batch)
    classification.train("digits", asked, data, changes, out, resume)


@app.command
def evaluate(*, data_dir: DataDir = None, out: Out = None, require: Require = ()):
    """Score the trained network on the test split; its folder gets metrics.json and plots."""
    requirements = parse_requirements(require)
    out = run_to_fill("digits", out)
    load_tensorflow()
    from kerascnn.digits import data
    from kerascnn.digits.preprocessing import preprocess_digits

    def load(record):
        return data.load(record["data"]["name"], data_dir)

    classification.evaluate("digits", load, preprocess_digits, out, requirements)


@app.command
def export(*, out: Out = None):
    """Write the trained network as the next version of a SavedModel in its folder."""
    out = run_to_fill("digits", out)
    load_tensorflow()
    from kerascnn.datasets.synthetic import drawn
    from kerascnn.digits.preprocessing import preprocess_digits

    classification.export("digits", preprocess_digits, out, drawn(10, 0).images)


@app.command
def predict(files: Files, *, out: Out = None, server: Server = None, form: Form = "lines", reject: Reject = 0.0):
    """Name the digit on each image file: file, digit and probability, separated by tabs."""
    classification.predict(files, "digits", out, server, form, reject)


@app.command
def read(
    files: Files,
    *,
    out: Out = None,
    server: Server = None,
    results: Annotated[Path, Parameter(help="Where the annotated pages go.")] = Path("runs/read"),
):
    """Read lines of digits from scanned or photographed pages: one JSON object and one annotated image a page."""
    pages.read(files, "digits", out, server, results)


@app.command
def demo(*, data_dir: DataDir = None, out: Annotated[Path, Parameter(help="The run folder.")] = Path("runs/digits")):
    """The whole way in one command: train LeNet-5, evaluate, export, and read a page through the SavedModel."""
    check_writable(out)
    if record_file(out).is_file():
        note(f"{out} holds a trained model; delete the folder to train again")
    else:
        train(recipe="demo", data_dir=data_dir, out=out, resume=(out / "checkpoint.npz").exists())
    evaluate(data_dir=data_dir, out=out)
    export(out=out)
    from kerascnn.digits import data

    record, metrics = checked(read_record(out), SHOWN, record_file(out)), read_json(out / "metrics.json")
    written, page = pages.compose_sample(data.load(record["data"]["name"], data_dir).test, out)
    with contextlib.redirect_stdout(io.StringIO()) as answer:
        read([page], out=out, results=out / "read")
    read_back = json.loads(answer.getvalue())
    table = {
        "data": record["data"]["description"],
        "test error": f"{100 * metrics['error']:.2f} % of {metrics['examples']:,}",
        "training time": f"{record['training_seconds']:.0f} s, {record['epochs_run']} epochs",
        "training rate": f"{record['images_per_second']:,} images/s",
        "model": out / "model.keras",
        "SavedModel": latest_version(out),
        "written": "  ".join(written),
        "read": "  ".join(read_back["lines"]),
        "annotated": read_back["image"],
    }
    for name, value in table.items():
        row(name, value)


if __name__ == "__main__":
    run(app)
