"""What fit does not do, it says before anything is done; what stops it, with the way on."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerascnn
from kerascnn.classification.losses import CrossEntropy
from kerascnn.errors import InputError, TrainingStopped, UsageError
from kerascnn.files import one_writer
from kerascnn.models import builder
from kerascnn.training.checks import SAID_ALREADY
from kerascnn.training.feed import epoch_steps
from kerascnn.training.fit import fit, stopped_by_limits
from kerascnn.training.recipe import Recipe
from kerascnn.training.record import RunSchema
from kerascnn.training.run_folder import load_model, load_trained
from tests.training.runs import LOSS, RECIPE, TRAIN, VALIDATION, compiled, network, own, train


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


@pytest.mark.long
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
def test_every_wording_of_memory_that_runs_out_is_known(words, tmp_path):
    with (
        pytest.raises(TrainingStopped, match="batch_size of 32; try batch_size 16"),
        stopped_by_limits(RECIPE, tmp_path),
    ):
        raise tf.errors.ResourceExhaustedError(None, None, words)


def test_a_compiled_model_whose_memory_runs_out_is_told_nothing_of_updates(tmp_path):
    with (
        pytest.raises(TrainingStopped, match="; try batch_size 16$"),
        stopped_by_limits(RECIPE, tmp_path, compiled=True),
    ):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[32,100000]")


def test_label_smoothing_that_no_loss_knows_of_is_an_error(tmp_path):
    smooth = replace(RECIPE, label_smoothing=0.1)
    with pytest.raises(UsageError, match="^label_smoothing is 0.1, and the loss that is given is not told of it; l"):
        kerascnn.fit(network(), (TRAIN, VALIDATION), smooth, folder=tmp_path, loss=LOSS)
    masks = kerascnn.datasets.from_arrays(np.zeros((40, 32, 32, 3), np.uint8), np.zeros((40, 32, 32, 1), np.uint8))
    with pytest.raises(UsageError, match="^label_smoothing is 0.1, which is for classes, not for masks; leave it out$"):
        kerascnn.fit(builder("unet_buda")((32, 32, 3)), masks, smooth, folder=tmp_path)


def test_more_than_all_examples_in_a_batch_is_an_error():
    with pytest.raises(UsageError, match="batch_size is 128, more than the 100 training examples"):
        epoch_steps(100, 128, 784)


def test_no_trained_model_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"no trained model at .*model.keras; train one first, or name another folder"):
        load_trained(tmp_path, RunSchema("test"))


def test_a_validation_loss_that_is_not_finite_stops_with_its_epoch(tmp_path):
    # one step an epoch: the weights are broken only after the training loss was taken
    recipe = replace(RECIPE, batch_size=640, optimizer="sgd", learning_rate=1e38, schedule="constant")
    with pytest.raises(TrainingStopped, match=r"val_loss is not finite after epoch 1; lower learning_rate"):
        train(tmp_path, recipe, builder("mlp"))
    assert not (tmp_path / "checkpoint.npz").exists()


def test_a_disk_that_fills_up_at_the_end_is_told_as_such(tmp_path, monkeypatch):
    # a real full disk needs root: the write of the model is the one thing replaced
    def fail(self, path):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(keras.Model, "save", fail)
    with pytest.raises(TrainingStopped, match=r"disk full .*; free some space and resume the run"):
        train(tmp_path)
    assert (tmp_path / "checkpoint.npz").exists()
    assert not (tmp_path / "recipe.json").exists()


def test_a_recipe_that_asks_a_compiled_model_for_another_optimizer_is_an_error(tmp_path):
    expected = (
        "^learning_rate is 0.1, and the model is compiled with an optimizer and a loss of its own; leave it out, or"
    )
    with pytest.raises(UsageError, match=expected):
        fit(compiled(network()), (TRAIN, VALIDATION), Recipe(learning_rate=0.1), folder=tmp_path)
    assert not list(tmp_path.iterdir())


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
        fit(network(), (TRAIN, None), recipe, folder=tmp_path, loss=LOSS)


def test_a_model_that_ends_in_a_softmax_is_an_error_where_the_loss_takes_logits(tmp_path):
    image = keras.Input((28, 28, 1))
    model = keras.Model(image, keras.layers.Dense(10, "softmax")(keras.layers.Flatten()(image)), name="ending")
    with pytest.raises(UsageError, match="^model ending ends in an activation, and logits are wanted; leave it out"):
        fit(model, (TRAIN, VALIDATION), RECIPE, folder=tmp_path, loss=LOSS)


def test_a_model_without_an_input_of_its_own_is_an_error(tmp_path):
    with pytest.raises(UsageError, match=r"^model sequential.* has no input and output of its own; build it as"):
        fit(keras.Sequential([keras.layers.Dense(10)]), (TRAIN, VALIDATION), RECIPE, folder=tmp_path, loss=LOSS)


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
        fit(compiled(network()), (TRAIN, VALIDATION), Recipe(), folder=tmp_path, **options)


@pytest.mark.parametrize(
    ("build", "options", "words"),
    [
        (
            lambda: network((32, 32, 1)),
            {},
            "^data has images of 28x28x1, and the model takes 32x32x1; build it",
        ),
        (
            lambda: network(num_classes=3),
            {},
            "^data has labels up to 9, and the model has 3 logits; build it",
        ),
        (
            network,
            {"loss": "mse"},
            r"^loss is 'mse'; give a keras.losses.Loss on logits, as Sparse.*\(from_logits=True\)$",
        ),
        (
            network,
            {"recipe": TRAIN.labels},
            "^recipe is ndarray; give a kc.Recipe, and images and labels together as kc.d",
        ),
    ],
)
def test_what_does_not_fit_together_is_an_error_before_anything_is_done(build, options, words, tmp_path):
    with pytest.raises(UsageError, match=words):
        fit(build(), (TRAIN, VALIDATION), folder=tmp_path / "new", **{"loss": LOSS, **options})
    assert not (tmp_path / "new").exists()


def batches(labels):
    return tf.data.Dataset.from_tensor_slices((TRAIN.images / np.float32(255), labels)).batch(32)


def endings(count, said):
    """A data set of `count` batches of which somebody has said another number."""
    return batches(TRAIN.labels).take(count).apply(tf.data.experimental.assert_cardinality(said))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((TRAIN, TRAIN, TRAIN), "^data has 3 parts; give two, training and validation"),
        ((TRAIN, (TRAIN.images, TRAIN.labels)), "^data is tuple; give what kc.datasets.from_arrays"),
        ((batches(TRAIN.labels), batches(TRAIN.labels).repeat()), r"^data is .* without end; give it one with .take"),
        (batches(TRAIN.labels).map(lambda x, y: {"image": x}), "^data is a tf.data.Dataset of dict; map it to batches"),
        (batches(TRAIN.labels).map(lambda x, y: x), "^data is a tf.data.Dataset of TensorSpec; map it to batches"),
        (batches(TRAIN.labels).take(0), "^data is a tf.data.Dataset of no batch; give it some"),
        (
            (batches(TRAIN.labels), batches(TRAIN.labels).take(0)),
            "^data is a tf.data.Dataset of no batch; give it some",
        ),
        (batches(TRAIN.labels).filter(lambda *batch: True), "^data is .* of unknown length; give it one with .apply"),
        (
            tf.data.Dataset.from_generator(lambda: iter([]), output_types=(tf.float32, tf.int32)).batch(2),
            "^data is a tf.data.Dataset of tensors of unknown shape; give from_generator an output_signature",
        ),
        (
            batches(TRAIN.labels.astype(str)),
            "^data is a tf.data.Dataset of texts; map it to images and labels that are",
        ),
        (
            endings(10, 20),
            "^data is a tf.data.Dataset of 10 batches whose cardinality says 20; give assert_cardinality",
        ),
        (batches(TRAIN.labels + 1), r"^data has the label 10, and the model has 10 logits; build it for all classes"),
        ((TRAIN, batches(TRAIN.labels + 1)), r"^data has the label 10, and the model has 10 logits; build it"),
    ],
)
def test_data_that_cannot_be_trained_on_are_an_error(data, words, tmp_path):
    with pytest.raises(UsageError, match=words) as caught:
        fit(compiled(network()), data, Recipe(batch_size=32), folder=tmp_path)
    assert caught.value.argument == "data"


@pytest.mark.parametrize(("factor", "said"), [(1, False), (255, True)])
def test_a_dataset_of_images_that_are_not_divided_is_warned_of(factor, said, tmp_path, caplog):
    data = batches(TRAIN.labels).take(1).map(lambda images, labels: (factor * images, labels))
    fit(compiled(network()), data, Recipe(epochs=1), folder=tmp_path)
    words = (
        "data is a tf.data.Dataset of images up to 255, and an exported network gets images in [0, 1]; divide by 255"
    )
    assert (words in caplog.text) == said


def test_validation_images_of_another_size_are_an_error(tmp_path):
    validation = replace(VALIDATION, images=VALIDATION.images[:, 4:])
    with pytest.raises(UsageError, match="^data has images of 24x28x1, and the model takes 28x28x1; build it"):
        fit(network(), (TRAIN, validation), RECIPE, folder=tmp_path, loss=LOSS)


@pytest.mark.parametrize("model", ["resnet20", None, keras.Model])
def test_what_is_no_model_is_an_error(model, tmp_path):
    with pytest.raises(UsageError, match="^model is .*, which is no keras.Model; give a built one$"):
        kerascnn.fit(model, (TRAIN, None), RECIPE, folder=tmp_path)


def test_a_model_of_which_nothing_is_trained_is_an_error(tmp_path):
    model = network()
    model.trainable = False
    with pytest.raises(UsageError, match="^model network has no layer that is trained; set trainable = True of those"):
        fit(model, (TRAIN, None), RECIPE, folder=tmp_path, loss=LOSS)


def test_a_compiled_model_that_cannot_be_exported_is_told_before_it_trains(tmp_path, caplog):
    image = keras.Input((28, 28, 1))
    model = keras.Model(image, keras.layers.Dense(10, "softmax")(keras.layers.Flatten()(image)))
    model.compile("sgd", "sparse_categorical_crossentropy")
    fit(model, (TRAIN, None), Recipe(epochs=1, batch_size=32), folder=tmp_path)
    assert "kc.evaluate, kc.calibrate and kc.export will not take it: model" in caplog.text


def test_a_model_that_holds_code_is_not_called_damaged(tmp_path):
    image = keras.Input((28, 28, 1))
    x = keras.layers.Lambda(lambda x: 2 * x)(image)
    keras.Model(image, keras.layers.Dense(10)(keras.layers.Flatten()(x))).save(tmp_path / "model.keras")
    with pytest.raises(InputError, match="model.keras holds Python code, as a Lambda layer does, and code of a file"):
        load_model(tmp_path)


def test_half_precision_that_a_train_step_of_ones_own_would_spoil_is_an_error(tmp_path):
    recipe = Recipe(batch_size=32, precision="mixed_float16")
    with pytest.raises(UsageError, match="^precision is mixed_float16, and the model's own train_step scales no loss;"):
        fit(own(), (TRAIN, VALIDATION), recipe, folder=tmp_path)


def test_a_callback_that_was_not_created_is_an_error(tmp_path):
    words = r"^callbacks has <class .*TerminateOnNaN'>, which is no keras.callbacks.Callback; give TerminateOnNaN\(\)$"
    with pytest.raises(UsageError, match=words):
        fit(
            network(),
            (TRAIN, VALIDATION),
            RECIPE,
            folder=tmp_path,
            loss=LOSS,
            callbacks=[keras.callbacks.TerminateOnNaN],
        )


def test_weights_are_not_swapped_twice(tmp_path):
    with pytest.raises(UsageError, match="^callbacks has SwapEMAWeights, and moving averages are validated and kept"):
        fit(
            network(),
            (TRAIN, VALIDATION),
            RECIPE,
            folder=tmp_path,
            loss=LOSS,
            callbacks=keras.callbacks.SwapEMAWeights(),
        )


def test_a_compiled_model_whose_loss_is_not_finite_stops_after_the_epoch(tmp_path):
    model = compiled(builder("mlp")(), keras.optimizers.SGD(1e30))
    with pytest.raises(
        TrainingStopped, match=r"^loss is not finite in epoch 1; give the model's optimizer a .* below 1e\+30"
    ):
        fit(model, (TRAIN, None), Recipe(batch_size=32), folder=tmp_path)


@pytest.mark.parametrize("metadata", [{"x": Path("a")}, {"x": float("nan")}, {"x": tf.constant(1)}, ["ab"]])
def test_metadata_that_recipe_json_cannot_say_are_an_error_before_training(metadata, tmp_path):
    with pytest.raises(UsageError, match="^metadata is no JSON .*; give a dict of texts, finite numbers, lists and"):
        train(tmp_path / "run", metadata=metadata)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"callbacks": [keras.callbacks.ReduceLROnPlateau()]},
            "^callbacks has a ReduceLROnPlateau, and a schedule sets the learning rate; leave it out, or choose the s",
        ),
        (
            {"callbacks": [keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)]},
            "^callbacks has a LearningRateScheduler, and a schedule sets the learning rate; leave it out, or choose",
        ),
        ({"metadata": {"model": "mine"}}, "^metadata has 'model', which the run says itself; choose another name$"),
        (
            {"recipe": Recipe(epochs=1, accumulate=1000)},
            "^accumulate is 1000, and the training has .* batches, no up",
        ),
        ({"metadata": {"temperature": 4}}, "^metadata has 'temperature', which the run says itself; choose another n"),
        ({"metadata": {"validation": "patient 3"}}, "^metadata has 'validation', which the run says itself; choose an"),
    ],
)
def test_what_would_end_a_run_after_hours_is_said_at_once(tmp_path, options, words):
    with pytest.raises(UsageError, match=words):
        train(tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_all_that_a_run_says_itself_is_no_name_for_metadata(tmp_path):
    train(tmp_path, metadata={"app": "test"})
    assert json.loads((tmp_path / "recipe.json").read_text()).keys() - {"app", "recipe", "data"} <= SAID_ALREADY


def test_a_model_that_went_wrong_is_no_model_to_train(tmp_path):
    model = network()
    model.layers[-1].kernel.assign(np.full(model.layers[-1].kernel.shape, np.nan))
    with pytest.raises(UsageError, match=f"^model {model.name} has weights that are not finite; build it anew$"):
        fit(model, (TRAIN, None), RECIPE, folder=tmp_path / "run", loss=LOSS)
    assert not (tmp_path / "run").exists()


def test_mixed_labels_of_another_number_of_classes_are_an_error(tmp_path):
    recipe = replace(RECIPE, augmentations=[kerascnn.augmentation.MixUp(alpha=0.2, num_classes=7)])
    with pytest.raises(
        UsageError, match="^augmentations has MixUp with num_classes 7, and the model has 10 logits; gi"
    ):
        fit(network(), (TRAIN, VALIDATION), recipe, folder=tmp_path, loss=LOSS)


def test_a_schedule_inside_of_a_loss_scale_optimizer_leaves_no_rate_to_set(tmp_path):
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 9)))
    with pytest.raises(UsageError, match="^callbacks has a ReduceLROnPlateau, and a schedule sets the learning rate"):
        fit(
            compiled(network(), scaled), (TRAIN, VALIDATION), Recipe(batch_size=32), folder=tmp_path,
            callbacks=[keras.callbacks.ReduceLROnPlateau()],
        )  # fmt: skip


def test_a_conclusion_that_is_no_json_is_said_and_the_run_can_be_finished(tmp_path):
    for wrong in (None, {"confusion": np.eye(2)}, {"loss": float("nan")}):
        with pytest.raises(
            UsageError, match=r"^conclude returns no JSON \(.*\); return a dict of texts, finite numbers, li"
        ):
            train(tmp_path, conclude=lambda model, wrong=wrong: wrong)
    with pytest.raises(UsageError, match="^conclude returns 'best_epoch', which the run says itself; choose another"):
        train(tmp_path, conclude=lambda model: {"best_epoch": 7})
    train(tmp_path, conclude=lambda model: {"right": 1})
    assert json.loads((tmp_path / "recipe.json").read_text())["right"] == 1


def test_keys_of_metadata_that_are_numbers_are_kept_as_texts(tmp_path):
    train(tmp_path, metadata={"classes": {0: "cat"}})
    assert json.loads((tmp_path / "recipe.json").read_text())["classes"] == {"0": "cat"}


class Unsaved(keras.layers.Layer):
    """Keras cannot say how it is made: an argument is a function."""

    def __init__(self, activation=lambda x: x):
        super().__init__()
        self.activation = activation

    def call(self, x):
        return self.activation(x)


def test_a_layer_that_cannot_be_saved_is_named_before_a_training(tmp_path):
    image = keras.Input((28, 28, 1))
    model = keras.Model(image, keras.layers.Dense(10)(Unsaved()(keras.layers.Flatten()(image))))
    with pytest.raises(UsageError, match="^model .* cannot be saved .*; give its layers a get_config$"):
        fit(model, (TRAIN, VALIDATION), RECIPE, folder=tmp_path / "run", loss=CrossEntropy())
    assert not (tmp_path / "run").exists()


def test_a_softmax_in_a_model_that_is_the_last_layer_is_seen(tmp_path):
    image = keras.Input((28, 28, 1))
    inner = keras.Model(image, keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten()(image)))
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Rescaling(1.0), inner])
    with pytest.raises(UsageError, match="ends in an activation, and logits are wanted"):
        fit(model, (TRAIN, VALIDATION), RECIPE, folder=tmp_path / "run", loss=CrossEntropy())


def test_single_images_are_no_batches(tmp_path):
    single = tf.data.Dataset.from_tensor_slices((np.zeros((8, 28, 28, 1), np.float32), np.zeros(8, np.int32)))
    with pytest.raises(
        UsageError, match=r"^data is a tf.data.Dataset of single images; give it in batches, .batch\(32\)$"
    ):
        fit(network(), single, RECIPE, folder=tmp_path / "run", loss=CrossEntropy())


def test_grey_images_without_an_axis_of_channels_are_batches(tmp_path):
    grey = tf.data.Dataset.from_tensor_slices((TRAIN.images[..., 0] / np.float32(255), TRAIN.labels)).batch(32)
    run = fit(network(), grey, replace(RECIPE, epochs=1), folder=tmp_path / "run", loss=CrossEntropy())
    assert len(run.history["loss"]) == 1
    single = tf.data.Dataset.from_tensor_slices((VALIDATION.images / np.float32(255), VALIDATION.labels))
    with pytest.raises(
        UsageError, match=r"^data is a tf.data.Dataset of single images; give it in batches, .batch\(32\)$"
    ):
        fit(network(), (TRAIN, single), RECIPE, folder=tmp_path / "other", loss=CrossEntropy())


def test_only_the_output_that_is_used_must_be_logits(tmp_path):
    image = keras.Input((28, 28, 1))
    logits = keras.layers.Dense(10)(keras.layers.Flatten()(image))
    inner = keras.Model(image, {"logits": logits, "probabilities": keras.layers.Softmax()(logits)})
    model = keras.Model(image, inner(image)["logits"])
    assert fit(model, (TRAIN, None), replace(RECIPE, epochs=1), folder=tmp_path, loss=CrossEntropy()).history["loss"]


def test_labels_for_validation_are_looked_at_before_a_training(tmp_path):
    other = replace(VALIDATION, labels=VALIDATION.labels + 1)
    with pytest.raises(UsageError, match="^data has labels up to 10, and the model has 10 logits; build it for all"):
        fit(network(), (TRAIN, other), RECIPE, folder=tmp_path / "run", loss=CrossEntropy())


def test_a_function_without_weights_is_named_where_there_are_some(tmp_path):
    def noise(images, labels, seed):
        return images, labels

    weighed = replace(TRAIN, weights=np.ones(len(TRAIN), np.float32))
    with pytest.raises(
        UsageError, match=r"^augmentations has noise, which does not take \(images, labels, seed, \*weig"
    ):
        fit(
            network(),
            (weighed, None),
            replace(RECIPE, augmentations=(noise,)),
            folder=tmp_path / "run",
            loss=CrossEntropy(),
        )
