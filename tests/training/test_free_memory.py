import dataclasses

import pytest

from kerascnn.analysis.memory import estimate_memory
from kerascnn.errors import UsageError
from kerascnn.models import resnet20
from kerascnn.training import free_memory
from kerascnn.training.recipe import Recipe

RECIPE = Recipe(batch_size=100, optimizer="sgd", precision="float32")


@pytest.fixture(scope="module")
def model():
    return resnet20()


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """memory(bytes, limit, used): what the system says is free, and a container's limit where there is one."""
    # what Linux writes; this machine's own memory is another, and cannot be made small
    monkeypatch.setattr(free_memory, "MEMORY_INFO", tmp_path / "meminfo")
    monkeypatch.setattr(free_memory, "CONTAINER", tmp_path)

    def write(free, limit=None, used=0):
        (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable:   {free // 1024} kB\n")
        if limit is not None:
            (tmp_path / "memory.max").write_text(f"{limit}\n")
            (tmp_path / "memory.current").write_text(f"{used}\n")

    return write


def test_what_is_free_is_the_least_of_the_system_and_its_container(memory):
    memory(2**33)
    assert free_memory.free_memory() == 2**33
    memory(2**33, "max")
    assert free_memory.free_memory() == 2**33
    memory(2**33, 2**32, 2**31)
    assert free_memory.free_memory() == 2**31


def test_a_training_that_fits_goes_on(model, memory):
    memory(2**40)
    free_memory.check_memory(model, RECIPE)
    assert free_memory.fitting_recipe(model, RECIPE) == RECIPE


def test_a_training_that_does_not_fit_says_what_helps_and_how_much(model, memory):
    needed = estimate_memory(model, 100, "sgd")["total"]
    memory(int(0.75 * needed))
    with pytest.raises(UsageError) as caught:
        free_memory.check_memory(model, RECIPE)
    fewer = estimate_memory(model, 50, "sgd")["total"]
    assert str(caught.value).startswith(
        f"batch_size is 100, with which training resnet20 takes about {needed / 2**30:.1f} GiB, and "
        f"{0.75 * needed / 2**30:.1f} GiB are free; try batch_size 50 and accumulate 2 ({fewer / 2**30:.1f} GiB), or "
        "precision mixed_bfloat16 ("
    )


def test_a_fitting_batch_is_the_largest_of_which_several_make_an_update(model, memory):
    needed = estimate_memory(model, 100, "sgd")["total"]
    memory(int(0.5 * needed / 0.9))
    fitting = free_memory.fitting_recipe(model, dataclasses.replace(RECIPE, accumulate=2))
    parts = fitting.accumulate // 2
    assert fitting.batch_size == 100 // parts
    sizes = [estimate_memory(model, 100 // n, "sgd")["total"] for n in (parts, parts - 1)]
    assert sizes[0] <= 0.5 * needed < sizes[1]


def test_where_not_one_image_fits_there_is_no_such_batch(model, memory):
    memory(1000)
    assert free_memory.fitting_recipe(model, RECIPE) is None
    with pytest.raises(UsageError, match=r"try precision mixed_bfloat16 \(.* GiB\), or smaller images"):
        free_memory.check_memory(model, RECIPE)
