"""Plain model.fit, stopped in the middle of an epoch and run again; a kill leaves what such a stop leaves."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerascnn as kc
from kerascnn.datasets.synthetic import drawn
from kerascnn.errors import InputError, UsageError
from kerascnn.training.callbacks import scalars
from kerascnn.training.checkpoint import assign, read_checkpoint, variables, write_checkpoint
from tests.interrupting import Stop, run_whole_and_killed

TRAIN, VALIDATION = drawn(320, 0), drawn(100, 1)
VALIDATING = VALIDATION.images / np.float32(255), VALIDATION.labels
EPOCHS, STEPS = 5, 10


class Noisy(keras.Model):
    """Trains on images with noise from a generator of its own, with another optimizer for the classifier.

    What adversarial training needs: a train_step, state, and rates per group of layers.
    """

    def __init__(self, inputs, outputs, **kwargs):
        super().__init__(inputs, outputs, **kwargs)
        self.noise = keras.random.SeedGenerator(7)
        self.head_optimizer = keras.optimizers.Adam(1e-3)
        self.head_optimizer.build(self.layers[-1].trainable_variables)

    def train_step(self, data):
        images, labels = data
        images = images + keras.random.normal(keras.ops.shape(images), stddev=0.1, seed=self.noise)
        with tf.GradientTape() as tape:
            loss = self.compute_loss(images, labels, self(images, training=True))
        head, body = self.layers[-1].trainable_variables, self.layers[1].trainable_variables
        gradients = tape.gradient(loss, [*head, *body])
        self.head_optimizer.apply(gradients[: len(head)], head)
        self.optimizer.apply(gradients[len(head) :], body)
        return {"loss": loss}


class Counter(keras.callbacks.Callback):
    """A callback with a state of its own."""

    seen = 0

    def on_epoch_end(self, epoch, logs=None):
        self.seen += 1

    def get_state(self):
        return {"seen": self.seen, "array": np.arange(3)}

    def set_state(self, state):
        np.testing.assert_array_equal(state["array"], np.arange(3))
        self.seen = state["seen"]


def stop_at(epoch):
    return Stop(epoch, batch=STEPS // 2)


def network(kind=Noisy):
    keras.utils.set_random_seed(3)
    image = keras.Input((28, 28, 1), name="image")
    x = keras.layers.Flatten()(image)
    x = keras.layers.Dropout(0.2)(keras.layers.Dense(32, activation="relu")(x))
    model = kind(image, keras.layers.Dense(10)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss=loss, steps_per_execution=1)
    return model


def fit(model, resumable, others=(), **options):
    """The lines of the documentation."""
    batches = kc.batches(TRAIN, 32, seed=0, epochs=EPOCHS, first_epoch=resumable.epoch)
    epochs = {"epochs": EPOCHS, "initial_epoch": resumable.epoch, "steps_per_epoch": STEPS}
    options = {**epochs, "callbacks": [resumable, *others], **options}
    model.fit(batches, validation_data=VALIDATING, shuffle=False, verbose=0, **options)


def with_state():
    # patience 1: some epochs are no better than the last
    return [keras.callbacks.ReduceLROnPlateau(patience=1, min_delta=0.05), Counter()]


def train(folder, others=(), model=None, **options):
    """(the trained model, the callbacks with a state)."""
    model, kept = model or network(), with_state()
    fit(model, kc.callbacks.Resumable(folder, callbacks=kept), others, **options)
    return model, kept


def assert_same(one, other):
    for variable, expected in zip(one.variables, other.variables, strict=True):
        np.testing.assert_array_equal(variable, expected, err_msg=variable.path)


@pytest.mark.parametrize("epoch", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_train_step_of_ones_own_goes_on_to_the_same_weights(epoch, tmp_path):
    whole, (plateau, counter) = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "part", [stop_at(epoch)])
    resumed, (again, counter_again) = train(tmp_path / "part")
    assert_same(resumed, whole)
    assert_same(resumed.head_optimizer, whole.head_optimizer)
    assert_same(resumed.optimizer, whole.optimizer)
    assert (again.wait, again.best) == (plateau.wait, plateau.best)
    assert counter.seen == counter_again.seen == EPOCHS
    assert float(whole.optimizer.learning_rate) < 0.05, "the plateau schedule is meant to act"


def test_a_callback_that_cannot_keep_what_it_knows_is_named(tmp_path, caplog):
    class Losses(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seen = []

    class Stateless(keras.callbacks.Callback):
        pass

    def once(epochs):
        resumable = kc.callbacks.Resumable(tmp_path, [Counter(), Losses(), Stateless()])
        options = {"epochs": epochs, "initial_epoch": resumable.epoch, "steps_per_epoch": 2}
        network().fit(kc.batches(TRAIN, 32, epochs=2), shuffle=False, verbose=0, callbacks=[resumable], **options)

    once(1)
    assert not caplog.messages
    once(2)
    words = "callback Losses begins anew: it has no get_state and set_state, see Resumable"
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [words]


def test_what_is_finished_is_taken_up_and_not_trained_again(tmp_path):
    first, _ = train(tmp_path)
    before = (tmp_path / "history.csv").read_text()
    # as after a kill between the last checkpoint and its row
    (tmp_path / "history.csv").write_text("".join(before.splitlines(keepends=True)[:-1]))
    again, (_, counter) = train(tmp_path)
    assert_same(again, first)
    assert counter.seen == EPOCHS
    assert (tmp_path / "history.csv").read_text() == before
    assert before.startswith("epoch,loss,")
    assert len(before.splitlines()) == 1 + EPOCHS


@pytest.mark.long
def test_a_training_that_ended_early_is_not_gone_on_with(tmp_path):
    stop = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", epoch == 1))
    model = network()
    train(tmp_path, [stop], model)
    assert kc.callbacks.Resumable(tmp_path).epoch == 2, "a callback that stands behind it is not seen"
    early = keras.callbacks.EarlyStopping(patience=0, min_delta=10)
    for _ in range(2):
        resumable = kc.callbacks.Resumable(tmp_path / "early", callbacks=[early])
        fit(network(), resumable)
        assert len(resumable.history) == 2


@pytest.mark.long
def test_the_weights_that_early_stopping_restores_are_kept_over_a_stop(tmp_path):
    def run(folder, others=()):
        model, early = network(keras.Model), keras.callbacks.EarlyStopping(patience=9, restore_best_weights=True)
        # so large a rate that the first epochs are the best
        model.optimizer.learning_rate = 0.5
        fit(model, kc.callbacks.Resumable(folder, callbacks=[early]), others)
        return model, early.best_epoch

    whole, best = run(tmp_path / "whole")
    assert best < EPOCHS - 1, "the best epoch is meant to be another than the last"
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "part", [stop_at(best + 1)])
    resumed, again = run(tmp_path / "part")
    assert again == best
    assert_same(resumed, whole)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"initial_epoch": 0}, "^initial_epoch is 0, and .* holds 5 epochs; pass initial_epoch=resumable.epoch, or"),
        ({"epochs": 1}, "^epochs is 1, and .* holds 5; give the number of all epochs, the finished ones among them$"),
    ],
)
@pytest.mark.long
def test_epochs_that_do_not_go_on_are_an_error(options, words, tmp_path):
    train(tmp_path)
    with pytest.raises(UsageError, match=words) as caught:
        train(tmp_path, **options)
    assert caught.value.argument in options


def test_an_optimizer_that_is_not_built_is_an_error(tmp_path):
    model = network()
    model.head_optimizer = keras.optimizers.Adam()
    with pytest.raises(
        UsageError, match=r"^head_optimizer of model noisy.* is not built, .*; call its build\(variables\) before"
    ):
        train(tmp_path, model=model)


def test_another_model_is_an_error(tmp_path):
    train(tmp_path)
    image = keras.Input((28, 28, 1))
    other = keras.Model(image, keras.layers.Dense(10)(keras.layers.Flatten()(image)))
    other.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(UsageError, match=r"was trained with parameters 25450 \(now 7850\), conf.*; give the same"):
        train(tmp_path, model=other)


def test_the_same_model_built_again_is_the_same_whatever_keras_calls_its_layers(tmp_path):
    image = keras.Input((4,))
    models = [keras.Sequential([image, keras.layers.Dense(2), keras.layers.Dense(3)]) for _ in range(2)]
    assert models[0].layers[0].name != models[1].layers[0].name
    first, second = map(kc.callbacks.fingerprint, models)
    assert first == second
    first, second = (
        kc.callbacks.fingerprint(keras.Model(image, keras.layers.Dense(2)(keras.ops.relu(image + 1)))) for _ in range(2)
    )
    assert first == second
    first = kc.callbacks.fingerprint(models[0])
    other = keras.Sequential([image, keras.layers.Dense(2, activation="relu"), keras.layers.Dense(3)])
    assert kc.callbacks.fingerprint(other) != first


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / "checkpoint.npz").write_bytes(b"PK\3\4 nothing")
    with pytest.raises(InputError, match=r"checkpoint.npz is damaged \(.*\); train again into another folder"):
        kc.callbacks.Resumable(tmp_path)


@pytest.mark.long
def test_an_interrupted_cell_is_run_again_with_the_same_callback(tmp_path):
    whole, _ = train(tmp_path / "whole")
    model, resumable = network(), kc.callbacks.Resumable(tmp_path / "part", callbacks=with_state())
    with pytest.raises(KeyboardInterrupt):
        fit(model, resumable, [stop_at(2)])
    fit(model, resumable)
    assert_same(model, whole)


def test_optimizers_in_a_list_are_kept():
    model = network(keras.Model)
    model.others = [keras.optimizers.SGD(momentum=0.9)]
    model.others[0].build(model.trainable_variables)
    assert {id(v) for v in model.others[0].variables} <= {id(v) for v in variables(model)}


def test_the_optimizer_of_a_model_within_the_model_is_kept():
    model = network()
    model.discriminator = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.discriminator.compile("adam")
    with pytest.raises(UsageError, match="^optimizer of model sequential.* is not built, so its state cannot be kept;"):
        variables(model)
    model.discriminator.optimizer.build(model.discriminator.trainable_variables)
    assert {id(v) for v in model.discriminator.optimizer.variables} <= {id(v) for v in variables(model)}


def test_weights_in_half_precision_are_kept(tmp_path):
    dense = keras.layers.Dense(2, dtype="bfloat16")
    model = keras.Sequential([keras.Input((3,)), dense])
    model.compile("sgd", "mse")
    best = dense.kernel.numpy()
    write_checkpoint(tmp_path / "c.npz", model, {"best": best})
    arrays, state = read_checkpoint(tmp_path / "c.npz")
    np.testing.assert_array_equal(state["best"], best.astype(np.float32))
    assign(variables(model), [array + 1 for array in arrays])
    expected = np.asarray(arrays[0]) + 1
    np.testing.assert_allclose(keras.ops.cast(dense.kernel, "float32"), expected, rtol=2**-7)


def test_schedules_and_layers_that_do_not_say_their_configuration_are_no_obstacle(tmp_path):
    class Schedule(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.1

    class Scaled(keras.layers.Layer):
        def __init__(self, by):
            super().__init__()
            self.by = by

        def call(self, x):
            return x * self.by

    image = keras.Input((28, 28, 1))
    model = keras.Model(image, keras.layers.Dense(10)(keras.layers.Flatten()(Scaled(np.float32(2))(image))))
    model.compile(keras.optimizers.SGD(Schedule()), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    train(tmp_path, model=model, callbacks=[kc.callbacks.Resumable(tmp_path)])
    assert (tmp_path / "history.csv").is_file()


def test_another_optimizer_or_loss_is_an_error(tmp_path):
    train(tmp_path)
    model = network()
    model.compile(keras.optimizers.AdamW(), loss=model.loss)
    with pytest.raises(UsageError, match=r"was trained with optimizer 'SGD' \(now 'AdamW'\)"):
        train(tmp_path, model=model)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=2)
    model.compile(keras.optimizers.SGD(schedule, momentum=0.9), loss=loss)
    expected = r"was trained with learning_rate 0.05 \(now .*ExponentialDecay.*ignore_class None \(now 2\);"
    with pytest.raises(UsageError, match=expected):
        train(tmp_path, model=model)


def test_an_optimizer_of_other_variables_is_an_error(tmp_path):
    train(tmp_path)
    model = network()
    model.other = keras.optimizers.SGD(momentum=0.9)
    model.other.build(model.trainable_variables)
    with pytest.raises(UsageError, match="^model is compiled with an optimizer of other variables than the one in"):
        train(tmp_path, model=model)


def test_steps_that_the_model_does_not_run_are_an_error(tmp_path):
    model = network()
    model.steps_per_execution = 4
    words = "^steps_per_epoch is 10, no multiple of the 4 steps_per_execution of the model; give 8$"
    with pytest.raises(UsageError, match=words):
        train(tmp_path, model=model)


def test_a_model_without_weights_is_an_error(tmp_path):
    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="own")
            self.dense = keras.layers.Dense(10)

        def call(self, images):
            return self.dense(keras.ops.reshape(images, (-1, 784)))

    model = Own()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(UsageError, match="^model own has no weights before it sees images; call it on a batch once"):
        fit(model, kc.callbacks.Resumable(tmp_path))
    model(np.zeros((1, 28, 28, 1)))
    fit(model, kc.callbacks.Resumable(tmp_path))


class OfTests(keras.callbacks.Callback):
    """Has a hook of batches for validation alone, which Keras calls in order, on the thread that trains."""

    def __init__(self):
        super().__init__()
        self.threads = set()

    def on_test_batch_end(self, batch, logs=None):
        self.threads.add(threading.get_ident())


def test_hooks_of_its_callbacks_are_called_as_keras_would(tmp_path):
    hooks = OfTests()
    fit(network(), kc.callbacks.Resumable(tmp_path, hooks))
    assert hooks.threads == {threading.get_ident()}


def test_it_stands_in_a_list(tmp_path):
    with pytest.raises(UsageError, match=r"^callbacks is a Resumable; give it in a list: callbacks=\[resumable\]$"):
        network().fit(*VALIDATING, verbose=0, callbacks=kc.callbacks.Resumable(tmp_path))


def test_a_state_that_cannot_be_written_is_an_error(tmp_path):
    callback = Counter()
    callback.get_state = lambda: {"seen": {1, 2}}
    resumable = kc.callbacks.Resumable(tmp_path, [callback])
    with pytest.raises(UsageError, match=r"^callbacks has a state with \{1, 2\}; give dicts of texts, lists, numbers"):
        network().fit(*VALIDATING, verbose=0, callbacks=[resumable])


def test_a_metric_of_every_class_becomes_a_column_each():
    logs = {"f1": np.array([0.5, 1.0], np.float32), "loss": np.float32(2)}
    assert scalars(logs) == {"f1_0": 0.5, "f1_1": 1.0, "loss": 2.0}
    assert scalars({"half": tf.constant(0.5, tf.bfloat16), "rate": 963}) == {"half": 0.5, "rate": 963}


def test_a_folder_with_a_finished_run_is_left_alone(tmp_path):
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(UsageError, match="^folder .* holds a finished run; choose another folder$"):
        train(tmp_path)


@pytest.mark.slow
def test_a_killed_model_fit_goes_on_to_the_same_weights(tmp_path):
    code = "import sys; from tests.training.test_resumable import *; "
    code += "np.savez(sys.argv[1] + '.npz', *train(sys.argv[1])[0].get_weights())"
    run_whole_and_killed(code, tmp_path)
    with np.load(tmp_path / "whole.npz") as expected, np.load(tmp_path / "killed.npz") as found:
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name])
