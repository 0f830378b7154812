"""Trainings that end in the middle of an epoch, by an exception in this process or by a kill."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


class Stop(keras.callbacks.Callback):
    """Ends the training within an epoch, counted from 0, as a kill does: nothing is written after it."""

    def __init__(self, epoch=1, batch=0):
        super().__init__()
        self.at, self.batch = epoch, batch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.at and batch >= self.batch:
            raise KeyboardInterrupt


def assert_stopped_ends_as_whole(run, folder):
    """Whether a training that was stopped and goes on ends with the arrays of one that was not, bit for bit.

    run(folder, *callbacks) -> its weights.
    """
    whole = run(folder / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(folder / "part", Stop())
    for array, expected in zip(run(folder / "part"), whole, strict=True):
        np.testing.assert_array_equal(array, expected)


def run_whole_and_killed(code, folder, *arguments):
    """Run Python code twice, with the arguments and folder/"whole" or folder/"killed" behind them.

    The second is killed when its folder has a history.csv, and run again.
    """

    def start(name):
        command = [sys.executable, "-c", code, *map(str, arguments), str(folder / name)]
        return subprocess.Popen(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)})

    whole, killed = start("whole"), start("killed")
    while not (folder / "killed" / "history.csv").exists():
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert start("killed").wait() == whole.wait() == 0
