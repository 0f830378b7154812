"""How long a training takes, measured on its first steps: for --minutes."""

import dataclasses
import itertools
import math
import statistics
import time
from pathlib import Path

import keras

from kerascnn.datasets.batches import batches_ahead, encoded_bytes
from kerascnn.datasets.image_files import vanished_files_named
from kerascnn.errors import UsageError
from kerascnn.training.feed import Feed
from kerascnn.training.fit import compile_model, heads_of, stopped_by_limits
from kerascnn.training.fused_normalization import fused_normalization
from kerascnn.training.precision import computing_in, deterministic_operations, policy_of
from kerascnn.training.recipe import MOST

CALLS = 5  # of the compiled function that are counted: the last ones
ENOUGH = 30  # seconds behind the first call, which compiles; they do for slow steps
VALIDATED = 1 / 3  # of the work on an image for training is its forward pass


def epochs_within(minutes, model, data, recipe, *, loss, metrics=()):
    """How many epochs fit into what so many minutes leave once the first steps of `model` are timed, which train it.

    model: not compiled, and another one than is trained afterwards. data, recipe, loss, metrics: as fit takes them.
    Raises UsageError where not even one epoch fits.
    """
    begun, feed = time.perf_counter(), Feed(data, recipe)
    images = feed.steps * feed.batch_size + VALIDATED * (0 if feed.validation is None else len(feed.validation))
    seconds = images * seconds_per_step(model, feed, loss, metrics) / feed.batch_size
    left = 60 * minutes - (time.perf_counter() - begun)
    if left < seconds:
        words = f"minutes is {minutes:g}, and one epoch takes about {seconds / 60:.1f}"
        raise UsageError(f"{words}; give more, smaller images or a smaller network", argument="minutes")
    return min(MOST, int(left // seconds))


def seconds_per_step(model, feed, loss, metrics):
    """The mean time of a training step, once the batches are used up that were made while the first call compiled."""
    made = sum(batches_ahead(feed.batch_size, feed.image_shape, encoded_bytes(feed.train)))
    calls = min(1 + math.ceil(made / feed.at_once) + CALLS, feed.steps * feed.recipe.epochs // feed.at_once)
    steps, clock = calls * feed.at_once, Clock()
    with (
        computing_in(model, policy_of(model, feed.recipe)),
        fused_normalization(model),
        deterministic_operations(model, feed.recipe.deterministic),
    ):
        compile_model(model, feed.recipe, loss, metrics, feed)
        batches = feed.training(0, heads_of(model)).take(steps)
        with vanished_files_named(feed.train), stopped_by_limits(feed.recipe, Path.cwd()):
            model.fit(batches, epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[clock])
    return clock.mean() / feed.at_once


class Clock(keras.callbacks.Callback):
    """When the training has begun, and when each call of its compiled function has ended."""

    def on_train_begin(self, logs=None):
        self.times = [time.perf_counter()]

    def on_train_batch_end(self, batch, logs=None):
        float(logs["loss"])  # a GPU works on after the call
        self.times.append(time.perf_counter())
        if len(self.times) > 2 and self.times[-1] > self.times[1] + ENOUGH:
            self.model.stop_training = True

    def mean(self):
        """Seconds of the last calls; the first one compiles and counts only where there is no other."""
        seconds = [after - before for before, after in itertools.pairwise(self.times)]
        return statistics.mean((seconds[1:] or seconds)[-CALLS:])


def stretched(recipe, epochs):
    """The Recipe with its whole schedule in so many epochs: warm-up and decays in proportion."""
    scale, decays = epochs / recipe.epochs, []
    for epoch in recipe.decay_epochs:
        decays.append(max(round(scale * epoch), (decays or [0])[-1] + 1))
    every = max(1, round(scale * recipe.decay_every))
    if recipe.schedule == "step":  # no more decays than before
        every = max(every, math.ceil(epochs / (1 + (recipe.epochs - 1) // recipe.decay_every)))
    return dataclasses.replace(
        recipe,
        epochs=epochs,
        warmup_epochs=scale * recipe.warmup_epochs,
        # where decays at given epochs have all gone, there are none
        decay_every=epochs if recipe.decay_epochs else every,
        decay_epochs=tuple(epoch for epoch in decays if epoch < epochs),
    )
