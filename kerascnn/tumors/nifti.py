"""A folder of NIfTI volumes, one sub-folder per patient, as the BraTS challenge lays them out.

    <folder>/<patient>/<patient>_<modality>.nii.gz    e.g. t1, t1ce, t2, flair (BraTS), or any other names
    <folder>/<patient>/<patient>_seg.nii.gz           labels; whatever is above 0 is tumor

Volumes are read through nibabel, turned to its closest canonical axes, and cut into axial slices.
"""

import gzip
import logging
import math
import zlib
from pathlib import Path

import nibabel
import numpy as np

from kerascnn.errors import DataAbsent, InputError, reason_of
from kerascnn.files import shown
from kerascnn.images import MOST_VOXELS
from kerascnn.tumors.patients import Patient, PatientDataset

LABEL = "seg"
# It tells of headers that it fixes on stderr, where an app says in one line what a user can fix.
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)
NIBABEL_ERRORS = (
    nibabel.filebasedimages.ImageFileError,
    nibabel.orientations.OrientationError,
    nibabel.spatialimages.HeaderDataError,
)


def read_volume(path):
    """(the nibabel image in a file, its data float32 (X, Y, Z)).

    The data's axes are turned to right, anterior and superior, axes of length 1 after the third are left out, and what
    is no number is 0, as outside the head. Raises InputError when the file cannot be read or holds no volume.
    """
    try:
        image = nibabel.load(path)
        if not hasattr(image, "affine"):  # CIFTI-2, of a surface
            raise ValueError("it lies on no grid")
        if image.get_data_dtype().kind not in "iuf":
            raise ValueError(f"its voxels are {image.get_data_dtype()}")
        # before anything is unpacked: a few bytes may claim to be many gigabytes
        if min(image.shape, default=0) < 1 or math.prod(image.shape) > MOST_VOXELS:
            raise ValueError(f"its shape {image.shape} is not of 1 to {MOST_VOXELS:,} voxels")
        if image.ndim > 3:
            image = nibabel.funcs.squeeze_image(image)
        data = np.asarray(nibabel.as_closest_canonical(image).dataobj, np.float32)
        check_rest(path, data.size * 16)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; add it or name another folder") from None
    except (OSError, ValueError, TypeError, EOFError, OverflowError, zlib.error, *NIBABEL_ERRORS) as error:
        reason = reason_of(error)
        raise InputError(f"{path} is no NIfTI volume ({reason}); restore the original") from None
    if data.ndim != 3 or not data.size:
        raise InputError(f"{path} has the shape {data.shape}; give a volume of three axes")
    return image, np.nan_to_num(data, nan=0.0, posinf=0.0, neginf=0.0)


def check_rest(path, most):
    """Read a compressed file to its end, where its checksum stands; nibabel stops behind the last voxel.

    most: bytes of its content, beyond a MiB for the header. Raises ValueError for more, EOFError, OSError or zlib.error
    where it is damaged.
    """
    if Path(path).suffix.lower() == ".gz":
        with gzip.open(path) as file:
            while file.read(2**20):
                if file.tell() > most + 2**20:
                    raise ValueError("it goes on behind its voxels")


def write_mask(path, mask, image):
    """Write a mask (S, H, W, 1) of as_slices' slices on the grid, and with the header, of the nibabel `image`."""
    to_image = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("RAS"), nibabel.io_orientation(image.affine)
    )
    data = nibabel.orientations.apply_orientation(from_slices(mask[..., 0]), to_image)
    stored = nibabel.Nifti1Image(np.ascontiguousarray(data, np.uint8), image.affine, image.header, dtype=np.uint8)
    stored.header.set_slope_inter(1, 0)
    # the image's display range, in which a mask of 0 and 1 would be black
    stored.header["cal_min"], stored.header["cal_max"] = 0, 1
    nibabel.save(stored, path)


def as_slices(data):
    """(X, Y, Z) of a canonical volume -> (Z, Y, X): axial slices from below, front at the top, left on the left."""
    return data[:, ::-1].transpose(2, 1, 0)


def from_slices(slices):
    """The inverse of as_slices."""
    return slices.transpose(2, 1, 0)[:, ::-1]


def to_uint8(data):
    """Any range of intensities: float32 -> uint8, 0 to 255 from 0 (or the least, if negative) to nearly the highest.

    One voxel in a thousand of those above the lowest may be brighter than 255 and is cut: a few hot voxels would leave
    the head dark.
    """
    low = min(0.0, float(data.min()))
    above = data[data > low]
    span = float(np.quantile(above, 0.999)) - low if len(above) else 1.0
    return np.round(np.clip((data - low) * (255 / span), 0, 255)).astype(np.uint8)


def spacing_of(image):
    """Millimetres from slice to slice, row to row and column to column of as_slices' slices of an image."""
    header = nibabel.as_closest_canonical(image).header
    unit = {1: 1000.0, 3: 0.001}.get(int(header["xyzt_units"]) % 8, 1.0)  # metres, micrometres
    x, y, z = (unit * float(step) for step in header.get_zooms()[:3])
    return z, y, x


def read_volumes(source, files):
    """(slices uint8 (S, H, W, C), spacing, the first image as stored) of the volumes of one patient, `source`.

    Raises InputError where one cannot be read, is of one intensity, or lies on another grid than the others.
    """
    read = [read_volume(file) for file in files]
    shapes = {data.shape for _, data in read}
    if len(shapes) > 1:
        raise InputError(f"{source} has volumes of the sizes {sorted(shapes)}; give modalities of one grid")
    check_grid(source, [image for image, _ in read])
    for file, (_, data) in zip(files, read, strict=True):
        if data.min() == data.max():
            raise InputError(f"{file} has the intensity {data.min():g} everywhere; give the original volume")
    return np.stack([as_slices(to_uint8(data)) for _, data in read], -1), spacing_of(read[0][0]), read[0][0]


def check_grid(folder, images):
    """Raise InputError unless the nibabel images lie in the same place."""
    first, *others = map(canonical_affine, images)
    if not all(np.allclose(affine, first, atol=1e-3) for affine in others):
        raise InputError(f"{folder} has volumes on different grids; give volumes that are registered and resampled")


def canonical_affine(image):
    """The affine that nibabel.as_closest_canonical gives the image, whose data it would read once more."""
    turned = nibabel.orientations.inv_ornt_aff(nibabel.io_orientation(image.affine), image.shape)
    return image.affine @ turned


def file_of(folder, modality):
    """The patient's file of a modality, compressed or not; the compressed one's name when neither is there."""
    plain = folder / f"{folder.resolve().name}_{modality}.nii"
    return plain if plain.is_file() else plain.with_suffix(".nii.gz")


def read_patient(folder, modalities):
    """The Patient in a folder. Raises InputError naming the first file that is missing, damaged or does not fit."""
    images, spacing, image = read_volumes(folder, [file_of(folder, modality) for modality in modalities])
    label_file = file_of(folder, LABEL)
    label_image, data = read_volume(label_file)
    labels = as_slices(data)
    if labels.shape != images.shape[:3]:
        sizes = f"{labels.shape}, its images {images.shape[:3]}"
        raise InputError(f"{label_file} has the size {sizes}; restore the original")
    check_grid(folder, [image, label_image])
    if (labels < 0).any() or (labels != np.round(labels)).any():
        raise InputError(f"{label_file} has values that are no labels; give whole numbers from 0")
    return Patient(folder.name, images, (labels > 0).astype(np.uint8)[..., np.newaxis], "", spacing)


def load(folder, modalities):
    """All patients in `folder`, a sub-folder of volumes each; the modalities become the channels, in their order.

    Raises DataAbsent when the folder is not there, InputError when it holds no patient, or one that is incomplete.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataAbsent(f"no folder {folder}; give one with a sub-folder of NIfTI volumes per patient")
    found = sorted(child for child in folder.iterdir() if child.is_dir() and shown(child.name))
    if not found:
        raise InputError(f"{folder} holds no patient's folder; give one sub-folder of NIfTI volumes per patient")
    patients = tuple(read_patient(child, modalities) for child in found)
    slices = sum(len(patient) for patient in patients)
    return PatientDataset(
        name="nifti",
        patients=patients,
        channel_names=tuple(modalities),
        licence="not stated",
        description=f"{folder.resolve().name}, {len(patients)} patients, {slices:,} slices, {', '.join(modalities)}",
    )
