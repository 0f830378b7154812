"""Metrics of a classifier from its logits and the labels; NumPy arrays in, plain numbers out."""

import keras
import numpy as np
from keras import ops
from scipy.special import log_softmax, softmax

from kerascnn.classification.calibration import expected_calibration_error
from kerascnn.classification.losses import counted, mixed


@keras.saving.register_keras_serializable(package="kerascnn")
class Accuracy(keras.metrics.MeanMetricWrapper):
    """The share of images whose label has the largest logit; of a mixed label the class with the largest share.

    Labels int (B,), or float (B, classes); logits (B, classes). Images of weight 0 do not count, all others alike.
    """

    takes_weights = True

    def __init__(self):
        super().__init__(hits, name="accuracy")
        self._direction = "up"  # by which callbacks that monitor it know what is better

    def get_config(self):
        return {}

    def update_state(self, labels, logits, sample_weight=None):
        weights = None if sample_weight is None else counted(ops.reshape(sample_weight, (-1,)))
        super().update_state(labels, logits, weights)


def hits(labels, logits):
    """1 where the label has the largest logit, else 0: float32 (B,)."""
    labels = ops.argmax(labels, -1) if mixed(labels, logits) else ops.reshape(labels, (-1,))
    return ops.cast(ops.cast(labels, "int32") == ops.cast(ops.argmax(logits, -1), "int32"), "float32")


def classification_metrics(logits, labels, class_names):
    """Everything `metrics.json` says of a classifier, as a dict of plain numbers.

    logits float (N, classes), labels int (N,). accuracy, error, top5_accuracy (of more than five classes) and
    ece are fractions of 1 over all N examples, accuracy_interval is what accuracy_interval gives, cross_entropy is in
    nats, brier_score from 0 to 2; balanced_accuracy is the mean recall of the classes that occur, macro_f1 the mean F1
    score of these; per_class has precision, recall and support for each name of class_names.
    """
    from sklearn.metrics import precision_recall_fscore_support

    classes, probabilities = np.arange(len(class_names)), softmax(logits, axis=-1)
    predicted = probabilities.argmax(-1)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=classes, average=None, zero_division=0
    )
    accuracy = float(np.mean(predicted == labels))
    log_likelihoods = log_softmax(logits, axis=-1)[np.arange(len(labels)), labels]  # finite where the softmax is 0
    return {
        "accuracy": accuracy,
        "accuracy_interval": accuracy_interval(np.sum(predicted == labels), len(labels)),
        "error": float(np.mean(predicted != labels)),
        **top5(logits, labels),
        "balanced_accuracy": float(recall[support > 0].mean()),
        "macro_f1": float(f1[support > 0].mean()),
        "cross_entropy": float(-log_likelihoods.mean()),
        "brier_score": brier_score(probabilities, labels),
        "ece": expected_calibration_error(probabilities, labels),
        "examples": len(labels),
        "per_class": {
            name: {"precision": float(precision[i]), "recall": float(recall[i]), "support": int(support[i])}
            for i, name in enumerate(class_names)
        },
    }


def top5(logits, labels):
    """{"top5_accuracy": the share of labels among the five most probable classes}, where there are more than five."""
    if logits.shape[-1] <= 5:
        return {}
    five = np.argpartition(-logits, 5)[:, :5]
    return {"top5_accuracy": float(np.mean((five == labels[:, None]).any(-1)))}


def brier_score(probabilities, labels):
    """The squared differences between probabilities and the one-hot label, summed over classes; the mean over examples.

    From 0 to 2, as Brier, 1950, Monthly Weather Review 78(1), defines it; half of it is often given for two classes.
    """
    return float(np.mean(np.sum((probabilities - np.eye(probabilities.shape[-1])[labels]) ** 2, axis=-1)))


def accuracy_interval(hits, count):
    """[lower, upper]: the 95 % percentile bootstrap interval of the accuracy of `hits` correct answers of `count`.

    Efron & Tibshirani, 1993, An Introduction to the Bootstrap, chapter 13. Among `count` answers drawn with replacement
    the correct ones are binomially distributed, so its quantiles are those of infinitely many draws. It says where
    the accuracy on all such images lies; of answers that are all correct it can say nothing.
    """
    from scipy.stats import binom

    return [float(quantile) / count for quantile in binom.ppf([0.025, 0.975], count, hits / count)]
