"""Patients with slices and masks: the unit of every split, fold and figure of a medical data set.

A patient's slices look alike, so a slice of a patient in training makes a test on another of the same patient
worthless: only whole patients are dealt out.
"""

import dataclasses
import hashlib

import numpy as np

from kerascnn.datasets.examples import source_metadata
from kerascnn.errors import InputError
from kerascnn.tumors.recipes import FOLDS, VALIDATION_PARTS


@dataclasses.dataclass(frozen=True, eq=False)
class Patient:
    """The slices of one patient in order, in memory.

    images: uint8 (S, H, W, C). masks: uint8 (S, H, W, 1), 1 where there is tumor. institution: where the images were
    taken, "" where unknown. spacing: millimetres from slice to slice, row to row and column to column, None unknown.
    """

    name: str
    images: np.ndarray
    masks: np.ndarray
    institution: str = ""
    spacing: tuple[float, float, float] | None = None

    def __len__(self):
        return len(self.images)


@dataclasses.dataclass(frozen=True)
class PatientDataset:
    """All patients of one source, and what a model card has to say about them."""

    name: str
    patients: tuple[Patient, ...]
    channel_names: tuple[str, ...]
    licence: str
    description: str

    def checksum(self):
        """sha256 over names, images and masks of all patients in order, as hex digits."""
        digest = hashlib.sha256()
        for patient in self.patients:
            digest.update(patient.name.encode())
            digest.update(np.ascontiguousarray(patient.images))
            digest.update(np.ascontiguousarray(patient.masks))
        return digest.hexdigest()

    def metadata(self):
        """What recipe.json and the model card say of the data, JSON types."""
        return {
            **source_metadata(self),
            "patients": len(self.patients),
            "slices": sum(len(patient) for patient in self.patients),
            "channels": list(self.channel_names),
        }


@dataclasses.dataclass(frozen=True)
class Split:
    """Patients for training, for every choice, and for the one test."""

    train: tuple[Patient, ...]
    validation: tuple[Patient, ...]
    test: tuple[Patient, ...]

    def metadata(self):
        """The patients' names by part, JSON types."""
        return {part.name: [patient.name for patient in getattr(self, part.name)] for part in dataclasses.fields(self)}


def split(patients, fold, part=0, seed=0):
    """The Split whose test patients are the fold numbered `fold`, 0 to FOLDS - 1.

    One in VALIDATION_PARTS of the others validates; part: which of these disjoint groups, 0 to VALIDATION_PARTS - 1.
    Each institution's patients are shuffled with `seed` and dealt to the folds in turn, so the institutions are spread
    over all folds, every patient is tested in exactly one fold, and folds differ by one patient at most.
    Raises InputError when there are too few patients.
    """
    if len(patients) < 2 * FOLDS:
        raise InputError(f"{len(patients)} patients are too few for {FOLDS} folds; give at least {2 * FOLDS}")
    by_name = sorted(patients, key=lambda patient: patient.name)
    shuffled = [by_name[i] for i in np.random.default_rng(seed).permutation(len(by_name))]
    dealt = sorted(shuffled, key=lambda patient: patient.institution)
    test = dealt[fold::FOLDS]
    others = [patient for patient in dealt if patient not in test]
    validation = others[(fold + part) % VALIDATION_PARTS :: VALIDATION_PARTS]
    train = [patient for patient in others if patient not in validation]
    return Split(*(tuple(sorted(part, key=lambda patient: patient.name)) for part in (train, validation, test)))
