"""Resumable: a training that can be killed at any moment and goes on to the same result, in plain `model.fit` too."""

import csv
import hashlib
import json
import logging
import time
from pathlib import Path

import keras
import numpy as np

from kerascnn.errors import UsageError
from kerascnn.files import write_aside, writing_to
from kerascnn.plotting import columns_of
from kerascnn.training.checkpoint import assign, read_checkpoint, variables, write_checkpoint
from kerascnn.training.optimizers import rate_of
from kerascnn.training.run_folder import check_same_run, check_unfinished

logger = logging.getLogger(__name__)

# What these callbacks of Keras know of the epochs before; they forget it in on_train_begin, and offer no get_state.
KERAS_STATE = {
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "best_weights", "stopped_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: ("best",),
    keras.callbacks.SwapEMAWeights: ("_ema_weights_in_model",),
}


class Resumable(keras.callbacks.CallbackList):
    """A callback that keeps in a folder, after every epoch, all that decides how the training goes on.

        early = keras.callbacks.EarlyStopping(monitor="loss", patience=3)
        resumable = kc.callbacks.Resumable("runs/mine", callbacks=[early])
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        batches = kc.batches(data.train, 128, seed=0, epochs=5, first_epoch=resumable.epoch)
        steps = len(data.train) // 128
        epochs = {"epochs": 5, "initial_epoch": resumable.epoch, "steps_per_epoch": steps}
        model.fit(batches, **epochs, shuffle=False, callbacks=[resumable])

    The same lines, run again after a kill, go on after the last finished epoch. The result is that of the uninterrupted
    training, bit for bit where the operations are deterministic, for all state in Keras variables: weights, seeds of
    dropout and of the model's own SeedGenerator, and every optimizer that is the model's attribute. Unseeded
    `keras.random` is not, nor a metric that is not reset between epochs; a tf.data.Dataset is only if it repeats its
    batches.

    folder: gets `checkpoint.npz` and `history.csv`. callbacks: those whose state is kept too; they are called by this
    one, so they do not stand in model.fit's list again. A callback of one's own offers get_state() -> dicts and lists
    of numbers, texts, None and arrays, and set_state(that), which is called after every on_train_begin.
    """

    def __init__(self, folder, callbacks=()):
        super().__init__([callbacks] if isinstance(callbacks, keras.callbacks.Callback) else list(callbacks or ()))
        # Keras waits for the figures of every step where a callback has a hook of batches that may not run beside it,
        # and calls this one alone beside the steps: what it calls is called in order
        self.async_safe = self._async_train and self._async_test
        self._async_train = self._async_test = False
        self.folder, self.history = Path(folder), []
        self.shared = {}  # what a resumed training must share besides the model and how it is compiled, JSON types
        self.checkpoint = self.folder / "checkpoint.npz"
        self.state = read_checkpoint(self.checkpoint)[1] if self.checkpoint.is_file() else None
        if self.state:
            self.history = self.state["history"]

    @property
    def epoch(self):
        """The epoch to begin with, for `initial_epoch`: how many are done, or all where the training ended early."""
        return self.state["epochs"] if self.state and self.state["stopped"] else len(self.history)

    def on_train_begin(self, logs=None):
        self.check_call()
        check_unfinished(self.folder)
        super().on_train_begin(logs)
        compiled = compiled_with(self.model)
        self.metadata = {"model": fingerprint(self.model), "compiled": compiled, **self.shared}
        with writing_to(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        kept = variables(self.model)
        if self.state is None:
            return
        recorded = self.state["metadata"]
        if recorded["compiled"] and isinstance(compiled["learning_rate"], float):
            # that of the first start: a callback may have changed it since, and the one of the checkpoint is restored
            compiled["learning_rate"] = recorded["compiled"]["learning_rate"]
        check_same_run(self.folder, recorded, self.metadata)
        # read once more: it is another one than at first where a training was interrupted and is gone on with
        arrays, self.state = read_checkpoint(self.checkpoint)
        self.history = self.state["history"]
        if [variable.shape for variable in kept] != [array.shape for array in arrays]:
            words = f"model is compiled with an optimizer of other variables than the one in {self.folder}"
            raise UsageError(f"{words}; compile it as before, or choose another folder", argument="model")
        assign(kept, arrays)
        self.restore_callbacks(self.state["callbacks"])
        self.write_history()  # a kill between the checkpoint and the history leaves that a row short
        if self.epoch == self.params["epochs"]:
            logger.warning("%s holds %d epochs and is done: nothing is left to train", self.folder, len(self.history))
        else:
            rate = rate_of(self.model.optimizer)
            words = "several learning rates" if rate is None else f"a learning rate of {rate:g}"
            logger.info("resuming after epoch %d, at %s", len(self.history), words)

    def check_call(self):
        """Raise UsageError where model.fit was called with what cannot be gone on with."""
        if getattr(self, "_model", None) is None:
            raise UsageError("callbacks is a Resumable; give it in a list: callbacks=[resumable]", argument="callbacks")
        if not self.model.built:
            words = f"model {self.model.name} has no weights before it sees images"
            raise UsageError(f"{words}; call it on a batch once, or model.build(shape), before fit", argument="model")
        steps, at_once = self.params["steps"], self.model.steps_per_execution
        if steps and steps % at_once:
            words = f"steps_per_epoch is {steps}, no multiple of the {at_once} steps_per_execution of the model"
            raise UsageError(f"{words}; give {steps - steps % at_once or at_once}", argument="steps_per_epoch")
        epochs = self.params["epochs"]
        if epochs < self.epoch:
            words = f"epochs is {epochs}, and {self.folder} holds {self.epoch}"
            remedy = "give the number of all epochs, the finished ones among them"
            raise UsageError(f"{words}; {remedy}", argument="epochs")
        if self.epoch > len(self.history) and epochs > self.epoch:
            words = f"epochs is {epochs}, and the training in {self.folder} ended early after {len(self.history)}"
            raise UsageError(f"{words}; give {self.epoch}, or choose another folder", argument="epochs")

    def restore_callbacks(self, kept):
        """Give each pair (class name, state) to the first callback of that class that has not got one."""
        given = list(self.callbacks)
        for name, state in kept:
            callback = next((callback for callback in given if type(callback).__name__ == name), None)
            if callback is None:
                words = f"callbacks has no {name}, and {self.folder} was trained with one"
                raise UsageError(f"{words}; give it again, or choose another folder", argument="callbacks")
            given.remove(callback)
            set_state(callback, state)
        for callback in given:
            if forgets(callback):
                name = type(callback).__name__
                logger.warning("callback %s begins anew: it has no get_state and set_state, see Resumable", name)

    def on_epoch_begin(self, epoch, logs=None):
        if epoch != self.epoch:
            raise UsageError(
                f"initial_epoch is {epoch}, and {self.folder} holds {self.epoch} epochs; "
                "pass initial_epoch=resumable.epoch, or choose another folder",
                argument="initial_epoch",
            )
        self.started = time.perf_counter()
        super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        logs = scalars(logs)
        logs["seconds"] = round(time.perf_counter() - self.started, 2)
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)
        self.history = [*self.history, scalars(logs)]
        self.state = {
            "metadata": self.metadata,
            "history": self.history,
            "epochs": self.params["epochs"],
            "stopped": self.model.stop_training,
            "callbacks": [
                (type(callback).__name__, state)
                for callback in self.callbacks
                if (state := get_state(callback)) is not None
            ],
        }
        write_checkpoint(self.checkpoint, self.model, self.state)
        self.write_history()

    def write_history(self):
        """Write history.csv, a row an epoch."""

        def write(path):
            with open(path, "w", newline="") as file:
                writer = csv.DictWriter(file, ["epoch", *columns_of(self.history)], lineterminator="\n")
                writer.writeheader()
                writer.writerows({"epoch": i, **row} for i, row in enumerate(self.history, 1))

        write_aside(self.folder / "history.csv", write)


def scalars(logs):
    """The figures of an epoch as plain numbers; one that is a vector becomes name_0, name_1 …"""
    found = {}
    for name, value in logs.items():
        value = value.numpy() if hasattr(value, "numpy") else value  # NumPy does not convert a bfloat16 tensor
        values = np.ravel(value).tolist()
        found |= {name: values[0]} if np.ndim(value) == 0 else {f"{name}_{i}": v for i, v in enumerate(values)}
    return found


def get_state(callback):
    """What a callback has to know when the training is resumed, None where it has no state."""
    if hasattr(callback, "get_state"):
        return callback.get_state()
    names = next((names for kind, names in KERAS_STATE.items() if isinstance(callback, kind)), ())
    return {name: getattr(callback, name) for name in names} or None


def set_state(callback, state):
    """Give a callback what get_state said of it."""
    if hasattr(callback, "set_state"):
        callback.set_state(state)
    else:
        vars(callback).update(state)


def forgets(callback):
    """Whether a callback that is not Keras's has attributes of its own and no get_state."""
    own = vars(callback).keys() - vars(keras.callbacks.Callback()).keys()
    return bool(own) and not hasattr(callback, "get_state") and not type(callback).__module__.startswith("keras.")


def fingerprint(model):
    """What a resumed training must share of the model, JSON types: its size and a digest of its configuration.

    Keras numbers the names of layers that have none of their own, another number each time: places stand for them. What
    the layers compute in is left out: for precision="auto" it is another type on another machine.
    """
    layers = model._flatten_layers()
    parts = [part for layer in layers for part in (layer, *getattr(layer, "operations", ()))]
    places = {part.name: i for i, part in reversed(list(enumerate(parts)))}

    def placed(value):
        if isinstance(value, dict):
            if value.get("class_name") == "DTypePolicy":
                return None
            # seeds that nobody gave are drawn anew each time; what is drawn by them is state of the model
            return {str(places.get(name, name)): placed(part) for name, part in value.items() if name != "seed"}
        if isinstance(value, list | tuple):
            return [placed(part) for part in value]
        return places.get(value, value) if isinstance(value, str) else value

    config = json.dumps(placed(config_of(model)), sort_keys=True, default=lambda part: type(part).__name__)
    return {"parameters": model.count_params(), "configuration": hashlib.sha256(config.encode()).hexdigest()[:16]}


def config_of(part):
    """What Keras says of a model or an optimizer, {} where a layer or schedule in it does not say it."""
    try:
        return part.get_config()
    except NotImplementedError:
        return {}


def compiled_with(model):
    """What a resumed training must share of how its model is compiled, JSON types.

    learning_rate is a number, or what the optimizer's schedule says of itself.
    """
    config = config_of(model.optimizer)
    options = {name: value for name, value in config.items() if isinstance(value, bool | int | float | None)}
    rate = config.get("learning_rate")
    if not isinstance(rate, dict) and (rate := rate_of(model.optimizer)) is not None:
        rate = float(f"{rate:.7g}")  # it is float32
    loss = model.loss if isinstance(model.loss, str) else getattr(model.loss, "__name__", None)
    if isinstance(model.loss, keras.losses.Loss):
        loss = {"name": model.loss.name, **config_of(model.loss)}
    compiled = {"optimizer": type(model.optimizer).__name__, **options, "learning_rate": rate, "loss": loss}
    return json.loads(json.dumps(compiled, default=lambda part: type(part).__name__))
