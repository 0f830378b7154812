"""The patients that tumor networks are trained on, by name."""

import logging
from typing import get_args

from kerascnn.errors import UsageError
from kerascnn.tumors.recipes import TumorRecipe

SOURCES = get_args(TumorRecipe.__annotations__["data"])

logger = logging.getLogger(__name__)


def check_source(name, data_dir):
    """Raise UsageError for an unknown name, and for nifti without its folder."""
    if name not in SOURCES:
        raise UsageError(f"name is {name!r}, which is no source of patients; choose one of {', '.join(SOURCES)}")
    if name == "nifti" and data_dir is None:
        words = "data_dir is missing; name the folder of NIfTI volumes, a sub-folder per patient"
        raise UsageError(words, argument="data_dir")


def load(name, data_dir=None, modalities=()):
    """The PatientDataset called `name`, one of SOURCES.

    data_dir: where TensorFlow Datasets keeps its files (None: TFDS_DATA_DIR or TFDS's own default); for nifti the
    folder of volumes, of which `modalities` become the channels. Raises UsageError as check_source does, InputError
    when files are neither there nor to be had, or damaged.
    """
    check_source(name, data_dir)
    if name == "nifti":
        from kerascnn.tumors import nifti

        data = nifti.load(data_dir, modalities)
    elif name == "phantoms":
        from kerascnn.tumors import phantoms

        data = phantoms.load()
    else:
        from kerascnn.tumors import brain_mri

        data = brain_mri.load(data_dir)
    logger.info("data: %s", data.description)
    return data
