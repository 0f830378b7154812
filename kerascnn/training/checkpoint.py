"""The state of a training run over its epochs: history, best weights, checkpoint, progress, and the files it leaves."""

import contextlib
import csv
import json
import math
import re
import resource
import sys
import time
import zipfile
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from kerascnn.errors import InputError, TrainingStopped, UsageError
from kerascnn.files import write_aside, write_json
from kerascnn.plotting import plot_learning_curve
from kerascnn.provenance import origin
from kerascnn.training.run_folder import differences


class Run(keras.callbacks.Callback):
    """The run's state over its epochs: history, best weights, checkpoint, progress.

    Callbacks that carry state (plateau, early stopping) are Keras's own. Their state follows from the history, so a
    resumed run replays the recorded epochs through them. Moving averages of weights are put into the model for each
    validation and taken out again exactly (Keras's SwapEMAWeights adds and subtracts, which changes last bits).
    """

    def __init__(self, folder, checkpoint, recipe, metadata, steps):
        super().__init__()
        self.folder, self.checkpoint, self.recipe, self.metadata, self.steps = (
            folder,
            checkpoint,
            recipe,
            metadata,
            steps,
        )
        self.history, self.best, self.ended = [], None, False
        self.stateful = []
        if recipe.schedule == "plateau":
            plateau = keras.callbacks.ReduceLROnPlateau(factor=recipe.decay_factor, patience=recipe.decay_every)
            self.stateful.append(plateau)
        if recipe.early_stopping:
            self.stateful.append(keras.callbacks.EarlyStopping(patience=recipe.early_stopping))
        with contextlib.suppress(OSError):  # where Linux does not allow it, the peak is that of the process
            Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of memory, of runs before this one

    def companions(self):
        """The Keras callbacks to run before this one."""
        logs = [keras.callbacks.TensorBoard(self.folder / "logs")] if self.recipe.tensorboard else []
        return self.stateful + logs

    @property
    def epochs_done(self):
        return len(self.history)

    def kept(self):
        """The weights a reader would get now, as arrays: moving averages where the recipe asks for them."""
        averages = {}
        if self.recipe.ema:
            optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
            averages = {
                id(v): average
                for v, average in zip(
                    optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True
                )
            }
        return [averages.get(id(v), v).numpy().copy() for v in self.model.variables]

    def on_train_begin(self, logs=None):
        optimizer = [v.numpy().copy() for v in self.model.optimizer.variables]
        for epoch, row in enumerate(self.history):
            for callback in self.stateful:
                callback.on_epoch_end(epoch, dict(row))
        assign(self.model.optimizer.variables, optimizer)

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()
        text = f"epoch {epoch + 1}/{self.recipe.epochs}"
        self.bar = tqdm(total=self.steps, desc=text, unit="step", leave=False, disable=None, file=sys.stderr)

    def on_train_batch_end(self, batch, logs=None):
        logs = of_main_head(logs)
        self.bar.update(batch + 1 - self.bar.n)
        bad = int(logs["first_bad_step"])
        if bad or not math.isfinite(float(logs["loss"])):
            self.bar.close()
            raise TrainingStopped(
                f"loss is not finite at step {self.epochs_done * self.steps + (bad or batch + 1)}; "
                f"lower --learning-rate (now {self.recipe.learning_rate:g}) or set --clip-norm"
            )

    def on_test_begin(self, logs=None):
        self.trained = time.perf_counter()
        if self.recipe.ema:
            self.raw = [v.numpy().copy() for v in self.model.variables]
            assign(self.model.variables, self.kept())

    def on_test_end(self, logs=None):
        if self.recipe.ema:
            assign(self.model.variables, self.raw)

    def on_epoch_end(self, epoch, logs=None):
        self.bar.close()
        row = {name: float(value) for name, value in of_main_head(logs).items() if "first_bad_step" not in name}
        rate = self.steps * self.recipe.batch_size / (self.trained - self.started)
        row.update(images_per_second=round(rate), seconds=round(time.perf_counter() - self.started, 2))
        if not math.isfinite(row["val_loss"]):
            raise TrainingStopped(
                f"val_loss is not finite after epoch {epoch + 1}; "
                f"lower --learning-rate (now {self.recipe.learning_rate:g}) or set --clip-norm"
            )
        if self.best is None or row["val_loss"] < min(past["val_loss"] for past in self.history):
            self.best = self.kept()
        self.history.append(row)
        self.ended = self.model.stop_training or self.epochs_done == self.recipe.epochs
        shown = "  ".join(f"{name} {value:.4g}" for name, value in row.items() if "second" not in name)
        print(f"epoch {epoch + 1}/{self.recipe.epochs}  {shown}  {rate:,.0f} images/s", file=sys.stderr, flush=True)
        self.save()

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
            raise InputError(f"{self.checkpoint} is damaged ({error}); train again into another --out") from None
        check_same_run(meta["metadata"], self.metadata)
        self.history, self.ended = meta["history"], meta["ended"]
        for name, variables in (("model", self.model.variables), ("optimizer", self.model.optimizer.variables)):
            assign(variables, [arrays[f"{name}/{i}"] for i in range(len(variables))])
        self.best = [arrays[f"best/{i}"] for i in range(len(self.model.variables))]
        print(f"resuming after epoch {self.epochs_done}", file=sys.stderr)

    def put_best(self, model):
        assign(model.variables, self.best)

    def finish(self, model, conclusions):
        """Write `model`, one that knows no optimiser, and, last, recipe.json with `conclusions` in it."""
        write_aside(self.folder / "history.csv", self.write_history)
        write_aside(self.folder / "model.keras", model.save)
        write_aside(self.folder / "learning_curve.png", lambda aside: plot_learning_curve(self.history, aside))
        losses = [row["val_loss"] for row in self.history]
        best = losses.index(min(losses))
        record = {
            **self.metadata,
            "complete": True,
            "epochs_run": self.epochs_done,
            "best_epoch": best + 1,
            "validation": {name: value for name, value in self.history[best].items() if name.startswith("val_")},
            "training_seconds": round(sum(row["seconds"] for row in self.history), 1),
            "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
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


def check_same_run(recorded, given):
    """Raise UsageError naming what differs between the run that is recorded and the one that is asked for."""
    flat = [
        {**metadata["recipe"], **{k: v for k, v in metadata.items() if k != "recipe"}} for metadata in (recorded, given)
    ]
    if was := differences(*flat):
        raise UsageError(f"the run to resume had {was}; give the same flags or choose another --out")
