"""Which step's loss was the first that is not finite."""

import keras
from keras import ops


class FiniteLoss(keras.losses.Loss):
    """The loss `loss`, which keeps in `first_bad_step` the step of the first value that is not finite, 0 before.

    It looks inside the compiled step, so the step is exact although Keras returns to the host only every few steps.
    Steps are batches from 1, as `optimizer` counts them over the whole run. One instance serves all outputs of a model.
    The variable is int64: int32 variables lie on the CPU, where XLA does not reach them from a GPU.
    """

    def __init__(self, loss, optimizer):
        super().__init__(name=loss.name)
        self.loss, self.optimizer = loss, optimizer
        self.first_bad_step = keras.Variable(0, dtype="int64", trainable=False, name="first_bad_step")

    def __call__(self, y_true, y_pred, sample_weight=None):
        value = self.loss(y_true, y_pred, sample_weight)
        # `iterations` counts updates where gradients are accumulated, `_iterations` batches
        step = ops.cast(self.optimizer._iterations, "int64") + 1
        first_bad = ops.logical_not(ops.logical_or(ops.all(ops.isfinite(value)), self.first_bad_step > 0))
        self.first_bad_step.assign(ops.where(first_bad, step, self.first_bad_step))
        return value
