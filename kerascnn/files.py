"""Files that are either whole or not there: written beside their place, then renamed."""

import contextlib
import errno
import glob
import json
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from kerascnn.errors import InputError, UsageError, printable

MOST_COMPRESSION = 20  # of an archive whose writer compresses nothing
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what the system says of a disk, a quota, a file
MOST_DEPTH = 100  # of JSON; writing it takes a few calls a level, of which Python allows a thousand


def write_aside(path, write):
    """Call write(temporary path), then rename the result to `path`; a reader or a kill never sees half a file.

    The temporary name keeps the suffix, which some writers look at.
    """
    path = Path(path)
    # the process in the name keeps two that write the same file apart
    remove_leftovers(path.parent, f".aside-*-{glob.escape(path.name)}")
    aside = path.with_name(f".aside-{os.getpid()}-{path.name}")
    try:
        write(aside)
        with open(aside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def remove_leftovers(folder, pattern):
    """Remove what killed processes left in `folder`: files and folders called `.word-PROCESS-…`."""
    for left in Path(folder).glob(pattern):
        import psutil  # takes a while, and is hardly ever needed

        process = left.name.split("-")[1]
        # a container gives a process the number that the one before had, and what this one writes is not yet there
        if process.isdecimal() and (int(process) == os.getpid() or not psutil.pid_exists(int(process))):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def disk_full(words):
    """The number of FULL of which the words of a library or a program speak, None where of none."""
    return next((number for number in FULL if os.strerror(number) in words), None)


def raise_if_disk_full(words):
    """Raise the OSError of a full disk where the words of a library or a program speak of one."""
    if number := disk_full(words):
        raise OSError(number, os.strerror(number)) from None


@contextlib.contextmanager
def reading_from(path):
    """Turn what the system says of a path that cannot be read into InputError; what a decoder says has no number."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise InputError(f"cannot read {error.filename or path} ({error.strerror}); check the path") from None


@contextlib.contextmanager
def writing_to(place):
    """Turn what the system says of a place that cannot be written to into InputError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error  # some libraries give words alone
        if error.filename and str(error.filename) != str(place):
            reason = f"{reason}: {error.filename}"
        raise InputError(f"cannot write to {place} ({reason}); choose another folder") from None


def open_closed_streams():
    """Let stdout and stderr go to nowhere, to the end of the process, where they were closed, as by `2>&-`."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
            os.dup2(getattr(sys, name).fileno(), number)


def check_writable(folder):
    """Raise InputError unless files can be written into `folder`, which may have to be made; leaves nothing there."""
    try:
        place = next(place for place in (Path(folder).absolute(), *Path(folder).absolute().parents) if place.exists())
        with tempfile.TemporaryFile(dir=place, buffering=0) as file:
            file.write(b"1")  # a full disk may still give names
    except OSError as error:
        raise InputError(f"cannot write to {folder} ({error.strerror}); choose another folder") from None


def check_utf8(folder):
    """Raise InputError for a folder whose whole path is not UTF-8: TensorFlow writes into no such one."""
    try:
        (where := os.path.abspath(folder)).encode()
    except UnicodeEncodeError:
        raise InputError(f"cannot write to {printable(where)} (no UTF-8); choose another folder") from None


@contextlib.contextmanager
def one_writer(folder):
    """Keep `folder` to this process; the lock ends with the process, however that ends.

    Raises UsageError when another process has it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(Path(folder) / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        words = f"folder {folder} is where another process is training"
        raise UsageError(f"{words}; choose another folder") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows deletes no open file; there filelock does it afterwards
            os.unlink(lock.lock_file)
        lock.release()


def write_json(path, value):
    """Write `value` as indented JSON; a file that says the same already is left untouched."""
    text = json.dumps(value, indent=2) + "\n"
    if not (Path(path).is_file() and Path(path).read_bytes() == text.encode()):
        write_aside(path, lambda aside: aside.write_bytes(text.encode()))


def read_json(path):
    """The value in a JSON file. Raises InputError when it is not JSON, or nested more than a hundred levels deep."""
    with reading_from(path):
        text = Path(path).read_bytes()
    try:
        value = json.loads(text)
        if deeper_than(MOST_DEPTH, value):
            raise ValueError("nested too deep")
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}); restore it or train again") from None
    return value


def deeper_than(levels, value):
    """Whether lists and dicts lie in more than so many others in a value of JSON types."""
    layer = [value]
    for _ in range(levels):
        layer = [part for each in layer if isinstance(each, dict | list) for part in children(each)]
    return any(isinstance(each, dict | list) for each in layer)


def children(value):
    return value.values() if isinstance(value, dict) else value


def read_json_if_any(path):
    """The value in a JSON file, None where there is no such file. Raises InputError as read_json does."""
    return read_json(path) if Path(path).is_file() else None


def check_archive(file, most_compression=MOST_COMPRESSION):
    """Raise ValueError unless a ZIP archive, a path or an open file, has entries of single names and honest sizes.

    Readers differ in which of two entries of one name they take. An entry of zeros alone could fill the memory: one may
    be so many times as large as it is stored, and a MiB. Raises OSError where it cannot be read.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (RuntimeError, zipfile.BadZipFile) as error:
        raise ValueError(error) from None
    if not entries:  # as where zeros stand in the place of the directory's size
        raise ValueError("nothing is in it")
    found = set()
    for entry in entries:
        if entry.filename in found:
            raise ValueError(f"{entry.filename} is in it twice")
        if entry.comment:  # as where its length is damaged, and it is the entries behind
            raise ValueError(f"{entry.filename} has a comment")
        found.add(entry.filename)
        if entry.file_size > 2**20 + most_compression * entry.compress_size:
            raise ValueError(f"{entry.filename} grows from {entry.compress_size:,} to {entry.file_size:,} bytes")


# macOS puts the first into archives, storage by Synology thumbnails into the second; others are of whole disks.
OF_SYSTEMS = {"__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"}


def shown(name):
    """Whether a file or folder is somebody's, not the system's."""
    return not name.startswith(".") and name not in OF_SYSTEMS
