"""Cross-entropy with label smoothing, on logits, float32 inside whatever the precision of the network."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerascnn")
class CrossEntropy(keras.losses.Loss):
    """Cross-entropy of logits (B, classes) against int labels (B,), or mixed ones, float (B, classes) of sum 1.

    The target is 1 - label_smoothing for the label plus label_smoothing / classes for every class (Szegedy et al.,
    2015, arXiv:1512.00567, section 7). Keras has one loss for integers, without label smoothing, and another one for
    one-hot targets; training on mixed labels is validated on integers. The mean is over the images whose weight is
    above 0.
    """

    def __init__(self, label_smoothing=0.0):
        super().__init__(name="cross_entropy")
        self.label_smoothing = label_smoothing

    def get_config(self):
        return {"label_smoothing": self.label_smoothing}

    def __call__(self, labels, logits, sample_weight=None):
        mean = super().__call__(labels, logits, sample_weight)
        if sample_weight is None:
            return mean
        return ops.divide_no_nan(mean, ops.mean(counted(sample_weight)))

    def call(self, labels, logits):
        logits = ops.cast(logits, "float32")
        if mixed(labels, logits):
            loss = ops.categorical_crossentropy(ops.cast(labels, "float32"), logits, from_logits=True)
        else:
            labels = ops.cast(ops.reshape(labels, (-1,)), "int32")
            loss = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        if self.label_smoothing:
            uniform = ops.logsumexp(logits, axis=-1) - ops.mean(logits, axis=-1)
            loss = (1 - self.label_smoothing) * loss + self.label_smoothing * uniform
        return loss


def counted(sample_weight):
    """1 where a weight is above 0, else 0: float32 of the same shape."""
    return ops.cast(ops.cast(sample_weight, "float32") > 0, "float32")


def mixed(labels, logits):
    """Whether labels say a share of every class."""
    return len(labels.shape) == 2 and labels.shape[-1] == logits.shape[-1] > 1
