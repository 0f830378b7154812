"""Flags that mean the same in every app."""

import re

from kerascnn.analysis.sizes import LARGEST_SIDE, UNITS
from kerascnn.errors import UsageError


def parse_shape(text):
    """(H, W, C) from "227x227x3". Raises UsageError unless these are three numbers of a possible size."""
    sides = re.fullmatch(r"(\d{1,6})x(\d{1,6})x(\d{1,6})", text)
    shape = tuple(map(int, sides.groups())) if sides else (0,)
    if not 1 <= min(shape) <= max(shape) <= LARGEST_SIDE:
        raise UsageError(f"--input {text!r} is no size; give HEIGHTxWIDTHxCHANNELS, each from 1 to {LARGEST_SIDE:,}")
    return shape


def parse_memory(text):
    """Bytes from "4GiB", "500MB" or a number. Raises UsageError unless it is such a size, above 0."""
    parts = re.fullmatch(r"(\d{1,15}(?:\.\d+)?) ?([a-zA-Z]*)", text)
    unit = UNITS.get(parts[2].upper()) if parts else None
    if unit is None or not float(parts[1]) * unit >= 1:
        raise UsageError(f"--memory {text!r} is no size; give one as 4GiB, 500MB or a number of bytes")
    return round(float(parts[1]) * unit)
