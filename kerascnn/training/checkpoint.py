"""The state of a training run over its epochs: history, best weights, checkpoint, and the files it leaves."""

import contextlib
import csv
import json
import logging
import math
import re
import time
import zipfile
from pathlib import Path

import keras
import numpy as np

from kerascnn.errors import InputError, TrainingStopped
from kerascnn.files import write_aside, write_json
from kerascnn.plotting import plot_learning_curve
from kerascnn.provenance import origin, peak_memory
from kerascnn.training.run_folder import check_same_run

logger = logging.getLogger(__name__)


class Run(keras.callbacks.Callback):
    """The run's state over its epochs: history, best weights, checkpoint.

    The callbacks that carry state (plateau, early stopping), `stateful`, are Keras's own and run before it. Their
    state follows from the history, so a resumed run replays the recorded epochs through them. Moving averages of
    weights are put into the model for each validation and taken out again exactly (Keras's SwapEMAWeights adds and
    subtracts, which changes last bits).
    Callbacks that stand after it find in an epoch's logs what its row of the history says.
    """

    def __init__(self, folder, checkpoint, recipe, metadata, steps, guard):
        super().__init__()
        self.folder, self.checkpoint, self.recipe, self.metadata = folder, checkpoint, recipe, metadata
        self.steps, self.guard = steps, guard
        self.history, self.best, self.ended = [], None, False
        self.stateful = []
        if recipe.schedule == "plateau":
            plateau = keras.callbacks.ReduceLROnPlateau(factor=recipe.decay_factor, patience=recipe.decay_every)
            self.stateful.append(plateau)
        if recipe.early_stopping:
            self.stateful.append(keras.callbacks.EarlyStopping(patience=recipe.early_stopping))
        with contextlib.suppress(OSError):  # where Linux does not allow it, the peak is that of the process
            Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of memory, of runs before this one

    def kept(self):
        """The weights a reader would get now, as arrays: moving averages where the recipe asks for them."""
        averages = {}
        if self.recipe.ema:
            optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
            pairs = zip(optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True)
            averages = {id(v): average for v, average in pairs}
        return [averages.get(id(v), v).numpy().copy() for v in self.model.variables]

    def on_train_begin(self, logs=None):
        optimizer = [v.numpy().copy() for v in self.model.optimizer.variables]
        for epoch, row in enumerate(self.history):
            for callback in self.stateful:
                callback.on_epoch_end(epoch, dict(row))
        assign(self.model.optimizer.variables, optimizer)

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        step = int(self.guard.first_bad_step)
        # a train_step of the model's own may take another loss than the compiled one
        if step or not math.isfinite(logs.get("loss", 0.0)):
            where = f"at step {step}" if step else f"by step {len(self.history) * self.steps + batch + 1}"
            raise self.not_finite(f"loss is not finite {where}")

    def on_test_begin(self, logs=None):
        self.trained = time.perf_counter()
        if self.recipe.ema:
            self.raw = [v.numpy().copy() for v in self.model.variables]
            assign(self.model.variables, self.kept())

    def on_test_end(self, logs=None):
        if self.recipe.ema:
            assign(self.model.variables, self.raw)

    def on_epoch_end(self, epoch, logs=None):
        row = {name: float(value) for name, value in of_main_head(logs).items()}
        rate = self.steps * self.recipe.batch_size / (self.trained - self.started)
        row.update(images_per_second=round(rate), seconds=round(time.perf_counter() - self.started, 2))
        if not math.isfinite(row["val_loss"]):
            raise self.not_finite(f"val_loss is not finite after epoch {epoch + 1}")
        if not all(np.isfinite(v.numpy()).all() for v in self.model.variables):
            raise self.not_finite(f"weights are not finite after epoch {epoch + 1}")
        if self.best is None or row["val_loss"] < min(past["val_loss"] for past in self.history):
            self.best = self.kept()
        self.history.append(row)
        self.ended = self.model.stop_training or len(self.history) == self.recipe.epochs
        self.save()
        logs.clear()
        logs.update(row)

    def not_finite(self, what):
        return TrainingStopped(f"{what}; lower learning_rate (now {self.recipe.learning_rate:g}) or set clip_norm")

    def save(self):
        """One checkpoint with everything that decides how the run goes on, and the history for a reader."""
        arrays = {f"model/{i}": v.numpy() for i, v in enumerate(self.model.variables)}
        arrays |= {f"optimizer/{i}": v.numpy() for i, v in enumerate(self.model.optimizer.variables)}
        arrays |= {f"best/{i}": v for i, v in enumerate(self.best)}
        meta = json.dumps({"metadata": self.metadata, "history": self.history, "ended": self.ended})
        write_aside(self.checkpoint, lambda aside: np.savez(aside, meta=meta, **arrays))
        write_aside(self.folder / "history.csv", self.write_history)

    def write_history(self, path):
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, ["epoch", *self.history[0]], lineterminator="\n")
            writer.writeheader()
            writer.writerows({"epoch": i, **row} for i, row in enumerate(self.history, 1))

    def restore(self):
        """Take up the checkpoint. Raises UsageError when it is of another recipe, InputError when it is damaged."""
        try:
            with open(self.checkpoint, "rb") as file, np.load(file) as stored:
                arrays = dict(stored)
            meta = json.loads(str(arrays["meta"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{self.checkpoint} is damaged ({error}); train again into another folder") from None
        check_same_run(self.folder, meta["metadata"], self.metadata)
        self.history, self.ended = meta["history"], meta["ended"]
        for name, variables in (("model", self.model.variables), ("optimizer", self.model.optimizer.variables)):
            assign(variables, [arrays[f"{name}/{i}"] for i in range(len(variables))])
        self.best = [arrays[f"best/{i}"] for i in range(len(self.model.variables))]
        logger.info("resuming after epoch %d", len(self.history))

    def finish(self, model, conclusions):
        """Write `model`, one that knows no optimizer, and, last, recipe.json with `conclusions` in it."""
        write_aside(self.folder / "history.csv", self.write_history)
        write_aside(self.folder / "model.keras", model.save)
        plot_learning_curve(self.history, self.folder / "learning_curve.png")
        losses = [row["val_loss"] for row in self.history]
        best = losses.index(min(losses))
        record = {
            **self.metadata,
            "complete": True,
            "epochs_run": len(self.history),
            "best_epoch": best + 1,
            "validation": {name: value for name, value in self.history[best].items() if name.startswith("val_")},
            "training_seconds": round(sum(row["seconds"] for row in self.history), 1),
            "peak_memory_mib": peak_memory(),
            "images_per_second": round(float(np.median([row["images_per_second"] for row in self.history]))),
            **conclusions,
            **origin(),
        }
        write_json(self.folder / "recipe.json", record)
        self.checkpoint.unlink(missing_ok=True)


def of_main_head(logs):
    """Keras's figures without those of single heads, and the metrics of `logits` under their own names."""
    named = {re.sub(r"^(val_)?logits_(?!loss)", r"\1", name): value for name, value in logs.items()}
    return {name: value for name, value in named.items() if not name.endswith("logits_loss")}


def assign(variables, arrays):
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
