"""Where a run or a figure came from: hardware, versions, date and command."""

import contextlib
import importlib.metadata
import os
import platform
import sys
from datetime import date
from pathlib import Path

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
    """{name: the most memory in MiB that this process has had at a time}: the system's, and that of each GPU.

    None where the system does not tell, as Windows.
    """
    import tensorflow as tf

    peaks = {"peak_memory_mib": None}
    with contextlib.suppress(ImportError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peaks["peak_memory_mib"] = round(peak / (2**20 if sys.platform == "darwin" else 2**10))  # bytes there, else KiB
    gpus = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices("GPU")]
    if gpus:
        used = [tf.config.experimental.get_memory_info(gpu)["peak"] for gpu in gpus]
        peaks["peak_gpu_memory_mib"] = round(max(used) / 2**20)
    return peaks


def hardware():
    """The accelerators' names, the processor's and the number of cores, as a reader of a results table wants it."""
    import tensorflow as tf

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        # ARM processors say none
        processor = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), processor)
    gpus = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    return ", ".join([*(gpu.get("device_name", "GPU") for gpu in gpus), f"{processor}, {cores} cores"])
