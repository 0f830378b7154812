"""LGG MRI segmentation: brain slices of The Cancer Genome Atlas with masks of the FLAIR abnormality.

Buda, Saha & Mazurowski, 2019, arXiv:1906.03720; images from The Cancer Imaging Archive, collection TCGA-LGG. Every
patient is a folder `TCGA_<institution>_<id>_<date>` of slices, three sequences as the channels of one TIFF, and one
mask a slice. A TensorFlow Datasets builder of our own, because TFDS does not know the set; it reads the original folder
`kaggle_3m/` from TFDS's manual folder and touches no network.
"""

import itertools
import re

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from kerascnn.datasets.tfds_builders import arrays, folder, prepared_builder
from kerascnn.errors import DataAbsent, InputError
from kerascnn.files import shown
from kerascnn.tumors.patients import Patient, PatientDataset

SOURCE = "https://www.kaggle.com/datasets/mateuszbuda/lgg-mri-segmentation"
IMAGE_SIZE = 256


class BrainMri(tfds.core.GeneratorBasedBuilder):
    """Slices by patient and position: image uint8 (256, 256, 3), mask uint8 (256, 256, 1) of 0 and 1."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"Unpack the folder kaggle_3m/ of {SOURCE} here."

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description=__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "patient": tfds.features.Text(),
                    "image": tfds.features.Image(shape=(IMAGE_SIZE, IMAGE_SIZE, 3)),
                    "mask": tfds.features.Image(shape=(IMAGE_SIZE, IMAGE_SIZE, 1)),
                }
            ),
            homepage=SOURCE,
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {"slices": self._generate_examples(dl_manager.manual_dir / "kaggle_3m")}

    def _generate_examples(self, path):
        position = itertools.count()
        for patient in patient_folders(path):
            for image, mask in slices(patient):
                yield next(position), {"patient": patient.name, "image": image, "mask": mask}


def patient_folders(path):
    """The patients' folders in the order of their names. Raises InputError when there is none."""
    found = sorted(child for child in path.iterdir() if child.is_dir() and shown(child.name))
    if not found:
        raise InputError(f"{path} holds no patient's folder; unpack {SOURCE} there")
    return found


def slices(patient):
    """(image, mask) of every slice of a patient's folder, as the builder's class describes them, in order.

    Raises InputError naming the first file that is missing, unreadable, of another size or has other mask values.
    """
    numbers = set()
    for path in patient.glob("*.tif"):
        number = re.fullmatch(rf"{re.escape(patient.name)}_(\d+)(_mask)?\.tif", path.name)
        if not number:
            raise InputError(f"{path} is no slice of {patient.name}; name it {patient.name}_<number>.tif or remove it")
        numbers.add(int(number[1]))
    if 0 in numbers:
        raise InputError(f"{patient} has a slice 0; number its slices from 1")
    if not numbers:
        raise InputError(f"{patient} has no slices; restore its files or remove the folder")
    for number in range(1, max(numbers) + 1):
        image, mask = patient / f"{patient.name}_{number}.tif", patient / f"{patient.name}_{number}_mask.tif"
        yield read_tiff(image, "RGB"), binary(read_tiff(mask, "L"), mask)


def read_tiff(path, mode):
    """The pixels of a TIFF as uint8 (256, 256, channels). Raises InputError."""
    try:
        with Image.open(path, formats=("TIFF",)) as image:
            if image.mode != mode or image.size != (IMAGE_SIZE, IMAGE_SIZE):
                size = f"{image.width} x {image.height} {image.mode}"
                raise InputError(f"{path} is {size}, expected {IMAGE_SIZE} x {IMAGE_SIZE} {mode}; restore the original")
            return np.asarray(image).reshape(IMAGE_SIZE, IMAGE_SIZE, -1)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; restore it or remove the patient's folder") from None
    except (OSError, SyntaxError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}); restore the original") from None


def binary(mask, path):
    """A mask of 0 and 255 as 0 and 1. Raises InputError for other values."""
    others = np.setdiff1d(mask, (0, 255))
    if len(others):
        raise InputError(f"{path} has the value {others[0]}, a mask has 0 and 255 only; restore the original")
    return mask // 255


def load(data_dir=None):
    """All patients whose folders are there: slices of 256×256, channels pre-contrast, FLAIR, post-contrast.

    Where a sequence was not taken, its channel is a copy of FLAIR. The originals are read once, when they are prepared.
    Raises DataAbsent when there are none, InputError when they were damaged then, or are of other patients now.
    """
    root = folder(data_dir)
    manual = root / "downloads" / "manual"

    def check_originals(builder):
        if not (manual / "kaggle_3m").is_dir():
            raise DataAbsent(f"no kaggle_3m/ in {manual}; unpack {SOURCE} there")

    builder = prepared_builder("brain_mri", BrainMri, root, manual, check_originals)
    found = arrays(builder, "slices")
    names = found["patient"].astype(str)
    if (manual / "kaggle_3m").is_dir():
        there = {child.name for child in patient_folders(manual / "kaggle_3m")}
        if there != set(names):
            raise InputError(
                f"{builder.data_path} was prepared from other patients than those in {manual / 'kaggle_3m'}; "
                "delete the former and run again"
            )
    patients = tuple(
        Patient(
            name=patient,
            images=found["image"][names == patient],
            masks=found["mask"][names == patient],
            institution=patient.partition("_")[2].partition("_")[0],  # of TCGA_<institution>_<id>_<date>
        )
        for patient in dict.fromkeys(names)
    )
    return PatientDataset(
        name="brain_mri",
        patients=patients,
        channel_names=("pre-contrast", "FLAIR", "post-contrast"),
        licence="CC BY-NC-SA 4.0",
        description=f"LGG MRI segmentation, {len(patients)} patients of TCGA-LGG, {len(names):,} slices of 256x256",
    )
