"""Whether a training fits into the memory that is free, before it starts: a CPU's system would kill it."""

import dataclasses
import math
import re
from pathlib import Path

import keras

from kerascnn.analysis.memory import activation_peak, estimate_memory
from kerascnn.datasets.batches import batches_ahead
from kerascnn.errors import InputError, UsageError
from kerascnn.training.precision import bfloat16_pays, on_accelerator, policy_of

MEMORY_INFO, CONTAINER, OWN = Path("/proc/meminfo"), Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
USABLE = 0.85  # of what is free: trainings took at most 15 % more, benchmarks/results/memory_estimate.json
HALF = 1.25  # times the estimate is what half precision takes on a CPU, see kerascnn.analysis.memory


def free_memory():
    """Bytes that a training on this CPU may take, of the system or of the container around it.

    None where the system does not tell, as macOS and Windows, and on a GPU, which ends a training with an error.
    """
    if on_accelerator() or not MEMORY_INFO.is_file():
        return None
    free = 2**10 * int(re.search(r"MemAvailable:\s+(\d+)", MEMORY_INFO.read_text())[1])
    for group in control_groups():
        limit, used = group / "memory.max", group / "memory.current"
        if limit.is_file() and limit.read_text().strip().isdigit():
            # files that were read are kept as long as nothing else wants the memory
            kept = re.search(r"^inactive_file (\d+)", (group / "memory.stat").read_text(), re.MULTILINE)
            free = min(free, int(limit.read_text()) - int(used.read_text()) + int(kept[1]))
    return free


def control_groups():
    """The folders of this process's control group and of all around it, of cgroup v2: a job's, a service's."""
    found = re.search("^0::/(.*)$", OWN.read_text(), re.MULTILINE) if OWN.is_file() else None
    own = CONTAINER / found[1] if found else CONTAINER
    return [own, *(folder for folder in own.parents if folder.is_relative_to(CONTAINER))]


def needed_memory(build, recipe):
    """Bytes that training takes by the estimate of kerascnn.analysis.memory, None where that does not know a layer."""
    try:
        return bytes_of(in_precision(build, recipe), recipe)
    except UsageError:
        return None


def bytes_of(model, recipe):
    """Bytes that training a network in the precision of the training takes, those of the batches ahead among them."""
    half = any(layer.compute_dtype != "float32" for layer in model.layers)
    total = estimate_memory(model, recipe.batch_size, recipe.optimizer)["total"] + more_copies(model, recipe)
    image = model.input_shape[1:]
    ahead = sum(batches_ahead(recipe.batch_size, image)) * 4 * recipe.batch_size * math.prod(image)
    return (HALF if half else 1) * total + ahead


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


def check_memory(build, recipe, resumed=False):
    """Raise UsageError where training takes more than is free; the message says what helps, and how much.

    build() -> the network, of a known input shape; one without weights will do, as symbolic_model makes it. resumed:
    whether a run goes on, whose recipe stays as it is: then it is an InputError.
    """
    free, needed = free_memory(), needed_memory(build, recipe)
    if free is None or needed is None or needed <= USABLE * free:
        return
    if resumed:
        words = f"the run takes about {gib(needed)}, and {gib(free)} of memory are free"
        raise InputError(f"{words}; end what takes it, and resume it again")
    helps = []
    if fitting := fitting_recipe(build, recipe):
        batch = f"batch_size {fitting.batch_size} and accumulate {fitting.accumulate}"
        helps.append(f"{batch} ({gib(needed_memory(build, fitting))})")
    half = needed_memory(build, dataclasses.replace(recipe, precision="mixed_bfloat16"))
    if policy_of(build(), recipe) == "float32" and half <= USABLE * free and bfloat16_pays(build()):
        helps.append(f"precision mixed_bfloat16 ({gib(half)})")
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
    for parts in range(2, recipe.batch_size + 1):
        if recipe.batch_size % parts == 0:
            size, accumulate = recipe.batch_size // parts, recipe.accumulate * parts
            smaller = dataclasses.replace(recipe, batch_size=size, accumulate=accumulate)
            if bytes_of(model, smaller) <= USABLE * free:
                return smaller
    return None


def gib(size):
    return f"{size / 2**30:.1f} GiB"
