"""What a user wants segmented: an image file, a folder of one patient's slices, or NIfTI volumes."""

import dataclasses
import os
import re
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from kerascnn.errors import InputError
from kerascnn.files import reading_from, shown
from kerascnn.image_headers import MOST_PIXELS
from kerascnn.images import FORMATS, MOST_VOXELS, load_image, over_background
from kerascnn.tumors.nifti import file_of, read_volumes

SLICE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
NIFTI_SUFFIXES = (".nii", ".nii.gz")
EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


@dataclasses.dataclass(frozen=True)
class Scan:
    """Slices uint8 (S, H, W, C) of one patient, with the millimetres of a step along S, H and W where known.

    path: where they lie. nifti: the nibabel image whose grid they lie on, else None. files: the names, without suffix,
    of the slices' files where they have some.
    """

    path: Path
    images: np.ndarray
    spacing: tuple[float, float, float] | None = None
    nifti: object = None
    files: tuple[str, ...] = ()

    def labels(self):
        """What to call each slice: the number in its file's name where those differ, else its place from 1."""
        numbers = [re.search(r"(\d+)\D*$", file) for file in self.files]
        found = [number[1] for number in numbers if number]
        if self.files and len(set(found)) == len(self.files):
            return found
        return [str(place) for place in range(1, len(self.images) + 1)]


def read_scan(path, channels, modalities):
    """The Scan at `path`, with `channels` channels.

    A folder holds either slices, in the order of the numbers in their names (masks, `*_mask.*`, are left out), or a
    volume for each of `modalities`, named as tumors/nifti.py has it. A single volume stands for all channels, as
    FLAIR does in the LGG data where a sequence was not taken. Raises InputError.
    """
    with reading_from(path):
        folder = path.is_dir()
        volumes = folder and any(is_nifti(child) and shown(child.name) for child in path.iterdir())
    if volumes:
        scan = Scan(path, *read_volumes(path, [file_of(path, modality) for modality in modalities]))
    elif folder:
        scan = read_slices(path)
    elif is_nifti(path):
        images, spacing, nifti = read_volumes(path, [path])
        scan = Scan(path, np.repeat(images, channels, -1), spacing, nifti)
    else:
        scan = Scan(path, read_image(path)[np.newaxis])
    if scan.images.shape[-1] != channels:
        raise InputError(f"{path} has {scan.images.shape[-1]} channels, the model takes {channels}; give NIfTI volumes")
    return scan


def scan_name(path):
    """What to call the scan at `path`: its name without what says how it is stored."""
    if os.path.isdir(path):
        return path.resolve().name
    return path.name.split(".nii")[0] if is_nifti(path) else path.stem


def is_nifti(path):
    return path.name.lower().endswith(NIFTI_SUFFIXES)


def read_slices(folder):
    """The Scan of a folder of slices. Raises InputError where there are none, or some of other sizes or of one name."""
    files = [
        child
        for child in folder.iterdir()
        if child.suffix.lower() in SLICE_SUFFIXES and shown(child.name) and not child.stem.lower().endswith("_mask")
    ]
    if not files:
        remedy = "name its sub-folders" if any(child.is_dir() for child in folder.iterdir()) else "give such files"
        raise InputError(f"{folder} holds no PNG, JPEG, WebP, BMP or TIFF slices and no NIfTI volumes; {remedy}")
    files.sort(key=numbers_in)
    by_stem = {}
    for file in files:
        other = by_stem.setdefault(file.stem, file)
        if other != file:
            raise InputError(f"{folder} holds {other.name} and {file.name}; give every slice a name of its own")
    images = []
    for file in files:
        images.append(image := read_image(file))
        if len(images) * max(image.shape[:2]) ** 2 > MOST_VOXELS:
            raise InputError(f"{folder} holds more than {MOST_VOXELS:,} pixels; give the slices of one patient")
        if image.shape != images[0].shape:
            sizes = f"{image.shape[1]} x {image.shape[0]}, {files[0].name} {images[0].shape[1]} x {images[0].shape[0]}"
            raise InputError(f"{file} is {sizes}; give slices of one size")
    return Scan(folder, np.stack(images), files=tuple(file.stem for file in files))


def numbers_in(path):
    """The name with its numbers as numbers, so that slice 10 comes after slice 9."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.stem)]


def read_image(path):
    """The pixels of an image file as uint8 (H, W, 3), what is transparent over white or black. Raises InputError."""
    path = Path(path)
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            reading_from(path),
            Image.open(path, formats=(*FORMATS, "TIFF")) as image,
        ):
            if image.width * image.height > MOST_PIXELS:
                raise ValueError("too large")
            # Pillow calls colours of 16 bits RGB as well, and cuts them to 8; how they are stored says what they are
            deep = image.mode not in EIGHT_BITS or ";16" in str(image.tile)
            if deep or getattr(image, "n_frames", 1) > 1:
                raise InputError(f"{path} is no image of 8 bits a channel; give one, or a NIfTI volume")
            if image.format == "TIFF":
                return over_background(image)
    except (OSError, TypeError, ValueError, SyntaxError, Image.DecompressionBombError):
        words = "give a PNG, JPEG, WebP, BMP or TIFF file of at most 25 million pixels, or a NIfTI volume"
        raise InputError(f"cannot decode {path}; {words}") from None
    return load_image(path)[..., ::-1]
