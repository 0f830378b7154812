"""Stopping at the first step whose loss is not finite."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerascnn")
class FirstBadStep(keras.metrics.Metric):
    """Number of the first step of the epoch (from 1) whose output is not finite, 0 when there is none.

    It runs inside the compiled step, so the step is exact although the host looks only every few steps.
    """

    def __init__(self, name="first_bad_step", **kwargs):
        super().__init__(name=name, **kwargs)
        self.step = self.add_weight(name="step", initializer="zeros", dtype="int32")
        self.first = self.add_weight(name="first", initializer="zeros", dtype="int32")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.step.assign(self.step + 1)
        bad = ops.logical_not(ops.all(ops.isfinite(y_pred)))
        self.first.assign(ops.where(ops.logical_and(bad, self.first == 0), self.step, self.first))

    def result(self):
        return self.first
