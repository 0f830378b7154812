"""How tumor networks are trained: the recipe, and the tuned ones by name. Nothing heavy is imported here."""

from dataclasses import dataclass, replace
from typing import Literal

from kerascnn.errors import UsageError
from kerascnn.training.recipe import Recipe, check_fields
from kerascnn.training.record import RunSchema

APP = "tumors"  # what recipe.json says of the runs
Source = Literal["brain_mri", "nifti", "phantoms"]
FOLDS = 5  # of patients, each of which is the test split once
VALIDATION_PARTS = 7  # of a fold's other patients, each of which validates one network of an ensemble
DEPTH = 4  # of a U-Net whose recipe does not say
MOST_CHANNELS = 4096  # at the bottleneck, four times those of the paper: 500 million parameters
VARIED = {"width": ("unet", "unet_buda"), "depth": ("unet",)}  # the networks that take these arguments

# the smallest and the largest value of each number; nan is outside
RANGES = {
    "width": (1, 1024),
    "depth": (1, 8),
    "ensemble": (1, VALIDATION_PARTS),
    "fold": (0, FOLDS - 1),
    "image_size": (32, 2048),
    "foreground_oversampling": (1, 100),
    "rotation": (0, 180),
    "zoom": (0, 0.99),
    "elastic": (0, 10_000),
    "gamma": (0, 10),
    **dict.fromkeys(("shift", "shear", "brightness", "contrast", "flair_only", "carvemix"), (0, 1)),
}


@dataclass(frozen=True, kw_only=True)
class TumorRecipe:
    """Data, network and augmentation of a tumor network, and its training. Raises UsageError where they do not fit."""

    model: Literal["unet", "unet_buda", "unet_dong", "unet_2015"] = "unet_buda"
    "The network."
    width: int | None = None
    "Feature maps of the first level (unet, unet_buda; default: 16)."
    depth: int | None = None
    "How often the network halves the slice (unet; default: 4)."
    data: Source = "brain_mri"
    "Where the patients come from; nifti is a folder of volumes."
    modalities: tuple[str, ...] = ("t1", "flair", "t1ce")
    "The volumes of a NIfTI patient that become channels."
    ensemble: int = 1
    "Networks that are trained one after the other, each with other validation patients, and averaged."
    fold: int = 0
    "Which of the five folds of patients is the test split."
    image_size: int = 128
    "Pixels of the window around the head that the network sees, a multiple of 16."
    loss: Literal["dice", "dice_cross_entropy", "jaccard", "tversky", "focal", "border"] = "dice_cross_entropy"
    "What is minimized; border is the 2015 U-Net's."
    foreground_oversampling: int = 2
    "How often an epoch shows a slice with tumor; other slices are shown once."
    horizontal_flip: bool = True
    "Flip half of the slices left to right."
    shift: float = 0.07
    "Random shift as a part of the image size."
    rotation: float = 20.0
    "Random rotation in degrees."
    zoom: float = 0.2
    "Random change of height and width, as a fraction."
    shear: float = 0.1
    "Random shear, as a fraction."
    elastic: float = 720.0
    "Elastic distortion: alpha in pixels, with a sigma of 24 pixels, of slices of 240 pixels (Dong et al., 2017)."
    brightness: float = 0.05
    "Random change of a sequence's brightness, as a part of its range."
    contrast: float = 0.25
    "Random change of a sequence's contrast, as a fraction."
    gamma: float = 0.3
    "Random exponent of a sequence's intensities, between 1 / (1 + gamma) and 1 + gamma."
    flair_only: float = 0.2
    "Share of slices whose sequences are all FLAIR, where that is one, as for patients whose others were not taken."
    carvemix: float = 0.5
    "Share of slices that get the tumor of another slice, where that has one (CarveMix; Zhang et al., 2021)."
    training: Recipe = Recipe(
        epochs=60,
        batch_size=16,
        optimizer="adamw",
        learning_rate=2e-3,
        weight_decay=5e-2,
        warmup_epochs=1.0,
        ema=0.99,
    )
    "How the network is trained."

    def __post_init__(self):
        check_fields(self, RANGES)
        multiple = 2 ** max(4, self.depth or 0)
        if self.image_size % multiple:
            raise self.error("image_size", f"give a multiple of {multiple}")
        if not self.modalities:
            raise self.error("modalities", "name at least one")
        if self.data != "nifti" and self.modalities != type(self).modalities:
            raise self.error("modalities", "it is for data nifti, leave it out")
        if self.training.label_smoothing:
            words = f"is {self.training.label_smoothing}; it is for classes, not for masks; leave it out"
            raise UsageError(f"label_smoothing {words}", argument="label_smoothing")
        for name, models in VARIED.items():
            if getattr(self, name) is not None and self.model not in models:
                raise self.error(name, f"{self.model} has none; leave it out, or choose {' or '.join(models)}")
        if (self.width or 0) > (widest := MOST_CHANNELS >> (self.depth or DEPTH)):
            raise self.error("width", f"the network halves slices {self.depth or DEPTH} times, give at most {widest}")
        if self.model == "unet_2015" and self.image_size < 96:
            raise self.error("image_size", "unet_2015 reflects 94 pixels beyond each edge, give at least 96")

    def error(self, name, remedy):
        """The UsageError about the field `name`."""
        return UsageError(f"{name} is {getattr(self, name)}; {remedy}", argument=name)


# Each was measured with `python -m apps.tumors crossvalidate --recipe NAME --precision mixed_bfloat16` on two cores of
# an AMD EPYC that has units for bfloat16, once, on the 44 patients of 2026-11-21 and 22: all five folds' training time,
# and the Dice of a patient, its mean with the 95 % interval and its median (benchmarks/results/tumors_folds*.json).
RECIPES = {
    # 4 h 8 min; mean 0.840 (0.796 to 0.868), median 0.895. Fold 0 alone, which is shipped (`train`): 55 min, mean 0.869
    "unet_buda": TumorRecipe(),
    # 1 h 50 min; mean 0.828 (0.783 to 0.861), median 0.884
    "unet_buda_short": TumorRecipe(carvemix=0.0, flair_only=0.1, training=replace(TumorRecipe.training, epochs=30)),
    # 2 h 36 min; mean 0.824 (0.749 to 0.859), median 0.883
    "unet_buda_ensemble": TumorRecipe(
        ensemble=2, width=12, flair_only=0.1, training=replace(TumorRecipe.training, epochs=24)
    ),
}
RUNS = RunSchema(
    APP,
    {
        "recipe": TumorRecipe,
        "data": {"name": Source, "sha256": str, "licence": str, "channels": [str]},
        "split": {"train": [str], "validation": [str], "test": [str]},
        "settings": dict,
        "training_seconds": float,
        "networks?": [dict],
    },
)
# for an answer alone, which a SavedModel gives
ANSWERING = RunSchema(APP, {"recipe": {"modalities?": [str]}, "data": {"channels": [str]}})
