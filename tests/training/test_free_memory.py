import dataclasses
import os

import keras
import pytest

from kerascnn.analysis.memory import activation_peak, estimate_memory
from kerascnn.analysis.summary import symbolic_model
from kerascnn.errors import UsageError
from kerascnn.training import free_memory, precision
from kerascnn.training.recipe import Recipe

RECIPE = Recipe(batch_size=100, optimizer="sgd", precision="float32")


def build():
    return symbolic_model("resnet20")


def needed(batch_size, accumulate=1, policy="float32"):
    """The estimate, once more the weights where their gradients are accumulated, and batches that wait or are made."""
    keras.config.set_dtype_policy(policy)
    model = build()
    sums = 4 * 269_722 if accumulate > 1 else 0
    batch = 4 * batch_size * 32 * 32 * 3
    ahead = max(2, min(os.cpu_count(), 2**29 // max(1, batch))) + 8  # in half a GiB there is room for more than eight
    total = estimate_memory(model, batch_size, "sgd")["total"] + sums
    return (1 if policy == "float32" else 1.25) * total + ahead * batch


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """memory(bytes, limit, used): what the system says is free, and a container's limit where there is one."""
    # what Linux writes; this machine's own memory is another, and cannot be made small
    monkeypatch.setattr(free_memory, "MEMORY_INFO", tmp_path / "meminfo")
    monkeypatch.setattr(free_memory, "CONTAINER", tmp_path)
    (tmp_path / "cpuinfo").write_text("flags: avx512_bf16")
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "cpuinfo")

    def write(free, limit=None, used=0, files=0):
        (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable:   {free // 1024} kB\n")
        if limit is not None:
            (tmp_path / "memory.max").write_text(f"{limit}\n")
            (tmp_path / "memory.current").write_text(f"{used}\n")
            (tmp_path / "memory.stat").write_text(f"anon 7\nactive_file 5\ninactive_file {files}\n")

    return write


def test_what_is_free_is_the_least_of_the_system_and_its_container(memory):
    memory(2**33)
    assert free_memory.free_memory() == 2**33
    memory(2**33, "max")
    assert free_memory.free_memory() == 2**33
    memory(2**33, 2**32, 2**31)
    assert free_memory.free_memory() == 2**31
    memory(2**33, 2**32, 2**31, files=2**30)
    assert free_memory.free_memory() == 2**31 + 2**30


def test_a_limit_around_the_own_control_group_counts(memory, tmp_path, monkeypatch):
    monkeypatch.setattr(free_memory, "OWN", tmp_path / "cgroup")
    (tmp_path / "cgroup").write_text("12:cpu:/other\n0::/job7/step0\n")
    (tmp_path / "job7" / "step0").mkdir(parents=True)
    memory(2**33, 2**32)
    for name in ("memory.max", "memory.current", "memory.stat"):
        (tmp_path / "job7" / name).write_text((tmp_path / name).read_text())
    (tmp_path / "job7" / "memory.max").write_text(f"{2**30}\n")
    assert free_memory.free_memory() == 2**30


def test_a_training_that_fits_goes_on(memory):
    memory(2**40)
    free_memory.check_memory(build, RECIPE)
    assert free_memory.fitting_recipe(build, RECIPE) == RECIPE


@pytest.mark.long
def test_a_training_that_does_not_fit_says_what_helps_and_how_much(memory):
    large = dataclasses.replace(RECIPE, batch_size=4000)
    memory(int(0.8 * needed(4000)))
    with pytest.raises(UsageError) as caught:
        free_memory.check_memory(build, large)
    activations = 4000 * activation_peak(build())
    sizes = [needed(4000), 0.8 * needed(4000), needed(2000, 2), needed(4000, policy="mixed_bfloat16"), activations]
    whole, free, smaller, half, kept = (f"{size / 2**30:.1f} GiB" for size in sizes)
    assert half < whole
    assert str(caught.value) == (
        f"batch_size is 4000, with which training resnet20 takes about {whole}, and {free} are free; try batch_size "
        f"2000 and accumulate 2 ({smaller}), or precision mixed_bfloat16 ({half}), or smaller images, larger strides "
        f"or fewer layers (activations are {kept} of it)"
    )


@pytest.mark.long
def test_half_precision_is_no_help_where_it_does_not_fit_or_takes_several_times_as_long(memory, tmp_path):
    memory(int(0.5 * needed(4000)))
    with pytest.raises(
        UsageError, match=r"; try batch_size 1000 and accumulate 4 \(.* GiB\), or smaller images, larger"
    ):
        free_memory.check_memory(build, dataclasses.replace(RECIPE, batch_size=4000))
    memory(int(0.8 * needed(4000)))
    (tmp_path / "cpuinfo").write_text("flags: avx2")
    with pytest.raises(UsageError) as caught:
        free_memory.check_memory(build, dataclasses.replace(RECIPE, batch_size=4000))
    assert "mixed_bfloat16" not in str(caught.value)


def test_a_fitting_batch_is_the_largest_divisor_of_which_several_make_an_update(memory):
    memory(int(0.5 * needed(100) / free_memory.USABLE))
    fitting = free_memory.fitting_recipe(build, dataclasses.replace(RECIPE, accumulate=3))
    divisors = [50, 25, 20, 10, 5, 4, 2, 1]
    largest = next(size for size in divisors if needed(size, 2) <= 0.5 * needed(100))
    assert (fitting.batch_size, fitting.accumulate) == (largest, 3 * 100 // largest)


def test_where_not_one_image_fits_there_is_no_such_batch(memory):
    memory(1000)
    assert free_memory.fitting_recipe(build, RECIPE) is None
    with pytest.raises(UsageError, match=r"; try smaller images, larger strides or fewer layers \("):
        free_memory.check_memory(build, RECIPE)
