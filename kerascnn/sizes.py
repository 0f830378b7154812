"""Sizes of images and of memory, as users write and read them."""

import math
import re

from kerascnn.errors import UsageError

UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
LARGEST_SIDE = 16_384


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


def sides_text(shape):
    return " x ".join(map(str, shape))


def pair_text(pair):
    """One number where both are equal; "all" where there is none, since all units see the same pixels."""
    return "x".join("all" if value is None else f"{value:g}" for value in (pair[:1] if pair[0] == pair[1] else pair))


def size_text(size):
    """Bytes in the largest binary unit of which there is at least one."""
    power = min(4, int(math.log2(max(size, 1)) // 10))
    return f"{size / 1024**power:.{0 if power == 0 else 2}f} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
