"""Whether a training fits into the memory that is free, before it starts: a CPU's system would kill it."""

import dataclasses
import math
import re
from pathlib import Path

import keras

from kerascnn.analysis.memory import activation_peak, estimate_memory, largest_batch
from kerascnn.errors import UsageError
from kerascnn.training.precision import on_accelerator, policy_of

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
        # files that were read are kept as long as nothing else wants the memory
        kept = re.search(r"^inactive_file (\d+)", (CONTAINER / "memory.stat").read_text(), re.MULTILINE)
        free = min(free, int(limit.read_text()) - int(used.read_text()) + int(kept[1]))
    return free


def needed_memory(build, recipe):
    """Bytes that training takes by the estimate of kerascnn.analysis.memory, None where that does not know a layer."""
    model = in_precision(build, recipe)
    try:
        return estimate_memory(model, recipe.batch_size, recipe.optimizer)["total"] + more_copies(model, recipe)
    except UsageError:
        return None


def in_precision(build, recipe):
    """The model that build() gives under the precision of the training."""
    model = build()
    if (policy := policy_of(model, recipe)) == "float32":
        return model
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return build()
    finally:
        keras.config.set_dtype_policy(before)


def more_copies(model, recipe):
    """Bytes of the sums of gradients that are accumulated, and of moving averages, which the estimate does not know."""
    trained = 4 * sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return trained * ((recipe.accumulate > 1) + (recipe.ema > 0))


def check_memory(build, recipe):
    """Raise UsageError where training takes more than is free; the message says what helps, and how much.

    build() -> the network, of a known input shape; one without weights will do, as symbolic_model makes it.
    """
    free, needed = free_memory(), needed_memory(build, recipe)
    if free is None or needed is None or needed <= USABLE * free:
        return
    helps = []
    if fitting := fitting_recipe(build, recipe):
        batch = f"batch_size {fitting.batch_size} and accumulate {fitting.accumulate}"
        helps.append(f"{batch} ({gib(needed_memory(build, fitting))})")
    if policy_of(build(), recipe) == "float32":
        half = dataclasses.replace(recipe, precision="mixed_bfloat16")
        helps.append(f"precision mixed_bfloat16 ({gib(needed_memory(build, half))})")
    activations = recipe.batch_size * activation_peak(in_precision(build, recipe))
    helps.append(f"smaller images, larger strides or fewer layers (activations are {gib(activations)} of it)")
    raise UsageError(
        f"batch_size is {recipe.batch_size}, with which training {build().name} takes about {gib(needed)}, and "
        f"{gib(free)} are free; try {', or '.join(helps)}",
        argument="batch_size",
    )


def fitting_recipe(build, recipe):
    """The recipe with the largest batch that fits, of which so many are accumulated that an update sees as many images.

    None where there is none. The recipe itself where it fits or nothing is known.
    """
    free, needed = free_memory(), needed_memory(build, recipe)
    if free is None or needed is None or needed <= USABLE * free:
        return recipe
    model = in_precision(build, recipe)
    left = USABLE * free - more_copies(model, dataclasses.replace(recipe, accumulate=2))
    fitting = largest_batch(model, recipe.optimizer, int(left))
    sizes = [n for n in range(1, recipe.batch_size) if recipe.batch_size % n == 0 and n <= fitting]
    if not sizes:
        return None
    parts = recipe.batch_size // sizes[-1]
    return dataclasses.replace(recipe, batch_size=sizes[-1], accumulate=recipe.accumulate * parts)


def gib(size):
    return f"{size / 2**30:.1f} GiB"
