"""A run that was stopped goes on to the same weights, or says why it does not."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.cli.progress import Progress
from kerascnn.datasets.augmentation import Distortion
from kerascnn.datasets.examples import Dataset
from kerascnn.errors import InputError, UsageError
from kerascnn.training.checkpoint import read_checkpoint
from kerascnn.training.fit import fit
from kerascnn.training.recipe import Recipe, as_json
from tests.interrupting import Stop, assert_stopped_ends_as_whole
from tests.training.runs import LOSS, RECIPE, TRAIN, VALIDATION, compiled, history, network, train

ROOT = Path(__file__).parents[2]


def weights(folder):
    """Every array in the weight file of model.keras, by name."""
    import h5py

    arrays = {}
    with zipfile.ZipFile(folder / "model.keras") as file, h5py.File(file.open("model.weights.h5")) as h5:
        h5.visititems(lambda name, node: arrays.update({name: node[()]}) if hasattr(node, "shape") else None)
    return arrays


def train_what_a_resumed_run_could_lose(folder, resume=False):
    """Dropout, moving averages, augmentation and a plateau schedule.

    Steps are so small that every epoch is better than the last, so that the kept weights are the final ones, and yet
    less than the plateau schedule takes for progress, so that it acts.
    """
    recipe = replace(RECIPE, epochs=15, optimizer="sgd", learning_rate=2e-7, ema=0.9, deterministic=True)
    recipe = replace(recipe, schedule="plateau", decay_every=1, decay_factor=0.9)
    recipe = replace(recipe, augmentations=(Distortion(shift=2, rotation=10, elastic=20),))

    def build():
        image = keras.Input((28, 28, 1), name="image")
        x = keras.layers.Dense(64, activation="relu")(keras.layers.Flatten()(image))
        return keras.Model(image, keras.layers.Dense(10, name="logits")(keras.layers.Dropout(0.5)(x)))

    train(folder, recipe, build, callbacks=[Progress()], resume=resume)


def test_a_run_killed_at_any_moment_resumes_to_the_same_weights(tmp_path, caplog):
    train_what_a_resumed_run_could_lose(tmp_path / "whole")
    code = "from tests.training.test_resuming import *; train_what_a_resumed_run_could_lose(Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(tmp_path / "killed")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    for line in killed.stderr:
        if line.startswith("epoch 5/15"):
            break
    time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "recipe.json").exists()
    with caplog.at_level("INFO"):
        train_what_a_resumed_run_could_lose(tmp_path / "killed", resume=True)
    assert "resuming after epoch" in caplog.text

    rows = [
        [{k: v for k, v in row.items() if "second" not in k} for row in history(tmp_path / name)]
        for name in ("whole", "killed")
    ]
    assert rows[0] == rows[1]
    assert json.loads((tmp_path / "whole" / "recipe.json").read_text())["best_epoch"] > 12
    rates = [float(row["learning_rate"]) for row in rows[0]]
    assert rates[0] > rates[4] > rates[-1], "the plateau schedule is meant to act before and after the kill"
    expected, found = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def unfinished(folder, monkeypatch, recipe=RECIPE, **options):
    """A folder as a kill after the last epoch, before recipe.json, leaves it."""
    from kerascnn.training.run import Run

    with monkeypatch.context() as patch:
        patch.setattr(Run, "finish", lambda *arguments: None)
        train(folder, recipe, **options)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """An unfinished folder of RECIPE."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        unfinished(folder, monkeypatch)
    return folder


@pytest.fixture
def folder(stopped, tmp_path):
    """A copy of it, for one test."""
    return shutil.copytree(stopped, tmp_path / "run")


def test_resuming_with_another_recipe_is_an_error_and_names_what_differs(folder):
    with pytest.raises(
        UsageError, match=r"was trained with learning_rate 0.003 \(now 0.1\); give the same recipe or choose another"
    ):
        train(folder, replace(RECIPE, learning_rate=0.1), resume=True)


@pytest.mark.long
def test_a_task_s_recipe_is_recorded_whole_and_compared_field_by_field(tmp_path, monkeypatch):
    def metadata(recipe, shift):
        return {"recipe": {"model": "lenet5", "shift": shift, "training": as_json(recipe)}}

    unfinished(tmp_path, monkeypatch, metadata=metadata(RECIPE, 1.0))
    longer = replace(RECIPE, epochs=3)
    expected = r"was trained with shift 1.0 \(now 2.0\), epochs 2 \(now 3\); give the same recipe or choose another"
    with pytest.raises(UsageError, match=expected):
        train(tmp_path, longer, metadata=metadata(longer, 2.0), resume=True)
    train(tmp_path, metadata=metadata(RECIPE, 1.0), resume=True)
    assert json.loads((tmp_path / "recipe.json").read_text())["recipe"] == metadata(RECIPE, 1.0)["recipe"]


def test_an_unfinished_run_is_not_overwritten(folder):
    with pytest.raises(UsageError, match="unfinished run; resume it, or choose another folder"):
        train(folder, resume=False)


@pytest.mark.long
def test_a_run_killed_after_its_last_epoch_only_finishes(tmp_path, monkeypatch):
    recipe = replace(RECIPE, ema=0.9)
    unfinished(tmp_path, monkeypatch, recipe)
    before = (tmp_path / "history.csv").read_text()
    with np.load(tmp_path / "checkpoint.npz") as stored:
        count = len(network().variables)
        raw, best = (
            [stored[name] for name in stored if name.startswith(kind)][:count] for kind in ("variable", "state/")
        )
        assert not np.array_equal(raw[0], best[0])
    model = train(tmp_path, recipe, resume=True)
    for variable, array in zip(model.variables, best, strict=True):
        np.testing.assert_array_equal(variable, array)
    assert (tmp_path / "recipe.json").exists()
    assert (tmp_path / "history.csv").read_text() == before
    assert not (tmp_path / "checkpoint.npz").exists()


def test_a_damaged_checkpoint_is_named(folder):
    path = folder / "checkpoint.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    with pytest.raises(
        InputError, match=r"checkpoint.npz is damaged \(its checksum is another one\); train again into"
    ):
        train(folder, resume=True)
    draw = np.random.default_rng(0)
    for place in (*draw.integers(len(whole), size=40), len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ draw.integers(1, 256)]) + whole[place + 1 :])
        with pytest.raises(InputError, match=r"checkpoint.npz is damaged"):
            read_checkpoint(path)
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment.decode() == hashlib.sha256(whole[:-64]).hexdigest()


def test_a_kill_between_checkpoint_and_history_loses_no_epoch_of_the_history(folder):
    before = (folder / "history.csv").read_text()
    (folder / "history.csv").write_text("\n".join(before.splitlines()[:-1]) + "\n")
    train(folder, resume=True)
    assert (folder / "history.csv").read_text() == before


@pytest.mark.parametrize("optimizer", [pytest.param(None, marks=pytest.mark.slow), "adam"])
@pytest.mark.long
def test_a_stopped_run_goes_on_in_place_with_a_new_model(optimizer, tmp_path):
    """Compiled by fit, or by its owner; with frozen layers, mixed precision and noise from a Keras layer."""
    recipe = Recipe(epochs=2, batch_size=32, precision="mixed_bfloat16", deterministic=True, balance="weights")

    def run(folder, *callbacks):
        keras.utils.set_random_seed(5)
        image = keras.Input((28, 28, 1))
        x = keras.layers.Dense(16, trainable=False)(keras.layers.Flatten()(image))
        x = keras.layers.Dropout(0.3)(keras.layers.GaussianNoise(0.1)(x))
        model = keras.Model(image, keras.layers.Dense(10)(keras.layers.BatchNormalization()(x)))
        loss = None if optimizer else LOSS
        model = compiled(model, optimizer) if optimizer else model
        fit(model, (TRAIN, VALIDATION), recipe, folder=folder, loss=loss, callbacks=callbacks)
        return model.get_weights()

    assert_stopped_ends_as_whole(run, tmp_path)


@pytest.mark.long
def test_a_dataset_that_shuffles_resumes_to_the_same_orders(tmp_path):
    images = TRAIN.images / np.float32(255)

    def run(folder, *callbacks):
        keras.utils.set_random_seed(5)
        data = tf.data.Dataset.from_tensor_slices((images, TRAIN.labels)).shuffle(640, seed=3).batch(32)
        model = network()
        fit(model, data, replace(RECIPE, deterministic=True), folder=folder, loss=LOSS, callbacks=callbacks)
        return model.get_weights()

    assert_stopped_ends_as_whole(run, tmp_path)


def test_other_data_are_an_error(tmp_path):
    data = [Dataset("set", TRAIN.take(slice(n)), VALIDATION, None, ("0",), "MIT", "some") for n in (320, 640)]
    with pytest.raises(KeyboardInterrupt):
        fit(network(), data[0], RECIPE, folder=tmp_path, loss=LOSS, callbacks=[Stop()])
    with pytest.raises(
        UsageError, match=r"was trained with sha256 .* \(now .*\), train 320 \(now 640\); give the same"
    ):
        fit(network(), data[1], RECIPE, folder=tmp_path, loss=LOSS)
