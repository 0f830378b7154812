"""Images of any kind: train a network to tell classes apart, and serve it.

Trains any of the classic networks on CIFAR-10, another data set or a folder of photos, evaluates it on the test split,
exports it as a SavedModel, and names what is on image files.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Literal

if not __package__:  # run as a file
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cyclopts import Parameter
from cyclopts.validators import Number

from kerascnn.classification.recipes import RECIPES, REGIMES, FinetuneRecipe, ImageRecipe
from kerascnn.cli import classification, transfer
from kerascnn.cli.app import check_named, create_app, parse_requirements, run
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
    whole,
)
from kerascnn.cli.folders import next_folder, run_to_fill, run_to_train, shipped
from kerascnn.cli.messages import note
from kerascnn.files import check_writable
from kerascnn.tensorflow_setup import load_tensorflow
from kerascnn.training.run_folder import check_unfinished

app = create_app(__doc__)

Flags = flags_of(ImageRecipe)
Named = Annotated[Literal[tuple(RECIPES)], Parameter(help="The recipe that the other flags change.")]
FinetuneFlags = flags_of(FinetuneRecipe)
Regime = Annotated[
    Literal[tuple(REGIMES)],
    Parameter(
        help="By the size of the data: the head alone, the last blocks, too, or all layers; other flags change it."
    ),
]
Layer = Annotated[str, Parameter(help="The layer whose answers are compared.")]
Layers = Annotated[
    list[str],
    Parameter(help="A layer by its name, of nested models, too.", negative="", show_default=lambda _: "embedding"),
]
Split = Annotated[Literal["train", "validation", "test"], Parameter(help="Which images of the run's data.")]
Count = Annotated[int, Parameter(help="Neighbours of each image.", converter=whole, validator=Number(gte=1, lte=1000))]
Queries = Annotated[
    int, Parameter(help="Test images that neighbors.png shows.", converter=whole, validator=Number(gte=1, lte=100))
]
Shown = Annotated[
    bool, Parameter(help="Only draw what augmentations make of a few images, into augmentations.png.", negative="")
]
Grouping = Annotated[str, Parameter(help="As train takes it.")]
Backbone = Annotated[
    Path | None, Parameter(help="Run folder of the network that doubtful labels are told by; default: the shipped one.")
]
Report = Annotated[Path | None, Parameter(help="Where the report goes; default: runs/images/check1, check2, ….")]
Files = Annotated[
    list[Path], Parameter(help="Image files: PNG, JPEG, WebP or BMP.", negative="", consume_multiple=(1, None))
]


@app.command
def train(
    flags: Flags | None = None,
    *,
    recipe: Named = "default",
    data_dir: DataDir = None,
    out: Out = None,
    resume: Resume = False,
    minutes: Minutes = None,
    auto_batch: AutoBatch = False,
    smoke: Smoke = False,
    show_augmentations: Shown = False,
):
    """Train a network; the run folder gets model.keras, history.csv, learning_curve.png and recipe.json."""
    asked = chosen(RECIPES[recipe], flags)
    if show_augmentations:
        out = out or next_folder("images", "augmentations")
    out = run_to_train("images", out, resume, smoke)
    check_unfinished(out)
    asked = classification.smoke(asked) if smoke else asked
    from kerascnn.classification.data import FIELDS, check_asked, load_images, resolved
    from kerascnn.classification.recorded_data import split_names

    check_asked(asked, out, None if smoke else flags)
    load_tensorflow()
    from kerascnn.classification.augmentation import augmentations
    from kerascnn.classification.training import at_usual_rate

    asked = dataclasses.replace(asked, data=resolved(asked.data))
    data = load_images(**{name: getattr(asked, name) for name in FIELDS}, data_dir=data_dir)
    if recipe == "default" and getattr(flags, "learning_rate", None) is None and asked.training.optimizer == "sgd":
        asked = at_usual_rate(asked, data)
    if getattr(flags, "model", None) is None and asked.model == ImageRecipe.model and data.train.image_shape[0] > 64:
        note(f"note: {asked.model} is made for images of 32 pixels; for photos name another --model, as resnet18")
    changes = augmentations(asked, data)
    if show_augmentations:
        classification.show_augmentations(data, changes, asked.training.seed, out)
        return
    if not smoke:
        asked = classification.fitted(asked, data, changes, out, minutes, auto_batch)
    classification.train("images", asked, data, changes, out, resume, split_names(data, asked.data))


@app.command
def finetune(
    flags: FinetuneFlags | None = None,
    *,
    regime: Regime = "small",
    data_dir: DataDir = None,
    out: Out = None,
    resume: Resume = False,
):
    """Teach a trained network other classes: its head alone, then its last blocks; the folder is that of any run."""
    asked = chosen(REGIMES[regime], flags)
    out = run_to_train("images", out, resume, smoke=False)
    check_unfinished(out)
    transfer.finetune("images", asked, data_dir, out, resume)


@app.command
def check(
    photos: Path,
    *,
    group_by: Grouping = "",
    backbone: Backbone = None,
    out: Report = None,
    require: Require = (),
):
    """Look for broken, odd and repeated files and doubtful labels in a folder of photos or those that a CSV file names.

    check.html shows them and check.json lists them; training would split the photos as it says.
    """
    requirements = parse_requirements(require)
    from kerascnn.classification.data import check_outside, check_photos, load_images

    check_photos(photos)
    check_named(requirements, classification.COUNTED)
    place = out or next_folder("images", "check")
    check_writable(place)
    check_outside(place, photos)
    backbone = backbone or shipped("images")
    load_tensorflow()
    data = load_images(str(photos.absolute()), ImageRecipe.image_size, group_by=group_by)
    classification.check(data, out, requirements, backbone)


@app.command
def evaluate(*, data_dir: DataDir = None, out: Out = None, require: Require = ()):
    """Score the trained network on the test split; its folder gets metrics.json and plots."""
    requirements = parse_requirements(require)
    out = run_to_fill("images", out)
    load_tensorflow()
    from kerascnn.classification.recorded_data import load_tested

    classification.evaluate("images", lambda record: load_tested(record, data_dir), None, out, requirements)


@app.command
def export(*, out: Out = None):
    """Write the trained network as the next version of a SavedModel in its folder."""
    out = run_to_fill("images", out)
    load_tensorflow()
    classification.export("images", None, out, None)


@app.command
def features(*, layer: Layers = ("embedding",), split: Split = "test", data_dir: DataDir = None, out: Out = None):
    """Write what layers answer to images: an .npz file, and files for TensorBoard's projector."""
    transfer.features("images", layer, split, data_dir, run_to_fill("images", out))


@app.command
def neighbors(
    *, layer: Layer = "embedding", count: Count = 5, queries: Queries = 8, data_dir: DataDir = None, out: Out = None
):
    """Find the training images nearest to each test image, by pixels and by a layer; neighbors.png and .json."""
    transfer.neighbors("images", layer, count, queries, data_dir, run_to_fill("images", out))


@app.command
def predict(files: Files, *, out: Out = None, server: Server = None, form: Form = "lines", reject: Reject = 0.0):
    """Name what is on each image file: file, class and probability, separated by tabs."""
    classification.predict(files, "images", out, server, form, reject)


if __name__ == "__main__":
    run(app)
