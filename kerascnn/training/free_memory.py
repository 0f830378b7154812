"""Whether a training fits into the memory that is free, before it starts: a CPU's system would kill it."""

import dataclasses
import re
from pathlib import Path

from kerascnn.analysis.memory import estimate_memory, largest_batch
from kerascnn.errors import UsageError
from kerascnn.training.precision import computing_in, on_accelerator, policy_of

MEMORY_INFO, CONTAINER = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
USABLE = 0.9  # of what is free: the estimate is right within 11 %, benchmarks/results/memory_estimate.json


def free_memory():
    """Bytes that a training on this CPU may take, of the system or of the container around it.

    None where the system does not tell, as macOS and Windows, and on a GPU, which ends a training with an error.
    """
    if on_accelerator() or not MEMORY_INFO.is_file():
        return None
    free = 2**10 * int(re.search(r"MemAvailable:\s+(\d+)", MEMORY_INFO.read_text())[1])
    limit, used = CONTAINER / "memory.max", CONTAINER / "memory.current"
    if limit.is_file() and limit.read_text().strip().isdigit():
        free = min(free, int(limit.read_text()) - int(used.read_text()))
    return free


def needed_memory(model, recipe):
    """Bytes that training takes by the estimate of kerascnn.analysis.memory, None where that does not know a layer."""
    try:
        with computing_in(model, policy_of(model, recipe)):
            return estimate_memory(model, recipe.batch_size, recipe.optimizer)["total"]
    except UsageError:
        return None


def check_memory(model, recipe):
    """Raise UsageError where training takes more than is free; the message says what helps, and how much.

    model: built, not compiled, of a known input shape.
    """
    free, needed = free_memory(), needed_memory(model, recipe)
    if free is None or needed is None or needed <= USABLE * free:
        return
    helps = []
    if fitting := fitting_recipe(model, recipe):
        batch = f"batch_size {fitting.batch_size} and accumulate {fitting.accumulate}"
        helps.append(f"{batch} ({gib(needed_memory(model, fitting))})")
    if recipe.precision in ("auto", "float32"):
        half = dataclasses.replace(recipe, precision="mixed_bfloat16")
        helps.append(f"precision mixed_bfloat16 ({gib(needed_memory(model, half))})")
    helps.append("smaller images, larger strides or fewer layers")
    raise UsageError(
        f"batch_size is {recipe.batch_size}, with which training {model.name} takes about {gib(needed)}, and "
        f"{gib(free)} are free; try {', or '.join(helps)}",
        argument="batch_size",
    )


def fitting_recipe(model, recipe):
    """The recipe with the largest batch that fits, and as many accumulated as make an update see as many images.

    None where not even one image fits. The recipe itself where it fits or nothing is known.
    """
    free, needed = free_memory(), needed_memory(model, recipe)
    if free is None or needed is None or needed <= USABLE * free:
        return recipe
    with computing_in(model, policy_of(model, recipe)):
        fitting = largest_batch(model, recipe.optimizer, int(USABLE * free))
    parts = next((n for n in range(2, recipe.batch_size + 1) if recipe.batch_size // n <= fitting), None)
    if not fitting or parts is None:
        return None
    return dataclasses.replace(recipe, batch_size=recipe.batch_size // parts, accumulate=recipe.accumulate * parts)


def gib(size):
    return f"{size / 2**30:.1f} GiB"
