"""Files damaged at random, and what a reader makes of each: the right thing, an error for the user, or an escape."""

import dataclasses
import io
import itertools
import time
import zipfile
from pathlib import Path

import numpy as np

from kerascnn.errors import InputError, UsageError


def flip(content, draw):
    """One to four bytes are others."""
    changed = bytearray(content)
    for place in draw.integers(len(content), size=draw.integers(1, 5)):
        changed[place] ^= int(draw.integers(1, 256))
    return bytes(changed)


def cut(content, draw):
    """The end is missing."""
    return content[: draw.integers(len(content))]


def zero(content, draw):
    """A stretch is zeros, as blocks are that a disk has lost."""
    start, stop = stretch(content, draw)
    return content[:start] + bytes(stop - start) + content[stop:]


def duplicate(content, draw):
    """A stretch stands twice; of an archive half of the times an entry, the second time with other bytes."""
    if zipfile.is_zipfile(io.BytesIO(content)) and draw.random() < 0.5:
        entries = entries_of(content)
        name, data = entries[draw.integers(len(entries))]
        return archive_of([*entries, (name, flip(data, draw) if data else b"more")])
    start, stop = stretch(content, draw)
    return content[:stop] + content[start:]


def swap(content, draw):
    """Two names of an archive change places, those of one length in its directory alone; else two stretches."""
    if zipfile.is_zipfile(io.BytesIO(content)):
        entries = entries_of(content)
        pairs = list(itertools.combinations([name for name, _ in entries], 2))
        one, other = pairs[draw.integers(len(pairs))]
        if len(one) == len(other):
            directory = content.rindex(b"PK\x01\x02", 0, content.index(b"PK\x01\x02") + 4)
            names = {one.encode(): other.encode(), other.encode(): one.encode()}
            return content[:directory] + exchanged(content[directory:], names)
        renamed = {one: other, other: one}
        return archive_of([(renamed.get(name, name), data) for name, data in entries])
    size = int(draw.integers(1, max(2, len(content) // 4)))
    one, other = sorted(draw.integers(max(1, len(content) - 2 * size), size=2))
    other += size
    parts = content[:one], content[other : other + size], content[one + size : other], content[one : one + size]
    return b"".join((*parts, content[other + size :]))


KINDS = (flip, cut, zero, duplicate, swap)


def stretch(content, draw):
    """The first and the last byte of a part of any size."""
    start = int(draw.integers(len(content)))
    return start, min(len(content), start + int(2 ** draw.uniform(0, np.log2(len(content)))) + 1)


def exchanged(content, names):
    """The bytes with each of the names, as whole entries of a directory have it, in the other's place."""
    for place in [place for place in range(len(content)) if content.startswith(b"PK\x01\x02", place)]:
        length = int.from_bytes(content[place + 28 : place + 30], "little")
        name = content[place + 46 : place + 46 + length]
        content = content[: place + 46] + names.get(name, name) + content[place + 46 + length :]
    return content


def entries_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def archive_of(entries):
    import warnings

    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return file.getvalue()


@dataclasses.dataclass
class Survey:
    """What became of mutations; escapes: {what was raised or read instead: the kind and number of the first}."""

    right: int = 0
    refused: int = 0
    escapes: dict = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    mebibytes: float = 0.0


def survey(path, read, is_right, count, seed=0):
    """The Survey of `count` mutations of the file at `path`, as many of each kind, which are read in its place.

    read() -> what is read. is_right(that) -> bool. What is said of a file has to name it.
    """
    path = Path(path)
    content, found = path.read_bytes(), Survey()
    read()  # what is imported and made once does not count
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        path.write_bytes(kind(content, np.random.default_rng((seed, number))))
        before, started = forget_peak(), time.perf_counter()
        try:
            outcome = "right" if is_right(read()) else "read as another"
        except (InputError, UsageError) as error:
            outcome = "refused" if str(path) in str(error) or path.parent.name in str(error) else f"unnamed: {error}"
        except Exception as error:
            outcome = f"{type(error).__name__}: {str(error)[:100]}"
        found.seconds = max(found.seconds, time.perf_counter() - started)
        found.mebibytes = max(found.mebibytes, peak() - before)
        if outcome in ("right", "refused"):
            setattr(found, outcome, getattr(found, outcome) + 1)
        else:
            found.escapes.setdefault(outcome, []).append((kind.__name__, number))
    path.write_bytes(content)
    return found


def forget_peak():
    """Let Linux forget this process's peak of memory; what it holds now, MiB."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak():
    """The most memory that this process has held since, MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise OSError("no VmHWM")
