"""Brain tumors: from MRI slices to outlined tumors, patient by patient.

Trains a U-Net on the LGG MRI segmentation data, evaluates it on patients it has never seen, exports it as a SavedModel,
and outlines tumors on image files, folders of slices and NIfTI volumes. Research software, not a medical device.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Literal

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cyclopts import Parameter

from kerascnn.cli import app as cli
from kerascnn.cli import segmentation as mask_verbs
from kerascnn.cli.app import Out, Require, Resume, Server
from kerascnn.training.recipe import Recipe
from kerascnn.tumors import cross_validation as crossvalidation
from kerascnn.tumors import prediction as outlines

SHIPPED = Path(__file__).resolve().parents[1] / "saved_models" / "tumors"

app = cli.create_app("apps.tumors", __doc__)

DataDir = Annotated[
    Path | None,
    Parameter(
        help="Where TensorFlow Datasets keeps its files (default: TFDS_DATA_DIR), or the folder of --data nifti."
    ),
]
Empty = Annotated[
    Literal["one", "zero", "skip"],
    Parameter(help="Dice and IoU of a slice or patient without tumor where none is predicted."),
]


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class TumorRecipe(Recipe):
    model: Literal["unet", "unet_buda", "unet_dong", "unet_2015"] = "unet_buda"
    "The network."
    width: int | None = None
    "Feature maps of the first level (unet, unet_buda; default: 16)."
    depth: int | None = None
    "How often the network halves the slice (unet; default: 4)."
    data: Literal["brain_mri", "nifti", "phantoms"] = "brain_mri"
    "Where the patients come from; nifti is a folder of volumes, given by --data-dir."
    modalities: Annotated[tuple[str, ...], Parameter(negative="")] = ("t1", "flair", "t1ce")
    "The volumes of a NIfTI patient that become channels."
    members: int = 1
    "Networks of an ensemble, trained one after the other, each with other validation patients, and averaged."
    fold: int = 0
    "Which of the five folds of patients is the test split."
    side: int = 128
    "Pixels of the window around the head that the network sees, a multiple of 16."
    loss: Literal["dice", "dice_cross_entropy", "jaccard", "tversky", "focal", "border"] = "dice_cross_entropy"
    "What is minimised; border is the 2015 U-Net's."
    epochs: int = 60
    batch_size: int = 16
    optimizer: Literal["sgd", "adam", "adamw", "adagrad", "rmsprop"] = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 5e-2
    warmup_epochs: float = 1.0
    ema: float = 0.99
    tumor_draws: int = 2
    "How often an epoch shows a slice with tumor; other slices are shown once."
    mirror: bool = True
    "Show half of the slices with left and right changed."
    shift: float = 0.07
    "Random shift as a part of the side."
    rotation: float = 20.0
    "Random rotation in degrees."
    zoom: float = 0.2
    "Random change of height and width, as a fraction."
    shear: float = 0.1
    "Random slant, as a fraction."
    elastic: float = 720.0
    "Elastic distortion: alpha in pixels, with a sigma of 24 pixels, of slices of 240 pixels (Dong et al., 2017)."
    brightness: float = 0.05
    "Random change of a sequence's level, as a part of its range."
    contrast: float = 0.25
    "Random change of a sequence's contrast, as a fraction."
    gamma: float = 0.3
    "Random exponent of a sequence's levels, between 1 / (1 + gamma) and 1 + gamma."
    copy: float = 0.2
    "Share of slices whose sequences are all FLAIR, as for patients where the others were not taken."
    carve: float = 0.5
    "Share of slices that get the tumor of another slice, where that has one (CarveMix; Zhang et al., 2021)."


@app.command
def train(
    recipe: TumorRecipe = TumorRecipe(),
    *,
    data_dir: DataDir = None,
    out: Out = SHIPPED,
    resume: Resume = False,
    smoke: Annotated[bool, Parameter(help="Two epochs on drawn phantoms: proves the wiring, nothing else.")] = False,
):
    """Train a network; --out gets model.keras, history.csv, learning_curve.png, augmentation.png and recipe.json.

    With several --members, --out gets a folder of these for each, member0 and so on, and model.keras and recipe.json of
    their average.
    """
    mask_verbs.train("tumors", mask_verbs.smoke(recipe) if smoke else recipe, data_dir, out, resume)


@app.command
def evaluate(
    *,
    data_dir: DataDir = None,
    out: Out = SHIPPED,
    empty: Empty = "one",
    require: Require = (),
):
    """Score the trained network on the test patients; --out gets metrics.json and pictures of them."""
    mask_verbs.evaluate("tumors", data_dir, out, empty, cli.parse_requirements(require))


@app.command
def crossvalidate(
    recipe: TumorRecipe = TumorRecipe(),
    *,
    data_dir: DataDir = None,
    out: Out = Path("runs/tumors_folds"),
    empty: Empty = "one",
):
    """Train and score all five folds; run it again to go on where it was stopped."""
    crossvalidation.crossvalidate(
        recipe,
        lambda asked, folder, resume: mask_verbs.train("tumors", asked, data_dir, folder, resume),
        lambda folder: mask_verbs.evaluate("tumors", data_dir, folder, empty, {}),
        out,
        empty,
    )


@app.command
def export(*, out: Out = SHIPPED):
    """Write the trained network as the next version of a SavedModel in --out."""
    mask_verbs.export("tumors", out)


@app.command
def predict(
    files: Annotated[
        list[Path],
        Parameter(help="Images, folders of a patient's slices, NIfTI volumes.", negative="", consume_multiple=True),
    ],
    *,
    out: Out = SHIPPED,
    server: Server = None,
    pictures: Annotated[Path, Parameter(help="Where masks, overlays and reports go.")] = Path("runs/tumors"),
):
    """Outline tumors: one JSON object a scan with its size, and where its mask, overlay and report lie."""
    outlines.predict(files, "tumors", out, server, pictures, TumorRecipe().modalities)


if __name__ == "__main__":
    cli.run(app)
