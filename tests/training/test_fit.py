import csv
import errno
import json
import os
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

from kerascnn.classification.losses import SparseCrossEntropy
from kerascnn.cli.progress import Progress
from kerascnn.datasets.augmentation import Distortion
from kerascnn.datasets.synthetic import drawn
from kerascnn.errors import InputError, TrainingStopped, UsageError
from kerascnn.files import one_writer
from kerascnn.models import builder
from kerascnn.training.feed import epoch_steps
from kerascnn.training.fit import fit, stopped_by_limits
from kerascnn.training.recipe import Recipe, as_json
from kerascnn.training.run_folder import load_trained, main_head

ROOT = Path(__file__).parents[2]
RECIPE = Recipe(epochs=2, batch_size=32, learning_rate=3e-3)
LENET5 = builder("lenet5")
TRAIN, VALIDATION = drawn(640, 0), drawn(100, 1)


def train(folder, recipe=RECIPE, build=LENET5, **options):
    """The model that build() returns, trained; weights and dropout are drawn with the recipe's seed."""
    keras.utils.set_random_seed(recipe.seed)
    model = build()
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    fit(model, (TRAIN, VALIDATION), recipe, folder=folder, loss=SparseCrossEntropy(), metrics=[accuracy], **options)
    return model


def history(folder):
    with open(folder / "history.csv") as file:
        return list(csv.DictReader(file))


def weights(folder):
    """Every array in the weight file of model.keras, by name."""
    import h5py

    arrays = {}
    with zipfile.ZipFile(folder / "model.keras") as file, h5py.File(file.open("model.weights.h5")) as h5:
        h5.visititems(lambda name, node: arrays.update({name: node[()]}) if hasattr(node, "shape") else None)
    return arrays


def test_training_leaves_a_folder_that_explains_itself(tmp_path):
    metadata = {"app": "test", "data": {"sha256": "0"}}
    model = train(tmp_path, metadata=metadata)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "history.csv",
        "learning_curve.png",
        "model.keras",
        "recipe.json",
    ]
    record = json.loads((tmp_path / "recipe.json").read_text())
    assert record["complete"] is True
    assert record["app"] == "test"
    assert record["recipe"]["learning_rate"] == 3e-3
    assert len(history(tmp_path)) == record["epochs_run"] == 2
    again = keras.saving.load_model(tmp_path / "model.keras")
    images = VALIDATION.images / np.float32(255)
    np.testing.assert_array_equal(again(images), model(images))


def test_the_kept_weights_are_those_of_the_epoch_with_the_lowest_validation_loss(tmp_path):
    model = train(tmp_path, replace(RECIPE, epochs=4, learning_rate=0.02, schedule="constant"))
    losses = [float(row["val_loss"]) for row in history(tmp_path)]
    logits = model(VALIDATION.images / np.float32(255))
    assert np.isclose(float(SparseCrossEntropy()(VALIDATION.labels, logits)), min(losses), rtol=1e-4)
    assert losses[-1] > 1.01 * min(losses), "the last epoch is meant to be another than the best"


def test_kept_weights_with_a_moving_average_are_the_averaged_ones(tmp_path):
    model = train(tmp_path, replace(RECIPE, ema=0.9))
    plain = train(tmp_path / "plain")
    logits = model(VALIDATION.images / np.float32(255))
    best = min(float(row["val_loss"]) for row in history(tmp_path))
    assert np.isclose(float(SparseCrossEntropy()(VALIDATION.labels, logits)), best, rtol=1e-4)
    assert np.abs(model.layers[-1].kernel.numpy() - plain.layers[-1].kernel.numpy()).max() > 1e-4


def train_what_a_resumed_run_could_lose(folder, resume):
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


def start(folder, resume=False):
    """The training above in a process of its own."""
    code = (
        "import logging; logging.basicConfig(level=logging.INFO); from tests.training.test_fit import *; "
        f"train_what_a_resumed_run_could_lose(Path({str(folder)!r}), {resume})"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)


def test_a_run_killed_at_any_moment_resumes_to_the_same_weights(tmp_path):
    whole, killed = start(tmp_path / "whole"), start(tmp_path / "killed")
    for line in killed.stderr:
        if line.startswith("epoch 5/15"):
            break
    time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "recipe.json").exists()
    resumed = start(tmp_path / "killed", resume=True)
    message = resumed.communicate()[1]
    assert resumed.returncode == 0, message
    assert "resuming after epoch" in message
    message = whole.communicate()[1]
    assert whole.returncode == 0, message

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


def test_resuming_with_another_recipe_is_an_error_and_names_what_differs(tmp_path, monkeypatch):
    unfinished(tmp_path, monkeypatch)
    with pytest.raises(
        UsageError, match=r"was trained with learning_rate 0.003 \(now 0.1\); give the same recipe or choose another"
    ):
        train(tmp_path, replace(RECIPE, learning_rate=0.1), resume=True)


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


def test_an_unfinished_run_is_not_overwritten(tmp_path, monkeypatch):
    unfinished(tmp_path, monkeypatch)
    with pytest.raises(UsageError, match="unfinished run; resume it, or choose another folder"):
        train(tmp_path, resume=False)


def test_a_run_killed_after_its_last_epoch_only_finishes(tmp_path, monkeypatch):
    recipe = replace(RECIPE, ema=0.9)
    unfinished(tmp_path, monkeypatch, recipe)
    before = (tmp_path / "history.csv").read_text()
    with np.load(tmp_path / "checkpoint.npz") as stored:
        count = len(LENET5().variables)
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


def test_a_damaged_checkpoint_is_named(tmp_path, monkeypatch):
    unfinished(tmp_path, monkeypatch)
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"checkpoint.npz is damaged"):
        train(tmp_path, resume=True)


def test_a_finished_folder_is_an_error(tmp_path):
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(UsageError, match="holds a finished run; choose another folder"):
        train(tmp_path)


def test_a_folder_that_another_run_trains_into_is_an_error(tmp_path):
    with one_writer(tmp_path), pytest.raises(UsageError, match=rf"another process is training into {tmp_path}; choose"):
        train(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_an_error_before_training():
    with pytest.raises(InputError, match=r"cannot write to /proc/kerascnn .*; choose another folder"):
        train(Path("/proc/kerascnn"))


def test_a_full_disk_is_an_error_before_training(tmp_path, monkeypatch):
    # a real full disk needs root: the free space that the system reports is the one thing replaced
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(InputError, match="0 MiB free and training needs"):
        train(tmp_path)


def test_a_loss_that_is_not_finite_stops_with_its_step(tmp_path):
    recipe = replace(RECIPE, optimizer="sgd", learning_rate=1e30, schedule="constant")
    with pytest.raises(TrainingStopped, match=r"not finite at step 2; lower learning_rate \(now 1e\+30\)"):
        train(tmp_path, recipe, builder("mlp"))
    assert not (tmp_path / "model.keras").exists()


def test_memory_that_runs_out_names_the_batch_size_to_try(tmp_path):
    def build():
        image = keras.Input((28, 28, 1), name="image")
        x = keras.layers.Lambda(lambda x: keras.ops.sum(keras.ops.tile(x, (1, 100_000, 20_000, 1)), (1, 2)))(image)
        return keras.Model(image, keras.layers.Dense(10, name="logits")(x))

    with pytest.raises(TrainingStopped, match="batch_size of 32; try batch_size 16 and accumulate 2"):
        train(tmp_path, build=build)


@pytest.mark.parametrize(
    "words",
    [
        "OOM when allocating tensor with shape[32,100000]",
        "Out of memory while trying to allocate 8589934592 bytes.",
        "Failed to allocate request for 8.00GiB (8589934592B) on device ordinal 0",
    ],
)
def test_every_wording_of_memory_that_runs_out_is_known(words):
    with pytest.raises(TrainingStopped, match="batch_size of 32; try batch_size 16"), stopped_by_limits(RECIPE):
        raise tf.errors.ResourceExhaustedError(None, None, words)


def test_more_than_all_examples_in_a_batch_is_an_error():
    with pytest.raises(UsageError, match="batch_size is 128, more than the 100 training examples"):
        epoch_steps(100, 128, 784)


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        (429, (425, 25)),  # 4 are left of 429 by 17 and by 25, more by all others from 16 to 32
        (640, (640, 32)),
        (33, (32, 32)),  # 1 is left by 16 and by 32
        (12, (12, 12)),
    ],
)
def test_an_epoch_is_cut_as_little_as_possible(whole, expected):
    assert epoch_steps(whole * 128 + 127, 128, 784) == expected


def test_early_stopping_ends_the_run(tmp_path):
    train(tmp_path, replace(RECIPE, epochs=30, learning_rate=1e-30, schedule="constant", early_stopping=2))
    assert len(history(tmp_path)) == 3


def test_tensorboard_logs_are_written_where_asked(tmp_path):
    train(tmp_path, replace(RECIPE, tensorboard=True))
    assert any((tmp_path / "logs").rglob("events.out.tfevents*"))


def test_precision_is_switched_on_for_the_training_alone_and_not_for_outputs(tmp_path):
    seen = []

    class Policies(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append({layer.name: layer.compute_dtype for layer in self.model.layers})

    recipe = replace(RECIPE, precision="mixed_bfloat16", augmentations=(Distortion(shift=1),))
    model = train(tmp_path, recipe, callbacks=[Policies()])
    assert (seen[0]["c1"], seen[0]["logits"]) == ("bfloat16", "float32")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    assert keras.saving.load_model(tmp_path / "model.keras").get_layer("c1").compute_dtype == "float32"


def test_accumulated_gradients_equal_one_large_batch(tmp_path):
    small = replace(RECIPE, epochs=1, optimizer="sgd", momentum=0.0, schedule="constant", batch_size=32, accumulate=4)
    large = replace(small, batch_size=128, accumulate=1)
    models = [train(tmp_path / str(recipe.accumulate), recipe) for recipe in (small, large)]
    for one, other in zip(models[0].weights, models[1].weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, err_msg=one.path)


def test_no_trained_model_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"no trained model at .*model.keras; train one first, or name another folder"):
        load_trained(tmp_path, "test")


def test_a_damaged_model_is_named(tmp_path):
    train(tmp_path, replace(RECIPE, epochs=1), metadata={"app": "test", "recipe": {"model": "lenet5"}})
    (tmp_path / "model.keras").write_bytes(b"PK\3\4 not a model")
    with pytest.raises(InputError, match=r"model.keras is damaged"):
        load_trained(tmp_path, "test")


def test_a_validation_loss_that_is_not_finite_stops_with_its_epoch(tmp_path):
    # one step an epoch: the weights are broken only after the training loss was taken
    recipe = replace(RECIPE, batch_size=640, optimizer="sgd", learning_rate=1e38, schedule="constant")
    with pytest.raises(TrainingStopped, match=r"val_loss is not finite after epoch 1; lower learning_rate"):
        train(tmp_path, recipe, builder("mlp"))
    assert not (tmp_path / "checkpoint.npz").exists()


def test_a_kill_between_checkpoint_and_history_loses_no_epoch_of_the_history(tmp_path, monkeypatch):
    unfinished(tmp_path, monkeypatch)
    before = (tmp_path / "history.csv").read_text()
    (tmp_path / "history.csv").write_text("\n".join(before.splitlines()[:-1]) + "\n")
    train(tmp_path, resume=True)
    assert (tmp_path / "history.csv").read_text() == before


def test_a_disk_that_fills_up_at_the_end_is_told_as_such(tmp_path, monkeypatch):
    # a real full disk needs root: the write of the model is the one thing replaced
    def fail(self, path):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(keras.Model, "save", fail)
    with pytest.raises(TrainingStopped, match=r"disk full .*; free some space and resume the run"):
        train(tmp_path)
    assert (tmp_path / "checkpoint.npz").exists()
    assert not (tmp_path / "recipe.json").exists()


def test_training_prints_nothing(tmp_path, capfd):
    train(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_callbacks_find_what_the_history_says_of_an_epoch(tmp_path):
    found = []
    train(
        tmp_path, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: found.append(dict(logs)))]
    )
    assert [{name: str(value) for name, value in logs.items()} for logs in found] == [
        {name: value for name, value in row.items() if name != "epoch"} for row in history(tmp_path)
    ]


def test_metrics_are_not_needed(tmp_path):
    fit(LENET5(), (TRAIN, VALIDATION), replace(RECIPE, epochs=1), folder=tmp_path, loss=SparseCrossEntropy())
    assert (tmp_path / "learning_curve.png").is_file()


def with_heads():
    """LeNet-5 with two heads on the way, as GoogLeNet has them."""
    model = LENET5()
    side = [keras.layers.Dense(10, name=f"aux{i}_logits")(model.get_layer("embedding").output) for i in (1, 2)]
    outputs = {"logits": model.output, "aux1_logits": side[0], "aux2_logits": side[1]}
    return keras.Model(model.input, outputs, name="lenet5")


def test_auxiliary_heads_weigh_three_tenths_and_are_left_out_of_what_is_loaded(tmp_path):
    recipe = replace(RECIPE, epochs=2)
    trained = train(tmp_path, recipe, with_heads)
    x = VALIDATION.images / np.float32(255)
    outputs = {name: head.numpy() for name, head in trained(x).items()}
    losses = {name: float(SparseCrossEntropy()(VALIDATION.labels, head)) for name, head in outputs.items()}
    best = min(history(tmp_path), key=lambda row: float(row["val_loss"]))
    expected = losses["logits"] + 0.3 * (losses["aux1_logits"] + losses["aux2_logits"])
    assert float(best["val_loss"]) == pytest.approx(expected, rel=1e-4)
    accuracy = (outputs["logits"].argmax(-1) == VALIDATION.labels).mean()
    assert float(best["val_accuracy"]) == pytest.approx(accuracy)
    assert list(best) == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss", "seconds", "images_per_second"]
    alone = main_head(keras.saving.load_model(tmp_path / "model.keras", compile=False))
    assert "aux1_logits" not in [layer.name for layer in alone.layers]
    np.testing.assert_allclose(alone(x).numpy(), outputs["logits"], atol=1e-5)
