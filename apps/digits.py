"""Handwritten digits: from raw pixels to a served model.

Trains a digit network on MNIST, evaluates it on the test split, exports it as a SavedModel, and reads image files of
single digits (predict) or scanned pages with lines of digits (read).
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cyclopts import Parameter

from kerascnn import cli
from kerascnn.errors import DataAbsent, UsageError
from kerascnn.models import MODELS
from kerascnn.recipe import TrainingRecipe

FOLDER = Path(__file__).resolve().parents[1] / "saved_models" / "digits"

app = cli.create_app("digits", __doc__)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Recipe(TrainingRecipe):
    model: str = "lenet5"
    "The network, a name that `python -m apps.digits models` lists."
    data: Literal["auto", "mnist", "fashion_mnist", "sklearn_digits", "synthetic"] = "auto"
    "Auto is MNIST where it can be had, else the digits that scikit-learn ships."
    epochs: int = 120
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
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


@app.command
def train(recipe: Recipe = Recipe(), *, data_dir: Path | None = None, out: Path = FOLDER, resume: bool = False):
    """Train a network; the folder --out gets model.keras, history.csv, a learning curve and recipe.json.

    Parameters
    ----------
    data_dir: Where TensorFlow Datasets keeps its files; default TFDS_DATA_DIR.
    out: The model folder.
    resume: Continue a run that was stopped; give the flags it was started with.
    """
    if recipe.model not in MODELS:
        from kerascnn.models import builder

        builder(recipe.model)
    cli.load_tensorflow()
    import keras

    from kerascnn.datasets.augmentation import distortion
    from kerascnn.losses import SparseCrossEntropy
    from kerascnn.models import builder
    from kerascnn.training import fit

    data = load_data(recipe.data, data_dir)

    def build():
        return builder(recipe.model)(data.train.images.shape[1:], len(data.class_names))

    fit(
        build,
        data.train,
        data.validation,
        recipe,
        out,
        loss=SparseCrossEntropy(recipe.label_smoothing),
        metrics=[lambda: keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        augment=distortion(recipe.shift, recipe.rotation, recipe.zoom, recipe.shear, recipe.elastic),
        facts={"app": "digits", "data": data.facts()},
        resume=resume,
    )


def load_data(name, data_dir):
    """The Dataset called `name`; auto falls back to scikit-learn's digits where MNIST is neither there nor to be had."""
    from kerascnn import datasets

    try:
        data = datasets.load("mnist" if name == "auto" else name, data_dir)
    except DataAbsent as absent:
        if name != "auto":
            raise
        cli.note(f"note: {absent}")
        data = datasets.load("sklearn_digits")
    cli.note(f"data: {data.description}")
    return data


if __name__ == "__main__":
    cli.run(app)
