"""A training run over its epochs: rates, best weights, what is not finite, and the files that a finished run leaves."""

import contextlib
import logging
import math
import re
import threading
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kerascnn.errors import TrainingStopped
from kerascnn.files import write_aside, write_json
from kerascnn.plotting import columns_of, plot_learning_curve
from kerascnn.provenance import origin, peak_memory
from kerascnn.training.checkpoint import assign
from kerascnn.training.checks import check_clock
from kerascnn.training.optimizers import rate_of, unscaled

logger = logging.getLogger(__name__)


class Run(keras.callbacks.Callback):
    """What fit() returns of a run, and the callback that makes it, which stands behind `stateful`.

    folder: its Path. history: {name: a value for each epoch}. best_epoch: counted from 1. record: what recipe.json
    says.

    Moving averages of weights are put into the model for each validation and taken out again exactly (Keras's
    SwapEMAWeights adds and subtracts, which changes last bits).
    """

    def __init__(self, folder, recipe, feed, guard):
        super().__init__()
        self.folder, self.recipe, self.feed, self.guard = folder, recipe, feed, guard
        self.best, self.best_loss, self.best_epoch = None, math.inf, 0
        self.history, self.record = {}, {}
        if guard:
            # without it no callback has a hook of batches, and Keras need not wait for the figures of every step
            self.on_train_batch_end = self.look_for_bad_step
        self.stateful = []
        if recipe.schedule == "plateau":
            plateau = keras.callbacks.ReduceLROnPlateau(factor=recipe.decay_factor, patience=recipe.decay_every)
            self.stateful.append(plateau)
        if recipe.early_stopping:
            self.stateful.append(keras.callbacks.EarlyStopping(patience=recipe.early_stopping))
        if recipe.tensorboard:
            self.stateful.append(keras.callbacks.TensorBoard(folder / "logs"))
        with contextlib.suppress(OSError):  # where Linux does not allow it, the peak is that of the process
            Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of memory, of runs before this one
        for gpu in tf.config.list_logical_devices("GPU"):
            tf.config.experimental.reset_memory_stats(gpu.name.removeprefix("/device:"))

    def __repr__(self):
        return f"Run({str(self.folder)!r}, epochs {self.record.get('epochs_run')}, best_epoch {self.best_epoch})"

    def get_state(self):
        return {"best": self.best, "best_loss": self.best_loss, "best_epoch": self.best_epoch}

    def set_state(self, state):
        vars(self).update(state)

    def averages(self):
        """{id of a variable: its moving average}, where the optimizer makes them."""
        optimizer = unscaled(self.model.optimizer)
        if not getattr(optimizer, "use_ema", False):
            return {}
        pairs = zip(optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True)
        return {id(variable): average for variable, average in pairs}

    def kept(self):
        """The weights a reader would get now, as arrays: moving averages where the optimizer makes them."""
        averages = self.averages()
        return [averages.get(id(v), v).numpy().copy() for v in self.model.variables]

    @contextlib.contextmanager
    def saying_that_xla_compiles(self, model):
        """Log it where the first step has not ended after 10 s; the step holds this thread, so a timer waits."""
        # of batches, where `iterations` counts updates
        steps = unscaled(model.optimizer)._iterations
        done = int(steps)

        def say():
            if int(steps) == done:
                logger.warning("the first step takes longer than 10 s: XLA compiles the network, which may take 100 s")

        waiting = threading.Timer(10, say)
        if model.jit_compile:
            waiting.start()
        try:
            yield
        finally:
            waiting.cancel()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.started = epoch, time.perf_counter()

    def look_for_bad_step(self, batch, logs=None):
        """The hook on_train_batch_end where the model is compiled for the run."""
        step = int(self.guard.first_bad_step)
        # a train_step of the model's own may take another loss than the guarded one
        if step or not math.isfinite(logs.get("loss", 0.0)):
            where = f"at step {step}" if step else f"by step {self.epoch * self.feed.steps + batch + 1}"
            raise self.not_finite(f"loss is not finite {where}")

    def on_test_begin(self, logs=None):
        self.trained = time.perf_counter()
        if self.averages():
            self.raw = [v.numpy().copy() for v in self.model.variables]
            assign(self.model.variables, self.kept())

    def on_test_end(self, logs=None):
        if self.averages():
            assign(self.model.variables, self.raw)

    def on_epoch_end(self, epoch, logs=None):
        row = of_main_head(logs) if self.guard else dict(logs)  # heads of our own networks
        trained = self.trained if self.feed.validation is not None else time.perf_counter()
        row["images_per_second"] = round(self.feed.steps * self.feed.batch_size / (trained - self.started))
        if not math.isfinite(row.get("loss", 0.0)):
            raise self.not_finite(f"loss is not finite in epoch {epoch + 1}")
        if not math.isfinite(row.get("val_loss", 0.0)):
            raise self.not_finite(f"val_loss is not finite after epoch {epoch + 1}")
        if not all(np.isfinite(v.numpy()).all() for v in self.model.variables):
            raise self.not_finite(f"weights are not finite after epoch {epoch + 1}")
        # without validation data the last epoch is the best
        if self.best is None or row.get("val_loss", -math.inf) < self.best_loss or "val_loss" not in row:
            self.best, self.best_loss, self.best_epoch = self.kept(), row.get("val_loss", math.inf), epoch + 1
        logs.clear()
        logs.update(row)

    def not_finite(self, what):
        if not self.guard:
            rate = rate_of(self.model.optimizer)
            lower = "lower learning rates" if rate is None else f"a learning_rate below {rate:g}"
            return TrainingStopped(f"{what}; give the model's optimizer {lower}, or a clipnorm")
        return TrainingStopped(f"{what}; lower learning_rate (now {self.recipe.learning_rate:g}) or set clip_norm")

    def finish(self, network, resumable, conclusions):
        """Write `network`, one that knows no optimizer, and, last, recipe.json with `conclusions` in it."""
        rows = resumable.history
        resumable.write_history()
        check_clock()
        write_aside(self.folder / "model.keras", network.save)
        plot_learning_curve(rows, self.folder / "learning_curve.png")
        best = rows[self.best_epoch - 1]
        self.history = {name: [row.get(name) for row in rows] for name in columns_of(rows)}
        self.record = {
            **resumable.metadata,
            "complete": True,
            "epochs_run": len(rows),
            "best_epoch": self.best_epoch,
            "validation": {name: value for name, value in best.items() if name.startswith("val_")},
            "training_seconds": round(sum(row["seconds"] for row in rows), 1),
            **peak_memory(),
            "images_per_second": round(float(np.median(self.history["images_per_second"]))),
            **conclusions,
            **origin(),
        }
        write_json(self.folder / "recipe.json", self.record)
        resumable.checkpoint.unlink(missing_ok=True)


def of_main_head(logs):
    """Keras's figures without those of single heads, and the metrics of `logits` under their own names."""
    named = {re.sub(r"^(val_)?logits_(?!loss)", r"\1", name): value for name, value in logs.items()}
    return {name: value for name, value in named.items() if not name.endswith("logits_loss")}
