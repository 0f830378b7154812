"""Metrics of a classifier from its probabilities and the labels; NumPy arrays in, plain numbers out."""

import numpy as np


def classification_metrics(probabilities, labels, class_names):
    """Everything `metrics.json` says of a classifier, as a dict of plain numbers.

    probabilities float (N, classes), labels int (N,). accuracy, error, cross_entropy (nats) and ece are fractions of 1
    over all N examples; per_class has precision, recall and support for each name of class_names.
    """
    from sklearn.metrics import log_loss, precision_recall_fscore_support

    classes = np.arange(len(class_names))
    predicted = probabilities.argmax(-1)
    precision, recall, _, support = precision_recall_fscore_support(
        labels, predicted, labels=classes, average=None, zero_division=0
    )
    accuracy = float(np.mean(predicted == labels))
    normalized = probabilities.astype(np.float64) / probabilities.sum(-1, keepdims=True, dtype=np.float64)
    return {
        "accuracy": accuracy,
        "error": float(np.mean(predicted != labels)),
        "cross_entropy": float(log_loss(labels, normalized, labels=classes)),
        "ece": expected_calibration_error(probabilities, labels),
        "examples": len(labels),
        "per_class": {
            name: {"precision": float(precision[i]), "recall": float(recall[i]), "support": int(support[i])}
            for i, name in enumerate(class_names)
        },
    }


def expected_calibration_error(probabilities, labels, bins=15):
    """Mean gap between confidence and accuracy over `bins` equal intervals of confidence, weighted by their examples.

    Guo et al., 2017, arXiv:1706.04599, equation 3; a confidence on an edge belongs to the interval below it.
    """
    confidence = probabilities.max(-1)
    correct = probabilities.argmax(-1) == labels
    interval = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gap = np.bincount(interval, weights=correct - confidence.astype(np.float64), minlength=bins)
    return float(np.abs(gap).sum() / len(labels))
