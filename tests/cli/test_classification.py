"""What the commands of classification do before they train."""

import dataclasses

import keras
import pytest

import kerascnn as kc
from kerascnn.classification.data import load_images
from kerascnn.classification.recipes import ImageRecipe
from kerascnn.classification.training import untrained
from kerascnn.cli.classification import fitted
from kerascnn.training import free_memory
from kerascnn.training.recipe import as_json
from tests.interrupting import Stop

RECIPE = ImageRecipe(
    model="five_layer_cnn",
    data="synthetic",
    random_crop=2,
    training=kc.Recipe(epochs=12, batch_size=64, optimizer="sgd", precision="float32"),
)


@pytest.fixture
def data():
    return load_images("synthetic", None)


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """memory(bytes): what the system says is free; this machine's own memory cannot be made small."""
    monkeypatch.setattr(free_memory, "MEMORY_INFO", tmp_path / "meminfo")
    monkeypatch.setattr(free_memory, "CONTAINER", tmp_path)
    return lambda free: (tmp_path / "meminfo").write_text(f"MemAvailable: {free // 1024} kB\n")


@pytest.mark.long
def test_a_batch_that_does_not_fit_is_an_error_or_made_smaller_and_a_resumed_run_keeps_it(
    data, memory, tmp_path, capsys
):
    def needed(batch_size):
        halved = dataclasses.replace(RECIPE.training, batch_size=batch_size, accumulate=64 // batch_size)
        return free_memory.needed_memory(lambda: untrained(RECIPE.model, data), halved)

    memory(int(needed(16) / free_memory.USABLE) + 2**20)
    with pytest.raises(kc.errors.UsageError, match="^batch_size is 64, with which training five_layer_cnn takes about"):
        fitted(RECIPE, data, (), tmp_path / "run", None, False)
    smaller = fitted(RECIPE, data, (), tmp_path / "run", None, True)
    assert (smaller.training.batch_size, smaller.training.accumulate) == (16, 4)
    assert capsys.readouterr().err == "--auto-batch: batch_size 16, accumulate 4\n"
    model = untrained(RECIPE.model, data)
    with pytest.raises(KeyboardInterrupt):
        kc.fit(
            model, data, smaller.training, folder=tmp_path / "run", callbacks=[Stop()],
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metadata={"recipe": as_json(smaller)},
        )  # fmt: skip
    memory(2**40)
    assert fitted(RECIPE, data, (), tmp_path / "run", None, True) == smaller


@pytest.mark.long
def test_as_many_epochs_as_fit_into_the_minutes_are_trained(data, tmp_path, capsys):
    one, four = (fitted(RECIPE, data, (), tmp_path / "run", minutes, False).training.epochs for minutes in (0.5, 2))
    assert 2 < four / one < 8
    assert f"--minutes 2: {four} epochs" in capsys.readouterr().err
