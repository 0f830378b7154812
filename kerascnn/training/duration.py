"""How long a training takes, measured on its first steps."""

import itertools
import statistics
import time

import keras

from kerascnn.datasets.image_folder import vanished_files_named
from kerascnn.errors import UsageError
from kerascnn.training.feed import Feed
from kerascnn.training.fit import compile_model, heads_of
from kerascnn.training.precision import computing_in, policy_of

CALLS = 6  # of the compiled function; the first one is not counted
VALIDATED = 1 / 3  # of the work on an image for training is its forward pass


def epochs_within(minutes, model, data, recipe, *, loss, metrics=()):
    """How many epochs fit into so many minutes, from the time of the first steps of `model`, which is trained by them.

    model: not compiled, and another one than is trained afterwards. data, recipe, loss, metrics: as fit takes them.
    Raises UsageError where not even one epoch fits.
    """
    feed = Feed(data, recipe)
    images = feed.steps * feed.batch_size + VALIDATED * (0 if feed.validation is None else len(feed.validation))
    seconds = images * seconds_per_step(model, feed, loss, metrics) / feed.batch_size
    if 60 * minutes < seconds:
        words = f"minutes is {minutes:g}, and one epoch takes about {seconds / 60:.1f}"
        raise UsageError(f"{words}; give more, smaller images or a smaller network", argument="minutes")
    return int(60 * minutes // seconds)


def seconds_per_step(model, feed, loss, metrics):
    """The median time of a training step."""
    calls = min(CALLS, feed.steps // feed.at_once)
    steps, clock = calls * feed.at_once, Clock()
    with computing_in(model, policy_of(model, feed.recipe)):
        compile_model(model, feed.recipe, loss, metrics, feed)
        batches = feed.training(0, heads_of(model)).take(steps)
        with vanished_files_named(feed.train):
            model.fit(batches, epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[clock])
    return clock.median() / feed.at_once


class Clock(keras.callbacks.Callback):
    """When the training has begun, and when each call of its compiled function has ended."""

    def on_train_begin(self, logs=None):
        self.times = [time.perf_counter()]

    def on_train_batch_end(self, batch, logs=None):
        float(logs["loss"])  # a GPU works on after the call
        self.times.append(time.perf_counter())

    def median(self):
        """Seconds of a call; the first one compiles and counts only where there is no other."""
        seconds = [after - before for before, after in itertools.pairwise(self.times)]
        return statistics.median(seconds[1:] or seconds)
