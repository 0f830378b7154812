"""What an image goes through before a classifier where a task asks for nothing else: resized, cropped, in [0, 1]."""

import dataclasses
from pathlib import Path

import tensorflow as tf

from kerascnn.datasets.batches import scaled
from kerascnn.datasets.resizing import ResizeAndCrop
from kerascnn.decoding import in_colour
from kerascnn.training.record import read_record_if_any, rebuilt, recorded_in, section


def recorded_resize(record):
    """The ResizeAndCrop of the photos of a run by its recipe.json, or {}; to 224x224 where that says nothing of it.

    Raises UsageError for values that it does not take.
    """
    return rebuilt(ResizeAndCrop, {"image_size": (224, 224), **section(section(record, "data"), "resize")})


def resize_of(run):
    """{"crop_ratio": …, "interpolation": …} of the photos of a run, a folder or the model.keras in it; {} of no run."""
    run = Path(run).parent if Path(run).name == "model.keras" else Path(run)
    record = read_record_if_any(run) if run.is_dir() else None
    if record is None:
        return {}
    with recorded_in(run):
        resize = recorded_resize(record)
    return {name: getattr(resize, name) for name in ("crop_ratio", "interpolation")}


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Resized to cover the input, cut in the middle, scaled to [0, 1]; grey is repeated, or colour becomes luma.

    From uint8 (B, H, W, 1, 3 or 4) to float32 (B, *resize.image_size, channels) in [0, 1]. channels: 1 or 3.
    """

    resize: ResizeAndCrop
    channels: int = 3

    @property
    def shortest(self):
        return self.resize.shortest

    def __call__(self, images):
        images = in_colour(images)
        if self.channels == 1:
            images = tf.image.rgb_to_grayscale(images)
        return scaled(self.resize(images))
