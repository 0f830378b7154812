"""How networks are trained on handwritten digits."""

from dataclasses import dataclass, replace
from typing import Literal

from kerascnn.classification.recipes import CLASSIFIER
from kerascnn.model_names import check_name
from kerascnn.training.recipe import Recipe, check_fields
from kerascnn.training.record import RunSchema

RANGES = {"shift": (0, 28), "rotation": (0, 180), "zoom": (0, 0.99), "shear": (0, 1), "elastic": (0, 1000)}


@dataclass(frozen=True, kw_only=True)
class DigitRecipe:
    model: str = "lenet5"
    "The network: mlp, simple_cnn, five_layer_cnn, lenet5, lenet5_1998, lenet_homework or vgg_digits."
    data: Literal["auto", "mnist", "sklearn_digits", "synthetic"] = "auto"
    "Auto is MNIST where it can be had, else the digits that scikit-learn ships."
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
    training: Recipe = Recipe(epochs=80, optimizer="adamw", learning_rate=4e-3, weight_decay=2e-2, ema=0.99)

    def __post_init__(self):
        """Raise UsageError for an unknown network and for a value that no augmentation can use."""
        check_fields(self, RANGES)
        check_name(self.model, "model")


# Each is chosen by its name: `python -m apps.digits train --recipe NAME --seed SEED`. Test errors are those on MNIST,
# mean and standard deviation over the seeds 0 to 2, from `make seeds`; times are those of one run on two cores of an
# AMD EPYC with units for bfloat16, beside other work, 2026-11-21.
LENET5 = DigitRecipe()  # 7 to 9 minutes; 0.52 % +- 0.05, benchmarks/results/lenet5.json
VGG_DIGITS = DigitRecipe(  # 24 to 31 minutes; 0.33 % +- 0.03, benchmarks/results/vgg_digits.json
    model="vgg_digits",
    training=replace(
        LENET5.training, epochs=45, learning_rate=3e-3, ema=0.999, warmup_epochs=1.0, precision="mixed_bfloat16"
    ),
)
VGG_DIGITS_WEAKER = replace(  # 21 to 31 minutes; 0.37 % +- 0.02, benchmarks/results/vgg_digits_weaker.json
    VGG_DIGITS, shift=1.0, rotation=7.0, zoom=0.07, shear=0.07, elastic=12.0,
    training=replace(VGG_DIGITS.training, epochs=40),
)  # fmt: skip
DEMO = replace(  # `make run`: 48 seconds; 0.87 % with seed 0, the table in README.md
    LENET5, shift=1.0, rotation=5.0, elastic=0.0, training=replace(LENET5.training, epochs=12, ema=0.98)
)
RECIPES = {"lenet5": LENET5, "vgg_digits": VGG_DIGITS, "vgg_digits_weaker": VGG_DIGITS_WEAKER, "demo": DEMO}
RUNS = RunSchema("digits", {**CLASSIFIER, "recipe": DigitRecipe})
