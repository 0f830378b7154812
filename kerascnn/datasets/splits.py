"""Splits of examples."""

import numpy as np


def cut(examples, count):
    """(examples without, examples with) `count` of them drawn with a fixed seed; both keep their order."""
    drawn = np.zeros(len(examples), bool)
    drawn[np.random.default_rng(0).permutation(len(examples))[:count]] = True
    return examples.take(~drawn), examples.take(drawn)
