"""How a trained classifier answers, in evaluation and in what is exported: over which views, and how sure."""

import dataclasses

import keras
import numpy as np

from kerascnn.classification.crops import CROPS, resize_for_crops
from kerascnn.classification.preprocessing import Preprocessing
from kerascnn.classification.recipes import Views
from kerascnn.classification.views import averaged_over_views
from kerascnn.datasets.batches import as_graph, evaluation_batches, told
from kerascnn.datasets.image_files import ImageFiles, vanished_files_named
from kerascnn.datasets.resizing import ResizeAndCrop
from kerascnn.errors import UsageError
from kerascnn.training.checks import check_decodes
from kerascnn.training.feed import check_examples
from kerascnn.training.recipe import check_fields
from kerascnn.training.record import section


@dataclasses.dataclass(frozen=True)
class Inference:
    """tta: the views of an image over which logits are averaged, as averaged_over_views names them.

    temperature: what logits are divided by, see calibration.fitted_temperature. Raises UsageError for other values.
    """

    tta: Views = "none"
    temperature: float = 1.0

    def __post_init__(self):
        check_fields(self, {"temperature": (0.001, 1000)})

    @classmethod
    def recorded(cls, record):
        """That of a run, by what its recipe.json says; the usual one of {}."""
        return cls(section(record, "recipe").get("tta", "none"), record.get("temperature", 1.0))

    @property
    def crops(self):
        """Whether views are cut from images larger than the network's."""
        return self.tta in CROPS

    def logits(self, network):
        """images float32 (B, H, W, C) in [0, 1] -> logits (B, classes). H, W: the network's, or those of crops."""
        averaged = averaged_over_views(network, self.tta)
        return lambda images: averaged(images) / self.temperature

    def resize(self, resize):
        """What photos go through for the views, where they go through `resize`, a ResizeAndCrop, for single ones."""
        return resize_for_crops(self.tta, resize) if self.crops else resize

    def source(self, examples, preprocess):
        """(examples, preprocess) that give the images for the views, of those that give the images of single ones.

        Raises UsageError for crops of images that are preprocessed already.
        """
        if not self.crops:
            return examples, preprocess
        if isinstance(examples, ImageFiles):
            return dataclasses.replace(examples, resize=self.resize(examples.resize)), preprocess
        check_examples(examples)
        if preprocess is not None or getattr(examples, "images", np.zeros(0)).dtype != np.uint8:
            words = f"tta is {self.tta}, and the images are preprocessed already"
            raise UsageError(f"{words}; give uint8 images, or choose none, flip or flip_shift", argument="tta")
        height, width, channels = examples.image_shape
        return examples, Preprocessing(self.resize(ResizeAndCrop((height, width))), channels)


def answers_to(examples, call, preprocess=None):
    """([NumPy arrays that `call` answers to a batch], labels int32 (N,), whether a weight is above 0 bool (N,)).

    examples: Examples, ImageFiles or a tf.data.Dataset of batches with labels, of which mixed ones (B, classes) count
    as their largest share. call: takes images float32 (B, H, W, C). preprocess: as evaluation_batches takes it.
    """
    answers, labels, counted = [], [], []
    check_examples(examples)
    with vanished_files_named(examples):
        batches = evaluation_batches(examples, preprocess=preprocess)
        call = as_graph(call, batches.element_spec[0])
        batches = batches if batches is examples else told(batches, len(examples))
        for images, truth, *weights in batches:
            answers.append(keras.tree.map_structure(np.asarray, call(images)))
            labels.append(np.asarray(truth))
            counted.append(np.reshape(weights[0], len(truth)) > 0 if weights else np.ones(len(truth), bool))
    if not labels:
        raise UsageError("data has no batch; give some", argument="data")
    labels = np.concatenate(labels)
    labels = labels.reshape(len(labels), -1)
    labels = labels[:, 0] if labels.shape[1] == 1 else labels.argmax(-1)
    return answers, labels.astype(np.int32), np.concatenate(counted)


def check_counted(counted, examples):
    """Raise unless one of `examples` has a weight above 0: UsageError, or InputError where no image file decodes."""
    if not counted.any():
        check_decodes(examples)
        raise UsageError("data has no example that counts; give some of a weight above 0", argument="data")
