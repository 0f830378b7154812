"""Pixels in and out: which images are let in, reading image files and writing PNGs."""

import contextlib
import io
import struct
import warnings

import cv2
import numpy as np
from PIL import Image, ImageOps

from kerascnn.errors import InputError
from kerascnn.files import reading_from, write_aside, writing_to
from kerascnn.image_headers import MOST_JPEG_PIXELS, MOST_PIXELS

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # what Pillow raises
# Of a volume to segment: its slices times the square of their longer side, as 256 slices of 512 pixels. A square
# window is cut out of each slice, so a long and narrow one takes as much memory as a square.
MOST_VOXELS = 2**26


@contextlib.contextmanager
def let_in(content, side=None):
    """The PIL image in the bytes of a file, of at most MOST_PIXELS by its header, which alone is read.

    side: a JPEG is decoded at the smallest of 1/8, 1/4, 1/2 and its full size of which no side is shorter than these
    pixels; then it may have MOST_JPEG_PIXELS in full. Raises one of UNREADABLE.
    """
    with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content), formats=FORMATS) as image:
        if image.width * image.height > (MOST_JPEG_PIXELS if side else MOST_PIXELS):
            raise ValueError("too large")
        if side:
            image.draft(None, (side, side))
        if image.width * image.height > MOST_PIXELS:
            raise ValueError("too large")
        yield image


def load_image(path, side=None):
    """The image in a PNG, JPEG, WebP or BMP file as uint8 (H, W, 3), BGR.

    The orientation in its EXIF metadata is followed; what is transparent is laid over white, or over black if nothing
    would show on white. Raises InputError when the file cannot be read or decoded or has more than 25 million pixels,
    by its header, before anything is decoded. side: as let_in takes it.
    """
    with reading_from(path):
        content = path.read_bytes()
    try:
        with let_in(content, side) as image:
            return over_background(upright(image))[..., ::-1].copy()
    except UNREADABLE:
        raise InputError(
            f"cannot decode {path}; give a PNG, JPEG, WebP or BMP file of at most 25 million pixels"
        ) from None


def upright(image):
    """The PIL image as its EXIF orientation says; as it is where its metadata make no sense."""
    try:
        return ImageOps.exif_transpose(image)
    except (OSError, ValueError, SyntaxError, TypeError, KeyError, struct.error):
        image.load()
        return image


def over_background(image):
    """The PIL image as uint8 (H, W, 3), RGB, over white, or over black if nothing would show on white."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))  # Pillow would clip at 255
    image = image.convert("RGBA")
    white, black = (
        np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, colour), image))[..., :3]
        for colour in ("white", "black")
    )
    return white if white.min() < 240 else black


def save_image(path, image):
    """Write uint8 (H, W) or (H, W, 3), BGR, as PNG. Raises InputError when the place cannot be written."""
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # two thirds of the bytes, in the same time, that OpenCV's own strategy takes for scans and photos
        strategy = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT]
        write_aside(path, lambda aside: aside.write_bytes(cv2.imencode(".png", image, strategy)[1]))
