"""Which step's loss was the first that is not finite."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerascnn")
class FiniteLoss(keras.losses.Loss):
    """The loss `loss`, which keeps in `first_bad_step` the step of the first value that is not finite, 0 before.

    It looks inside the compiled step, so the step is exact although Keras returns to the host only every few steps.
    Steps are batches from 1, as `optimizer` counts them over the whole run. One instance serves all outputs of a model.
    A model that a callback saves while it trains is loaded with `loss` alone. The variable is int64: int32 variables
    lie on the CPU, where XLA does not reach them from a GPU.
    """

    def __init__(self, loss, optimizer):
        super().__init__(name=loss.name)
        # a function: what is saved with the model finds the optimizer where a loaded one has it, and not here
        self.loss, self.steps = loss, lambda: optimizer._iterations
        self.first_bad_step = keras.Variable(0, dtype="int64", trainable=False, name="first_bad_step")

    def get_config(self):
        return {"loss": keras.losses.serialize(self.loss)}

    @classmethod
    def from_config(cls, config):
        return keras.losses.deserialize(config["loss"])

    def __call__(self, y_true, y_pred, sample_weight=None):
        value = self.loss(y_true, y_pred, sample_weight)
        # `iterations` counts updates where gradients are accumulated, `_iterations` batches
        step = ops.cast(self.steps(), "int64") + 1
        first_bad = ops.logical_not(ops.logical_or(ops.all(ops.isfinite(value)), self.first_bad_step > 0))
        self.first_bad_step.assign(ops.where(first_bad, step, self.first_bad_step))
        return value
