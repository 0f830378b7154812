"""Sizes of images and of memory, as users write and read them."""

import math

UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
LARGEST_SIDE = 16_384


def sides_text(shape):
    return " x ".join(map(str, shape))


def pair_text(pair):
    """One number where both are equal; "all" where there is none, since all units see the same pixels."""
    return "x".join("all" if value is None else f"{value:g}" for value in (pair[:1] if pair[0] == pair[1] else pair))


def size_text(size):
    """Bytes in the largest binary unit of which there is at least one."""
    power = min(4, int(math.log2(max(size, 1)) // 10))
    return f"{size / 1024**power:.{0 if power == 0 else 2}f} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
