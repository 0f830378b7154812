"""Calibration: whether answers of 80 % are right in 80 of 100 cases, and the temperature that makes them so.

Guo et al., 2017, arXiv:1706.04599. NumPy arrays in, plain numbers out.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

TEMPERATURES = (1 / 20, 20)


class Reliability(NamedTuple):
    """Of equal intervals of confidence, arrays (bins,): the examples in each, their mean confidence and accuracy."""

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def reliability(probabilities, labels, bins=15):
    """The Reliability of probabilities float (N, classes) for labels int (N,); 0 where an interval has no example.

    A confidence on an edge belongs to the interval below it.
    """
    confidence = probabilities.max(-1).astype(np.float64)
    interval = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(interval, minlength=bins)
    means = (
        np.bincount(interval, weights=values, minlength=bins) / np.maximum(counts, 1)
        for values in (confidence, probabilities.argmax(-1) == labels)
    )
    return Reliability(counts, *means)


def expected_calibration_error(probabilities, labels, bins=15):
    """Mean gap between confidence and accuracy over `bins` equal intervals of confidence, weighted by their examples.

    Guo et al., equation 3.
    """
    counts, confidence, accuracy = reliability(probabilities, labels, bins)
    return float(np.sum(counts * np.abs(accuracy - confidence)) / len(labels))


def fitted_temperature(logits, labels):
    """The temperature, from 1/20 to 20, by which logits (N, classes) are divided for the least cross-entropy.

    labels: int (N,). Guo et al., section 4.2. It changes no predicted class. 1 where the least is at an end of that
    range, as it is where every prediction is correct.
    """
    if np.all(logits.argmax(-1) == labels):
        return 1.0

    def cross_entropy(log_temperature):
        return -log_softmax(logits / np.exp(log_temperature), axis=-1)[np.arange(len(labels)), labels].mean()

    found = minimize_scalar(cross_entropy, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-5})
    at_an_end = np.abs(found.x - np.log(TEMPERATURES)).min() < 1e-3
    return 1.0 if at_an_end else round(float(np.exp(found.x)), 4)
