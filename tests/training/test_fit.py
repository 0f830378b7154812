import csv
import errno
import json
import os
import random
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
from kerascnn.datasets.examples import Dataset, Examples
from kerascnn.datasets.synthetic import drawn
from kerascnn.errors import InputError, TrainingStopped, UsageError
from kerascnn.files import one_writer
from kerascnn.models import builder
from kerascnn.training.feed import Feed, balanced, epoch_steps
from kerascnn.training.fit import fit, stopped_by_limits
from kerascnn.training.precision import computing_in
from kerascnn.training.recipe import Recipe, as_json
from kerascnn.training.run_folder import load_trained, main_head
from tests.interrupting import Stop

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
    with one_writer(tmp_path), pytest.raises(UsageError, match=rf"^folder {tmp_path} is where another process is"):
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


LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def compiled(model, optimizer="sgd", **options):
    model.compile(optimizer, loss=LOSS, metrics=["accuracy"], **options)
    return model


def test_a_compiled_model_keeps_its_loss_metrics_and_optimizer(tmp_path):
    optimizer = keras.optimizers.SGD(0.01)
    model = compiled(LENET5(), optimizer)
    run = fit(model, (TRAIN, VALIDATION), Recipe(epochs=2, batch_size=32), folder=tmp_path)
    assert model.optimizer is optimizer
    assert int(optimizer.iterations) == 40
    assert list(run.history) == ["accuracy", "loss", "val_accuracy", "val_loss", "seconds", "images_per_second"]
    loss, accuracy = model.evaluate(VALIDATION.images / np.float32(255), VALIDATION.labels, verbose=0)
    assert loss == pytest.approx(run.history["val_loss"][run.best_epoch - 1], rel=1e-4)
    assert accuracy == pytest.approx(run.history["val_accuracy"][run.best_epoch - 1])


def test_a_recipe_that_asks_a_compiled_model_for_another_optimizer_is_an_error(tmp_path):
    expected = (
        "^learning_rate is 0.1, and the model is compiled with an optimizer and a loss of its own; leave it out, or"
    )
    with pytest.raises(UsageError, match=expected):
        fit(compiled(LENET5()), (TRAIN, VALIDATION), Recipe(learning_rate=0.1), folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_model_that_is_not_compiled_is_not_afterwards_and_trains_again(tmp_path):
    model = train(tmp_path / "first", replace(RECIPE, epochs=1))
    assert not model.compiled
    before = model.get_weights()
    fit(model, (TRAIN, VALIDATION), replace(RECIPE, epochs=1, optimizer="sgd"), folder=tmp_path / "second", loss=LOSS)
    assert not np.array_equal(before[0], model.get_weights()[0])


def test_no_seed_of_the_process_is_set(tmp_path):
    model = LENET5()
    states = random.getstate(), np.random.get_state()[1].tolist()
    fit(model, (TRAIN, VALIDATION), replace(RECIPE, epochs=1, deterministic=True), folder=tmp_path, loss=LOSS)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states


def test_deterministic_operations_are_switched_off_again(tmp_path):
    from tensorflow.python.framework import config

    train(tmp_path, replace(RECIPE, epochs=1, deterministic=True))
    assert not config.is_op_determinism_enabled()


def test_a_compiled_model_scales_its_loss_under_float16_and_goes_back(tmp_path):
    model, seen = compiled(LENET5()), []
    look = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(type(model.optimizer).__name__))
    recipe = Recipe(epochs=1, batch_size=32, precision="mixed_float16")
    fit(model, (TRAIN, VALIDATION), recipe, folder=tmp_path, callbacks=[look])
    assert (seen, type(model.optimizer).__name__) == (["LossScaleOptimizer"], "SGD")


def test_without_validation_data_the_last_epoch_is_kept(tmp_path):
    model = LENET5()
    run = fit(model, (TRAIN, None), RECIPE, folder=tmp_path, loss=LOSS)
    assert run.best_epoch == 2
    assert list(run.history) == ["loss", "seconds", "images_per_second"]
    assert (tmp_path / "learning_curve.png").is_file()


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (
            replace(RECIPE, early_stopping=3),
            "^early_stopping is 3, which looks at the validation loss; give validation",
        ),
        (replace(RECIPE, schedule="plateau"), "^schedule is plateau, which looks at the validation loss; give validat"),
    ],
)
def test_what_looks_at_the_validation_loss_needs_one(recipe, words, tmp_path):
    with pytest.raises(UsageError, match=words):
        fit(LENET5(), (TRAIN, None), recipe, folder=tmp_path, loss=LOSS)


def test_a_model_that_ends_in_a_softmax_is_an_error_where_the_loss_takes_logits(tmp_path):
    image = keras.Input((28, 28, 1))
    model = keras.Model(image, keras.layers.Dense(10, "softmax")(keras.layers.Flatten()(image)), name="ending")
    with pytest.raises(UsageError, match="^model ending ends in an activation, and logits are wanted; leave it out"):
        fit(model, (TRAIN, VALIDATION), RECIPE, folder=tmp_path, loss=LOSS)


def test_a_model_without_an_input_of_its_own_is_an_error(tmp_path):
    with pytest.raises(UsageError, match=r"^model sequential.* has no input and output of its own; build it as"):
        fit(keras.Sequential([keras.layers.Dense(10)]), (TRAIN, VALIDATION), RECIPE, folder=tmp_path, loss=LOSS)


def test_layers_that_are_not_trainable_stay_as_they_are_within_a_layer_too(tmp_path):
    def block(trainable):
        layers = [keras.layers.Conv2D(4, 3, use_bias=False), keras.layers.BatchNormalization(), keras.layers.ReLU()]
        part = keras.Sequential([keras.Input((28, 28, 1)), *layers])
        part.trainable = trainable
        return part

    frozen, free = block(False), block(True)
    image = keras.Input((28, 28, 1))
    x = keras.layers.Concatenate()([frozen(image), free(image)])
    model = keras.Model(image, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x)))
    before = [part.get_weights() for part in (frozen, free)]
    fit(model, (TRAIN, VALIDATION), replace(RECIPE, epochs=1), folder=tmp_path, loss=LOSS)
    for array, old in zip(frozen.get_weights(), before[0], strict=True):
        np.testing.assert_array_equal(array, old)
    # kernel, and the moving averages, which are measured once more for the kept weights
    moved = [not np.array_equal(array, old) for array, old in zip(free.get_weights(), before[1], strict=True)]
    assert all(moved)
    images, norm = TRAIN.images / np.float32(255), free.layers[1]
    features = keras.Model(free.inputs[0], free.layers[0].output)(images).numpy()
    np.testing.assert_allclose(norm.moving_mean, features.mean((0, 1, 2)), atol=1e-4)


def test_classes_are_balanced_by_weights():
    labels = np.array([0, 0, 0, 2], np.int32)
    examples = Examples(np.zeros((4, 1, 1, 1), np.uint8), labels)
    # 4 examples of 2 classes: 4 / (2 x 3) and 4 / (2 x 1)
    np.testing.assert_allclose(balanced(examples).weights, [2 / 3] * 3 + [2])
    recipe = Recipe(batch_size=4, class_weights="balanced")
    ((_, truth, weights),) = Feed((examples, None), recipe).training(0, []).take(1)
    np.testing.assert_allclose(weights, np.where(truth == 0, 2 / 3, 2))
    masks = Examples(np.zeros((4, 2, 2, 1), np.uint8), np.zeros((4, 2, 2, 1), np.uint8))
    with pytest.raises(UsageError, match="^class_weights is balanced, and the examples have masks; leave it out$"):
        Feed((masks, None), recipe)


def batches_of(examples):
    return tf.data.Dataset.from_tensor_slices((examples.images / np.float32(255), examples.labels)).batch(32)


def test_a_dataset_of_batches_is_trained_on_as_it_is(tmp_path):
    data = batches_of(TRAIN), batches_of(VALIDATION)
    run = fit(LENET5(), data, replace(RECIPE, epochs=3), folder=tmp_path, loss=LOSS)
    assert run.history["val_loss"][-1] < run.history["val_loss"][0]
    endless = data[0].repeat()
    with pytest.raises(UsageError, match=r"^data is a tf.data.Dataset without end; give it one with .take\(steps\)$"):
        fit(LENET5(), endless, RECIPE, folder=tmp_path / "endless", loss=LOSS)
    recipe = replace(RECIPE, augmentations=(Distortion(shift=1),))
    with pytest.raises(
        UsageError, match=r"^augmentations is .*, and data is a tf.data.Dataset, which is taken as it is;"
    ):
        fit(LENET5(), data, recipe, folder=tmp_path / "augmented", loss=LOSS)


@pytest.mark.parametrize("optimizer", [None, "adam"])
def test_a_stopped_run_goes_on_in_place_with_a_new_model(optimizer, tmp_path):
    """Compiled by fit, or by its owner; with frozen layers, mixed precision and noise from a Keras layer."""
    recipe = Recipe(epochs=3, batch_size=32, precision="mixed_bfloat16", deterministic=True, class_weights="balanced")

    def run(folder, *callbacks):
        keras.utils.set_random_seed(5)
        image = keras.Input((28, 28, 1))
        x = keras.layers.GaussianNoise(0.1)(keras.layers.Conv2D(4, 3, trainable=False)(image))
        x = keras.layers.BatchNormalization()(keras.layers.Dropout(0.3)(x))
        model = keras.Model(image, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x)))
        loss = None if optimizer else LOSS
        model = compiled(model, optimizer) if optimizer else model
        fit(model, (TRAIN, VALIDATION), recipe, folder=folder, loss=loss, callbacks=callbacks)
        return model.get_weights()

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "part", Stop())
    for array, expected in zip(run(tmp_path / "part"), whole, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_other_data_are_an_error(tmp_path):
    data = [Dataset("set", TRAIN.take(slice(n)), VALIDATION, None, ("0",), "MIT", "some") for n in (320, 640)]
    with pytest.raises(KeyboardInterrupt):
        fit(LENET5(), data[0], RECIPE, folder=tmp_path, loss=LOSS, callbacks=[Stop()])
    with pytest.raises(
        UsageError, match=r"was trained with sha256 .* \(now .*\), train 320 \(now 640\); give the same"
    ):
        fit(LENET5(), data[1], RECIPE, folder=tmp_path, loss=LOSS)


def test_a_compiled_model_runs_whole_calls_of_its_own_steps(tmp_path):
    model = compiled(LENET5(), steps_per_execution=7)
    fit(model, (TRAIN, None), replace(RECIPE, learning_rate=1e-3), folder=tmp_path)
    assert int(model.optimizer.iterations) == 2 * 14, "20 steps an epoch are cut to a multiple of 7"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"loss": LOSS},
            "^loss is .*, and the model is compiled with an optimizer and a loss of its own; leave it out",
        ),
        (
            {"metrics": ["accuracy"]},
            r"^metrics is \['accuracy'\], and the model is compiled with an optimizer and a loss",
        ),
    ],
)
def test_a_compiled_model_gets_no_other_loss_and_metrics(options, words, tmp_path):
    with pytest.raises(UsageError, match=words):
        fit(compiled(LENET5()), (TRAIN, VALIDATION), Recipe(), folder=tmp_path, **options)


@pytest.mark.parametrize(
    ("build", "options", "words"),
    [
        (
            lambda: builder("lenet5")((32, 32, 1)),
            {},
            "^data has images of 28x28x1, and the model takes 32x32x1; build it",
        ),
        (
            lambda: builder("lenet5")(num_classes=3),
            {},
            "^data has labels up to 9, and the model has 3 logits; build it",
        ),
        (
            LENET5,
            {"loss": "mse"},
            r"^loss is 'mse'; give a keras.losses.Loss on logits, as Sparse.*\(from_logits=True\)$",
        ),
        (
            LENET5,
            {"recipe": TRAIN.labels},
            "^recipe is ndarray; give a kc.Recipe, and images and labels together as kc.d",
        ),
    ],
)
def test_what_does_not_fit_together_is_an_error_before_anything_is_done(build, options, words, tmp_path):
    with pytest.raises(UsageError, match=words):
        fit(build(), (TRAIN, VALIDATION), folder=tmp_path / "new", **{"loss": LOSS, **options})
    assert not (tmp_path / "new").exists()


def test_outputs_of_a_model_within_a_model_stay_float32():
    image = keras.Input((8, 8, 1))
    inner = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])
    model = keras.Model(image, inner(keras.layers.Rescaling(2.0)(image)))
    with computing_in(model, "mixed_bfloat16"):
        assert model(np.zeros((1, 8, 8, 1), np.float32)).dtype == "float32"
        assert model.layers[1].compute_dtype == "bfloat16"


def test_everything_is_put_back_where_training_raises(tmp_path):
    model, recipe = LENET5(), replace(RECIPE, precision="mixed_float16", deterministic=True)
    with pytest.raises(KeyboardInterrupt):
        fit(model, (TRAIN, VALIDATION), recipe, folder=tmp_path, loss=LOSS, callbacks=Stop())
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert not model.compiled
    assert np.isfinite(model.predict(VALIDATION.images / np.float32(255), verbose=0)).all()


class OwnStep(keras.Model):
    """Trains and validates on images of another range than those it is given."""

    def train_step(self, data):
        images, labels = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(images, labels, self(8 * images - 4, training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}

    def test_step(self, data):
        return super().test_step((8 * data[0] - 4, data[1]))


def own():
    image = keras.Input((28, 28, 1))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(image))
    return compiled(OwnStep(image, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x))))


def test_statistics_that_a_train_step_of_ones_own_has_made_are_kept(tmp_path):
    model = own()
    run = fit(model, (TRAIN, VALIDATION), Recipe(epochs=2, batch_size=32), folder=tmp_path)
    loss = model.evaluate(VALIDATION.images / np.float32(255), VALIDATION.labels, verbose=0)[0]
    assert loss == pytest.approx(min(run.history["val_loss"]), rel=1e-4)


def test_half_precision_that_a_train_step_of_ones_own_would_spoil_is_an_error(tmp_path):
    recipe = Recipe(batch_size=32, precision="mixed_float16")
    with pytest.raises(UsageError, match="^precision is mixed_float16, and the model's own train_step scales no loss;"):
        fit(own(), (TRAIN, VALIDATION), recipe, folder=tmp_path)


def test_weights_are_not_swapped_twice(tmp_path):
    with pytest.raises(UsageError, match="^callbacks has SwapEMAWeights, and moving averages are validated and kept"):
        fit(
            LENET5(),
            (TRAIN, VALIDATION),
            RECIPE,
            folder=tmp_path,
            loss=LOSS,
            callbacks=keras.callbacks.SwapEMAWeights(),
        )


def test_a_compiled_model_whose_loss_is_not_finite_stops_after_the_epoch(tmp_path):
    model = compiled(builder("mlp")(), keras.optimizers.SGD(1e30))
    with pytest.raises(TrainingStopped, match="^loss is not finite in epoch 1; lower learning_rate"):
        fit(model, (TRAIN, None), Recipe(batch_size=32), folder=tmp_path)
