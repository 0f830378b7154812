"""Handwritten digits: from raw pixels to a served model.

Trains a digit network on MNIST, evaluates it on the test split, exports it as a SavedModel, and reads image files of
single digits (predict) or scanned pages with lines of digits (read).
"""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cyclopts import Parameter

from kerascnn.cli import app as cli
from kerascnn.cli import classification as verbs
from kerascnn.cli.app import Out, Require, Resume, Server
from kerascnn.errors import UsageError
from kerascnn.files import read_json
from kerascnn.model_names import check_name
from kerascnn.tensorflow_setup import load_tensorflow
from kerascnn.training.recipe import Recipe
from kerascnn.training.run_folder import check_unfinished

SHIPPED = Path(__file__).resolve().parents[1] / "saved_models" / "digits"

app = cli.create_app("apps.digits", __doc__)

DataDir = Annotated[Path | None, Parameter(help="Where TensorFlow Datasets keeps its files; default: TFDS_DATA_DIR.")]
Files = Annotated[list[Path], Parameter(help="Image files: PNG, JPEG or BMP.", negative="", consume_multiple=True)]


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class DigitRecipe(Recipe):
    model: str = "lenet5"
    "The network: mlp, simple_cnn, five_layer_cnn, lenet5, lenet5_1998, lenet_homework or vgg_digits."
    data: Literal["auto", "mnist", "sklearn_digits", "synthetic"] = "auto"
    "Auto is MNIST where it can be had, else the digits that scikit-learn ships."
    epochs: int = 80
    learning_rate: float = 4e-3
    weight_decay: float = 2e-2
    ema: float = 0.99
    optimizer: Literal["sgd", "adam", "adamw", "adagrad", "rmsprop"] = "adamw"
    shift: float = 2.0
    "Random shift in pixels."
    rotation: float = 10.0
    "Random rotation in degrees."
    zoom: float = 0.1
    "Random change of height and width, as a fraction."
    shear: float = 0.1
    "Random slant, as a fraction."
    elastic: float = 20.0
    "Elastic distortion: Simard's alpha in pixels."

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.zoom < 1:
            raise UsageError(f"--zoom is {self.zoom:g}; give a fraction below 1")


DEMO = DigitRecipe(epochs=12, shift=1.0, rotation=5.0, elastic=0.0, ema=0.98)


@app.command
def train(
    recipe: DigitRecipe = DigitRecipe(),
    *,
    data_dir: DataDir = None,
    out: Out = SHIPPED,
    resume: Resume = False,
    smoke: Annotated[bool, Parameter(help="Two epochs on synthetic data: proves the wiring, nothing else.")] = False,
):
    """Train a network; --out gets model.keras, history.csv, learning_curve.png and recipe.json."""
    check_name(recipe.model)
    check_unfinished(out)
    recipe = verbs.smoke(recipe) if smoke else recipe
    load_tensorflow()
    from kerascnn.datasets.augmentation import distortion

    augment = distortion(recipe.shift, recipe.rotation, recipe.zoom, recipe.shear, recipe.elastic)
    verbs.train("digits", recipe, load_data(recipe.data, data_dir), augment, out, resume)


@app.command
def evaluate(
    *,
    data_dir: DataDir = None,
    out: Out = SHIPPED,
    require: Require = (),
):
    """Score the trained network on the test split; --out gets metrics.json, confusion.png and mistakes.png."""
    requirements = cli.parse_requirements(require)
    load_tensorflow()
    from kerascnn.digits.preprocessing import preprocess_digits

    verbs.evaluate("digits", lambda name: load_data(name, data_dir), preprocess_digits, out, requirements)


@app.command
def export(*, out: Out = SHIPPED):
    """Write the trained network as the next version of a SavedModel in --out."""
    load_tensorflow()
    from kerascnn.datasets.synthetic import drawn
    from kerascnn.digits.preprocessing import preprocess_digits

    verbs.export("digits", preprocess_digits, out, drawn(10, 0).images)


@app.command
def predict(files: Files, *, out: Out = SHIPPED, server: Server = None):
    """Name the digit on each image file: file, digit and probability, separated by tabs."""
    verbs.predict(files, "digits", out, server)


@app.command
def read(
    files: Files,
    *,
    out: Out = SHIPPED,
    server: Server = None,
    pictures: Annotated[Path, Parameter(help="Where the annotated pages go.")] = Path("runs/read"),
):
    """Read lines of digits from scanned or photographed pages: one JSON object a page, and an annotated picture."""
    verbs.read(files, "digits", out, server, pictures)


@app.command
def demo(*, data_dir: DataDir = None, out: Out = Path("runs/digits")):
    """The whole way in one command: train LeNet-5, evaluate, export, and read a sheet through the SavedModel."""
    if (out / "recipe.json").is_file():
        cli.note(f"{out} holds a trained model; delete the folder to train again")
    else:
        train(DEMO, data_dir=data_dir, out=out, resume=(out / "checkpoint.npz").exists())
    evaluate(data_dir=data_dir, out=out)
    export(out=out)
    written, sheet = compose_sample(out, data_dir)
    reader = [sys.executable, __file__, "read", sheet, "--out", out, "--pictures", out / "read"]
    answer = subprocess.run(reader, stdout=subprocess.PIPE, check=False)
    if answer.returncode:
        sys.exit(answer.returncode)
    read_back = json.loads(answer.stdout)
    verbs.print_summary(out)
    for name, value in {"written": written, "read": read_back["lines"]}.items():
        cli.row(name, "  ".join(value))
    cli.row("annotated", read_back["picture"])


def compose_sample(out, data_dir):
    """(the lines written on it, the path) of a sheet composed of test digits; one digit alone is kept beside it."""
    from kerascnn.digits.composed_pages import compose_sheet
    from kerascnn.images import save_image

    test = load_data(read_json(out / "recipe.json")["data"]["name"], data_dir).test
    page, lines = compose_sheet(test.images, test.labels, seed=0)
    save_image(out / "sheet.png", page)
    save_image(out / "digit.png", test.images[0])
    return ["".join(str(digit) for digit, _ in line) for line in lines], out / "sheet.png"


def load_data(name, data_dir):
    from kerascnn.digits import data as sources

    data = sources.load(name, data_dir)
    cli.note(f"data: {data.description}")
    return data


if __name__ == "__main__":
    cli.run(app)
