"""Brain tumors: from MRI slices to segmented tumors, patient by patient.

Trains a U-Net on the LGG MRI segmentation data, evaluates it on patients it has never seen, exports it as a SavedModel,
and segments tumors on image files, folders of slices and NIfTI volumes. Research software, not a medical device.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

if not __package__:  # run as a file
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cyclopts import Parameter

from kerascnn.cli import tumors
from kerascnn.cli.app import create_app, parse_requirements, run
from kerascnn.cli.flags import Out, Require, Resume, Server, chosen, flags_of
from kerascnn.cli.folders import run_to_fill, run_to_train
from kerascnn.tumors.recipes import RECIPES, TumorRecipe

app = create_app(__doc__)

Flags = flags_of(TumorRecipe)
Named = Annotated[Literal[tuple(RECIPES)], Parameter(help="The recipe that the other flags change.")]
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
Smoke = Annotated[bool, Parameter(help="Two epochs on drawn phantoms: proves the wiring, nothing else.")]
Scans = Annotated[
    list[Path],
    Parameter(help="Images, folders of a patient's slices, NIfTI volumes.", negative="", consume_multiple=(1, None)),
]
Results = Annotated[Path, Parameter(help="Where masks, overlays and reports go.")]


@app.command
def train(
    flags: Flags | None = None,
    *,
    recipe: Named = "unet_buda",
    data_dir: DataDir = None,
    out: Out = None,
    resume: Resume = False,
    smoke: Smoke = False,
):
    """Train a network; the run folder gets model.keras, history.csv, learning_curve.png, augmentation.png, recipe.json.

    An ensemble's gets a folder of these for each network, network0 and so on, and model.keras and recipe.json of their
    average.
    """
    asked = chosen(RECIPES[recipe], flags)
    asked = tumors.smoke(asked) if smoke else asked
    tumors.train(asked, data_dir, run_to_train("tumors", out, resume, smoke), resume)


@app.command
def evaluate(*, data_dir: DataDir = None, out: Out = None, empty: Empty = "one", require: Require = ()):
    """Score the trained network on the test patients; its folder gets metrics.json and images of them."""
    requirements = parse_requirements(require)
    tumors.evaluate(data_dir, run_to_fill("tumors", out), empty, requirements)


@app.command
def crossvalidate(
    flags: Flags | None = None,
    *,
    recipe: Named = "unet_buda",
    data_dir: DataDir = None,
    out: Annotated[Path, Parameter(help="A folder for the folds.")] = Path("runs/tumors_folds"),
    empty: Empty = "one",
):
    """Train and score all five folds; run it again to go on where it was stopped."""
    tumors.crossvalidate(chosen(RECIPES[recipe], flags), data_dir, out, empty)


@app.command
def export(*, out: Out = None):
    """Write the trained network as the next version of a SavedModel in its folder."""
    tumors.export(run_to_fill("tumors", out))


@app.command
def predict(files: Scans, *, out: Out = None, server: Server = None, results: Results = Path("runs/tumors/results")):
    """Segment tumors: one JSON object a scan with their size, and where its mask, overlay and report lie."""
    tumors.predict(files, out, server, results)


if __name__ == "__main__":
    run(app)
