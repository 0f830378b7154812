import io
import json
import random
import shutil
import zipfile
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.classification.losses import CrossEntropy
from kerascnn.classification.metrics import Accuracy
from kerascnn.datasets.augmentation import Distortion
from kerascnn.datasets.examples import Examples
from kerascnn.errors import InputError, UsageError
from kerascnn.training.feed import Feed, balanced, epoch_steps
from kerascnn.training.fit import fit
from kerascnn.training.precision import computing_in, policy_of
from kerascnn.training.recipe import Recipe
from kerascnn.training.record import RunSchema
from kerascnn.training.run_folder import load_trained, main_head
from tests.interrupting import Stop, assert_stopped_ends_as_whole
from tests.training.runs import LOSS, RECIPE, TRAIN, VALIDATION, compiled, history, network, own, train


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(folder, model, the logs of every epoch that a callback has found) of a run that has ended."""
    folder, found = tmp_path_factory.mktemp("finished") / "run", []
    look = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: found.append(dict(logs)))
    model = train(folder, metadata={"app": "test", "data": {"sha256": "0"}}, callbacks=[look])
    return folder, model, found


def test_training_leaves_a_folder_that_explains_itself(finished):
    folder, model, _ = finished
    names = ["history.csv", "learning_curve.png", "model.keras", "recipe.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    record = json.loads((folder / "recipe.json").read_text())
    assert record["complete"] is True
    assert record["app"] == "test"
    assert record["recipe"]["learning_rate"] == 3e-3
    assert len(history(folder)) == record["epochs_run"] == 2
    again = keras.saving.load_model(folder / "model.keras")
    images = VALIDATION.images / np.float32(255)
    np.testing.assert_array_equal(again(images), model(images))


def test_callbacks_find_what_the_history_says_of_an_epoch(finished):
    folder, _, found = finished
    assert [{name: str(value) for name, value in logs.items()} for logs in found] == [
        {name: value for name, value in row.items() if name != "epoch"} for row in history(folder)
    ]


def archive(**entries):
    """The bytes of a ZIP archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as written:
        for name, text in entries.items():
            written.writestr(name.replace("_json", ".json"), text)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PK\3\4 not a model", ".*"),
        (archive(), ".*"),
        (archive(metadata_json="{}", config_json="[" * 100_000), ".*"),
        (archive(metadata_json="{}", config_json='{"class_name": "TorchModuleWrapper"}'), ".*"),
        (archive(zeros=bytes(2**22)), "zeros grows from [45],[0-9]{3} to 4,194,304 bytes"),
    ],
    ids=["no archive", "empty", "deep", "of PyTorch", "of zeros"],
)
def test_a_damaged_model_is_named(content, reason, finished, tmp_path):
    folder = shutil.copytree(finished[0], tmp_path / "run")
    (folder / "model.keras").write_bytes(content)
    with pytest.raises(InputError, match=rf"model.keras is damaged \({reason}\); restore it or train again$"):
        load_trained(folder, RunSchema("test"))


def test_the_kept_weights_are_those_of_the_epoch_with_the_lowest_validation_loss(tmp_path):
    model = train(tmp_path, replace(RECIPE, epochs=4, learning_rate=0.1, schedule="constant"))
    losses = [float(row["val_loss"]) for row in history(tmp_path)]
    logits = model(VALIDATION.images / np.float32(255))
    assert np.isclose(float(CrossEntropy()(VALIDATION.labels, logits)), min(losses), rtol=1e-4)
    assert losses[-1] > 1.01 * min(losses), "the last epoch is meant to be another than the best"


def test_images_for_validation_and_for_statistics_are_not_augmented(tmp_path):
    def black(images, labels, seed):
        return 0 * images, labels

    def normalizing():
        image = keras.Input((28, 28, 1))
        x = keras.layers.BatchNormalization(name="norm")(keras.layers.Flatten()(image))
        return keras.Model(image, keras.layers.Dense(10, name="logits")(x))

    recipe = replace(RECIPE, epochs=1, augmentations=(black,))
    model = train(tmp_path / "network", recipe)
    logits = model(VALIDATION.images / np.float32(255))
    validated = float(history(tmp_path / "network")[0]["val_loss"])
    assert validated == pytest.approx(float(CrossEntropy()(VALIDATION.labels, logits)), rel=1e-4)
    mean = train(tmp_path / "normalizing", recipe, normalizing).get_layer("norm").moving_mean
    np.testing.assert_allclose(mean, TRAIN.images.reshape(len(TRAIN), -1).mean(0) / 255, atol=1e-4)


def test_another_seed_is_another_order_of_images(tmp_path):
    """From the same weights, without anything else that is drawn."""
    ends = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        keras.utils.set_random_seed(0)
        model = network()
        fit(model, (TRAIN, VALIDATION), replace(RECIPE, epochs=1, seed=seed), folder=tmp_path / name, loss=LOSS)
        ends.append(model.get_layer("logits").kernel.numpy())
    np.testing.assert_array_equal(ends[0], ends[1])
    assert np.abs(ends[0] - ends[2]).max() > 1e-4


@pytest.mark.long
def test_kept_weights_with_a_moving_average_are_the_averaged_ones(finished, tmp_path):
    model = train(tmp_path, replace(RECIPE, ema=0.9))
    logits = model(VALIDATION.images / np.float32(255))
    best = min(float(row["val_loss"]) for row in history(tmp_path))
    assert np.isclose(float(CrossEntropy()(VALIDATION.labels, logits)), best, rtol=1e-4)
    assert np.abs(model.layers[-1].kernel.numpy() - finished[1].layers[-1].kernel.numpy()).max() > 1e-4


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


@pytest.mark.long
def test_early_stopping_ends_the_run(tmp_path):
    train(tmp_path, replace(RECIPE, epochs=30, learning_rate=1e-30, schedule="constant", early_stopping=2))
    assert len(history(tmp_path)) == 3


@pytest.mark.slow
def test_tensorboard_logs_are_written_where_asked(tmp_path):
    train(tmp_path, replace(RECIPE, epochs=1, tensorboard=True))
    assert any((tmp_path / "logs").rglob("events.out.tfevents*"))


@pytest.mark.long
def test_precision_is_switched_on_for_the_training_alone_and_not_for_outputs(tmp_path):
    seen = []

    class Policies(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append({layer.name: layer.compute_dtype for layer in self.model.layers})

    recipe = replace(RECIPE, precision="mixed_bfloat16", augmentations=(Distortion(shift=1),))
    model = train(tmp_path, recipe, callbacks=[Policies()])
    assert (seen[0]["embedding"], seen[0]["logits"]) == ("bfloat16", "float32")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    assert keras.saving.load_model(tmp_path / "model.keras").get_layer("embedding").compute_dtype == "float32"


@pytest.mark.long
def test_accumulated_gradients_equal_one_large_batch(tmp_path):
    small = replace(RECIPE, epochs=1, optimizer="sgd", momentum=0.0, schedule="constant", batch_size=32, accumulate=4)
    large = replace(small, batch_size=128, accumulate=1)
    models = [train(tmp_path / str(recipe.accumulate), recipe) for recipe in (small, large)]
    for one, other in zip(models[0].weights, models[1].weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, err_msg=one.path)


def test_training_prints_nothing(tmp_path, capfd):
    train(tmp_path, replace(RECIPE, epochs=1))
    assert capfd.readouterr() == ("", "")


def test_metrics_are_not_needed(tmp_path):
    fit(network(), (TRAIN, VALIDATION), replace(RECIPE, epochs=1), folder=tmp_path, loss=CrossEntropy())
    assert (tmp_path / "learning_curve.png").is_file()


def with_heads():
    """Two heads on the way, as GoogLeNet has them."""
    model = network()
    side = [keras.layers.Dense(10, name=f"aux{i}_logits")(model.get_layer("embedding").output) for i in (1, 2)]
    outputs = {"logits": model.output, "aux1_logits": side[0], "aux2_logits": side[1]}
    return keras.Model(model.input, outputs)


@pytest.mark.long
def test_auxiliary_heads_weigh_three_tenths_and_are_left_out_of_what_is_loaded(tmp_path):
    recipe = replace(RECIPE, epochs=2)
    trained = train(tmp_path, recipe, with_heads)
    x = VALIDATION.images / np.float32(255)
    outputs = {name: head.numpy() for name, head in trained(x).items()}
    losses = {name: float(CrossEntropy()(VALIDATION.labels, head)) for name, head in outputs.items()}
    best = min(history(tmp_path), key=lambda row: float(row["val_loss"]))
    expected = losses["logits"] + 0.3 * (losses["aux1_logits"] + losses["aux2_logits"])
    assert float(best["val_loss"]) == pytest.approx(expected, rel=1e-4)
    accuracy = (outputs["logits"].argmax(-1) == VALIDATION.labels).mean()
    assert float(best["val_accuracy"]) == pytest.approx(accuracy)
    assert list(best) == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss", "seconds", "images_per_second"]
    alone = main_head(keras.saving.load_model(tmp_path / "model.keras", compile=False))
    assert "aux1_logits" not in [layer.name for layer in alone.layers]
    np.testing.assert_allclose(alone(x).numpy(), outputs["logits"], atol=1e-5)


def test_a_compiled_model_keeps_its_loss_metrics_and_optimizer(tmp_path):
    optimizer = keras.optimizers.SGD(0.01)
    model = compiled(network(), optimizer)
    run = fit(model, (TRAIN, VALIDATION), Recipe(epochs=2, batch_size=32), folder=tmp_path)
    assert model.optimizer is optimizer
    assert int(optimizer.iterations) == 40
    assert run.record["recipe"]["precision"] == "auto"
    assert run.record["precision"] == policy_of(model, Recipe())
    assert list(run.history) == ["accuracy", "loss", "val_accuracy", "val_loss", "seconds", "images_per_second"]
    loss, accuracy = model.evaluate(VALIDATION.images / np.float32(255), VALIDATION.labels, verbose=0)
    assert loss == pytest.approx(run.history["val_loss"][run.best_epoch - 1], rel=1e-4)
    assert accuracy == pytest.approx(run.history["val_accuracy"][run.best_epoch - 1])


@pytest.mark.long
def test_a_model_that_is_not_compiled_is_not_afterwards_and_trains_again(tmp_path):
    model = train(tmp_path / "first", replace(RECIPE, epochs=1))
    assert not model.compiled
    before = model.get_weights()
    fit(model, (TRAIN, VALIDATION), replace(RECIPE, epochs=1, optimizer="sgd"), folder=tmp_path / "second", loss=LOSS)
    assert not np.array_equal(before[0], model.get_weights()[0])


@pytest.mark.long
def test_no_seed_of_the_process_is_set_and_deterministic_operations_are_switched_off_again(tmp_path):
    from tensorflow.python.framework import config

    model = network()
    states = random.getstate(), np.random.get_state()[1].tolist()
    fit(model, (TRAIN, VALIDATION), replace(RECIPE, epochs=1, deterministic=True), folder=tmp_path, loss=LOSS)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    assert not config.is_op_determinism_enabled()


def test_a_compiled_model_scales_its_loss_under_float16_and_goes_back(tmp_path):
    model, seen = compiled(network()), []
    look = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(type(model.optimizer).__name__))
    recipe = Recipe(epochs=1, batch_size=32, precision="mixed_float16")
    fit(model, (TRAIN, VALIDATION), recipe, folder=tmp_path, callbacks=[look])
    assert (seen, type(model.optimizer).__name__) == (["LossScaleOptimizer"], "SGD")


def test_without_validation_data_the_last_epoch_is_kept(tmp_path):
    model = network()
    run = fit(model, (TRAIN, None), RECIPE, folder=tmp_path, loss=LOSS)
    assert run.best_epoch == 2
    assert list(run.history) == ["loss", "seconds", "images_per_second"]
    assert (tmp_path / "learning_curve.png").is_file()


@pytest.mark.long
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


def test_images_of_weight_0_are_in_no_figure_of_the_history(tmp_path):
    wrong = replace(TRAIN, labels=(TRAIN.labels + 1) % 10)
    counted = np.arange(640) % 2 == 0
    mixed = Examples(
        TRAIN.images, np.where(counted, TRAIN.labels, wrong.labels).astype(np.int32), counted.astype(np.float32)
    )
    half = TRAIN.take(counted)
    recipe = Recipe(epochs=1, batch_size=640, learning_rate=0.0)
    rows = []
    for data in ((mixed, mixed), (half, half)):
        keras.utils.set_random_seed(0)
        folder = tmp_path / str(len(rows))
        own_size = replace(recipe, batch_size=len(data[0]))
        fit(network(), data, own_size, folder=folder, loss=CrossEntropy(), metrics=[Accuracy()])
        rows.append(history(folder)[0])
    for name in ("accuracy", "loss", "val_accuracy", "val_loss"):
        assert float(rows[0][name]) == pytest.approx(float(rows[1][name]), abs=1e-6)


def test_classes_are_balanced_by_weights():
    labels = np.array([0, 0, 0, 2], np.int32)
    examples = Examples(np.zeros((4, 1, 1, 1), np.uint8), labels)
    # 4 examples of 2 classes: 4 / (2 x 3) and 4 / (2 x 1)
    np.testing.assert_allclose(balanced(examples).weights, [2 / 3] * 3 + [2])
    recipe = Recipe(batch_size=4, balance="weights")
    ((_, truth, weights),) = Feed((examples, None), recipe).training(0, []).take(1)
    np.testing.assert_allclose(weights, np.where(truth == 0, 2 / 3, 2))
    masks = Examples(np.zeros((4, 2, 2, 1), np.uint8), np.zeros((4, 2, 2, 1), np.uint8))
    with pytest.raises(UsageError, match="^balance is weights, and the examples have masks; leave it out$"):
        Feed((masks, None), recipe)


def test_classes_are_balanced_by_sampling():
    labels = np.repeat(np.array([0, 2, 3], np.int32), [40, 16, 4])
    examples = Examples(np.arange(60, dtype=np.uint8).reshape(60, 1, 1, 1), labels)
    recipe = Recipe(batch_size=10, balance="sampling", epochs=3)
    feed = Feed((examples, None), recipe)
    feed.steps = 6
    seen = [(np.rint(255 * images.numpy().ravel()), truth.numpy()) for images, truth in feed.training(0, [])]
    epochs = [[np.concatenate(part) for part in zip(*seen[first : first + 6], strict=True)] for first in (0, 6, 12)]
    for numbers, truth in epochs:
        assert np.bincount(truth).tolist() == [20, 0, 20, 20]
        # of few examples each is shown as often as any other, give or take one; of many none twice
        times = np.bincount(numbers.astype(int), minlength=60)
        assert (times[:40].max(), set(times[40:56]), set(times[56:])) == (1, {1, 2}, {5})
    orders = [numbers.tolist() for numbers, _ in epochs]
    assert orders[0] != orders[1] != orders[2]
    resumed = np.concatenate([np.rint(255 * images.numpy().ravel()) for images, _ in feed.training(2, [])])
    assert resumed.tolist() == orders[2]


def batches_of(examples):
    return tf.data.Dataset.from_tensor_slices((examples.images / np.float32(255), examples.labels)).batch(32)


def test_a_dataset_of_batches_is_trained_on_as_it_is(tmp_path):
    data = batches_of(TRAIN), batches_of(VALIDATION)
    run = fit(network(), data, replace(RECIPE, epochs=3), folder=tmp_path, loss=LOSS)
    assert run.history["val_loss"][-1] < run.history["val_loss"][0]
    endless = data[0].repeat()
    with pytest.raises(UsageError, match=r"^data is a tf.data.Dataset without end; give it one with .take\(steps\)$"):
        fit(network(), endless, RECIPE, folder=tmp_path / "endless", loss=LOSS)
    recipe = replace(RECIPE, augmentations=(Distortion(shift=1),))
    with pytest.raises(
        UsageError, match=r"^augmentations is .*, and data is a tf.data.Dataset, which is taken as it is;"
    ):
        fit(network(), data, recipe, folder=tmp_path / "augmented", loss=LOSS)


def test_a_compiled_model_runs_whole_calls_of_its_own_steps(tmp_path, caplog):
    model = compiled(network(), steps_per_execution=7)
    fit(model, (TRAIN, None), replace(RECIPE, learning_rate=1e-3), folder=tmp_path)
    assert int(model.optimizer.iterations) == 2 * 14, "20 steps an epoch are cut to a multiple of 7"
    assert "steps_per_execution is 7: 6 of 20 batches of an epoch are left out" in caplog.text
    with pytest.raises(
        UsageError, match="^data has 3 batches an epoch, fewer than the model's 7 steps_per_execution; c"
    ):
        epoch_steps(100, 32, 784, 7)


def test_what_a_compiled_model_has_decided_is_recorded_and_not_the_recipe_s(tmp_path):
    run = fit(compiled(network(), keras.optimizers.SGD(0.02)), (TRAIN, None), Recipe(batch_size=32), folder=tmp_path)
    assert "optimizer" not in run.record["recipe"]
    compiled_with = run.record["compiled"]
    assert (compiled_with["optimizer"], compiled_with["learning_rate"]) == ("SGD", 0.02)
    assert compiled_with["loss"]["from_logits"] is True


def test_a_callback_may_add_what_is_no_number_or_only_now_and_then(tmp_path):
    class Matrix(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["matrix"] = np.eye(2)
            if epoch:
                logs["late"] = 1.0

    run = fit(network(), (TRAIN, None), RECIPE, folder=tmp_path, loss=LOSS, callbacks=[Matrix()])
    assert run.history["matrix_3"] == [1.0, 1.0]
    assert run.history["late"] == [None, 1.0]
    assert [row["late"] for row in history(tmp_path)] == ["", "1.0"]


def test_outputs_of_a_model_within_a_model_stay_float32():
    image = keras.Input((8, 8, 1))
    inner = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])
    model = keras.Model(image, inner(keras.layers.Rescaling(2.0)(image)))
    with computing_in(model, "mixed_bfloat16"):
        assert model(np.zeros((1, 8, 8, 1), np.float32)).dtype == "float32"
        assert model.layers[1].compute_dtype == "bfloat16"


@pytest.mark.long
def test_everything_is_put_back_where_training_raises(tmp_path):
    model, recipe = network(), replace(RECIPE, precision="mixed_float16", deterministic=True)
    with pytest.raises(KeyboardInterrupt):
        fit(model, (TRAIN, VALIDATION), recipe, folder=tmp_path, loss=LOSS, callbacks=Stop())
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert (model.compiled, model.steps_per_execution) == (False, 1)
    assert np.isfinite(model.predict(VALIDATION.images / np.float32(255), verbose=0)).all()


@pytest.mark.long
def test_statistics_that_a_train_step_of_ones_own_has_made_are_kept(tmp_path):
    model = own()
    run = fit(model, (TRAIN, VALIDATION), Recipe(epochs=2, batch_size=32), folder=tmp_path)
    loss = model.evaluate(VALIDATION.images / np.float32(255), VALIDATION.labels, verbose=0)[0]
    assert loss == pytest.approx(min(run.history["val_loss"]), rel=1e-4)


def test_callbacks_of_keras_that_save_and_monitor_have_what_they_need(tmp_path):
    """Under a warm-up, whose schedule is saved with the model."""
    saved = str(tmp_path / "best.keras")
    best = keras.callbacks.ModelCheckpoint(saved, monitor="val_accuracy", save_best_only=True)
    early = keras.callbacks.EarlyStopping(monitor="val_accuracy", patience=5)
    recipe = replace(RECIPE, warmup_epochs=1)
    keras.utils.set_random_seed(0)
    options = {"loss": CrossEntropy(0.1), "metrics": [Accuracy()], "callbacks": [best, early]}
    run = fit(network(), (TRAIN, VALIDATION), recipe, folder=tmp_path / "run", **options)
    loaded = keras.saving.load_model(saved)
    assert isinstance(loaded.loss, CrossEntropy)
    scores = loaded.evaluate(VALIDATION.images / np.float32(255), VALIDATION.labels, verbose=0, return_dict=True)
    assert scores["accuracy"] == pytest.approx(max(run.history["val_accuracy"]), abs=1e-6)
    rates = [float(loaded.optimizer._learning_rate(step)) for step in (0, 19, 39)]
    assert rates == pytest.approx([recipe.learning_rate / 20 * (1 + 1) / 2, 3e-3 * 0.5, 0], abs=1.6e-4)


def test_several_optimizers_at_once_train_and_resume(tmp_path):
    def build():
        keras.utils.set_random_seed(0)
        model = network()
        rates = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.1), {"logits/.*": keras.optimizers.Adam(1e-3)})
        return compiled(model, keras.optimizers.MultiOptimizer(rates))

    def run(folder, *callbacks):
        model, recipe = build(), Recipe(epochs=2, batch_size=32)
        fit(model, (TRAIN, VALIDATION), recipe, folder=folder, callbacks=callbacks)
        return model.get_weights()

    assert_stopped_ends_as_whole(run, tmp_path)
