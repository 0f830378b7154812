"""What happens to a machine while it trains costs one line and no epoch."""

import contextlib
import itertools
import shutil
import time
from dataclasses import replace

import keras
import numpy as np
import pytest

from kerascnn.errors import InputError, TrainingStopped, UsageError
from tests.training.runs import RECIPE, history, train

LONGER = replace(RECIPE, epochs=3, deterministic=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(the folder, the weights) of a training that nothing happens to."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(folder, LONGER).get_weights()


class After(keras.callbacks.Callback):
    """Calls a function when an epoch, counted from 0, begins."""

    def __init__(self, epoch, function):
        super().__init__()
        self.epoch, self.function = epoch, function

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            self.function()


def assert_as_whole(folder, model, whole):
    """A run that went on ends as one that nothing happened to."""
    for array, expected in zip(model.get_weights(), whole[1], strict=True):
        np.testing.assert_array_equal(array, expected)
    losses = [[row["val_loss"] for row in history(place)] for place in (folder, whole[0])]
    assert losses[0] == losses[1]


@pytest.mark.long
def test_a_disk_that_fills_up_in_the_middle_keeps_the_epochs_before(disk_of, whole):
    folder = disk_of("6m") / "run"

    def fill():
        with contextlib.suppress(OSError), open(folder.parent / "other", "wb", buffering=0) as file:
            while file.write(bytes(2**12)):
                pass

    with pytest.raises(TrainingStopped, match=rf"^disk full \({folder}.*\); free some space and resume the run$"):
        train(folder, LONGER, callbacks=[After(1, fill)])
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint.npz", "history.csv"]
    (folder.parent / "other").unlink()
    assert_as_whole(folder, train(folder, LONGER, resume=True, callbacks=[After(9, fill)]), whole)


@pytest.mark.long
def test_a_folder_that_is_moved_away_goes_on_where_it_lies_now(tmp_path, whole):
    folder, moved = tmp_path / "run", tmp_path / "moved"

    def move():
        shutil.move(folder, moved)

    with pytest.raises(InputError, match=rf"^cannot write to {folder}, which is gone; put it back and resume the run$"):
        train(folder, LONGER, callbacks=[After(1, move)])
    assert not folder.exists()
    assert_as_whole(moved, train(moved, LONGER, resume=True, callbacks=[After(9, move)]), whole)


@pytest.mark.long
def test_a_second_training_into_the_folder_does_not_disturb_the_first(tmp_path, whole):
    folder = tmp_path / "run"

    def second():
        with pytest.raises(UsageError, match=f"^folder {folder} is where another process is training; choose another"):
            train(folder, LONGER, resume=True)

    assert_as_whole(folder, train(folder, LONGER, callbacks=[After(1, second)]), whole)


@pytest.mark.long
def test_a_clock_that_jumps_changes_nothing(tmp_path, whole, monkeypatch):
    dates = itertools.cycle([1e9, 4e9, 2e9])  # 2001, 2096, 2033
    monkeypatch.setattr(time, "time", lambda: next(dates))
    folder = tmp_path / "run"
    assert_as_whole(folder, train(folder, LONGER), whole)
    assert all(0 < float(row["seconds"]) < 1000 for row in history(folder))


@pytest.mark.long
def test_a_clock_that_falls_back_to_1970_is_told_and_costs_no_epoch(tmp_path, whole, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        to_1970 = After(2, lambda: patch.setattr(time, "time", lambda: 86_400.0))
        words = "^the clock of this machine says 1970, which no .keras file can; set it and run again$"
        with pytest.raises(InputError, match=words):
            train(folder, LONGER, callbacks=[to_1970])
        with pytest.raises(InputError, match=words):
            train(tmp_path / "other", LONGER)
    assert not (tmp_path / "other").exists()
    assert_as_whole(folder, train(folder, LONGER, resume=True, callbacks=[After(9, None)]), whole)
