"""Where a run or a figure came from: hardware, versions, date and command."""

import contextlib
import importlib.metadata
import os
import platform
import sys
from datetime import date
from pathlib import Path

import keras

from kerascnn import __version__


def provenance():
    """What every figure is kept with: hardware, date and versions, JSON types."""
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    return {
        "hardware": hardware(),
        "date": date.today().isoformat(),
        "versions": {"kerascnn": __version__, "python": platform.python_version(), **versions},
    }


def origin():
    """What recipe.json says of how a run came about: provenance and the command, JSON types."""
    return {**provenance(), "argv": [Path(sys.argv[0]).name, *sys.argv[1:]]}


def peak_memory():
    """The most memory that this process has had at a time, in MiB; None where the system does not tell, as Windows."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))  # bytes there, KiB elsewhere


def hardware():
    """The accelerator's or processor's name and the number of cores, as a reader of a results table wants it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        processor = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    devices = [device for device in keras.distribution.list_devices() if not device.startswith("cpu")]
    return ", ".join([*devices, f"{processor}, {cores} cores"])
