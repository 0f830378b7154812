"""Figures of merit of masks against the truth; NumPy arrays in, plain numbers out.

What is undefined (the sensitivity where there is no tumor, a distance to an empty mask) is nan and left out of means.
"""

import keras
import numpy as np
from keras import ops
from scipy import ndimage, stats

from kerascnn.segmentation.losses import foreground_logit

# What the Dice coefficient and the Jaccard index of two empty masks are.
EMPTY_RULES = {"one": 1.0, "zero": 0.0, "skip": np.nan}


def overlap_metrics(truth, prediction, empty="one"):
    """Dice, IoU, sensitivity, precision, specificity and volume error of two masks of the same shape, as a dict.

    volume_error is (predicted - true) / true voxels. `empty`, a key of EMPTY_RULES, says what Dice and IoU are where
    both masks are empty; where one alone is, they are 0.
    """
    truth, prediction = np.asarray(truth, bool), np.asarray(prediction, bool)
    hit, false = np.sum(truth & prediction), np.sum(~truth & prediction)
    missed, clear = np.sum(truth & ~prediction), np.sum(~truth & ~prediction)
    nothing = EMPTY_RULES[empty]
    return {
        "dice": ratio(2 * hit, 2 * hit + false + missed, nothing),
        "iou": ratio(hit, hit + false + missed, nothing),
        "sensitivity": ratio(hit, hit + missed),
        "precision": ratio(hit, hit + false),
        "specificity": ratio(clear, clear + false),
        "volume_error": ratio(float(false) - float(missed), hit + missed),
    }


def ratio(part, whole, otherwise=np.nan):
    return float(part / whole) if whole else otherwise


def surface_metrics(truth, prediction, spacing=None):
    """95 % Hausdorff distance and average surface distance of two masks of the same shape, as a dict.

    hausdorff95 is the larger of the two directed distances' 95th percentiles, surface_distance the mean of both
    directions' distances together. spacing: the length of a step along each axis; None: 1 each, so distances are in
    pixels. A surface is what a mask loses when its faces are eroded; both are nan where a mask is empty.
    """
    masks = np.asarray(truth, bool), np.asarray(prediction, bool)
    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in masks]
    if not all(surface.any() for surface in surfaces):
        return {"hausdorff95": np.nan, "surface_distance": np.nan}
    # Beyond the box of both surfaces no distance is asked for.
    box = ndimage.find_objects((surfaces[0] | surfaces[1]).astype(np.uint8))[0]
    surfaces = [surface[box] for surface in surfaces]
    there, back = (
        ndimage.distance_transform_edt(~other, sampling=spacing)[surface]
        for surface, other in (surfaces, surfaces[::-1])
    )
    return {
        "hausdorff95": float(max(np.percentile(there, 95), np.percentile(back, 95))),
        "surface_distance": float(np.concatenate([there, back]).mean()),
    }


def summary(values):
    """Mean, median, standard deviation and extremes of values, nan and None left out, as a dict.

    `values` counts what is left. None where undefined: all of no values, the standard deviation of a single one.
    """
    known = defined(values)
    if not len(known):
        return {"values": 0, **dict.fromkeys(("mean", "median", "standard_deviation", "lowest", "highest"))}
    return {
        "values": len(known),
        "mean": float(known.mean()),
        "median": float(np.median(known)),
        "standard_deviation": float(known.std(ddof=1)) if len(known) > 1 else None,
        "lowest": float(known.min()),
        "highest": float(known.max()),
    }


def mean_interval(values):
    """The 95 % interval of the mean of independent values, [low, high], nan and None left out.

    Bootstrap, bias-corrected and accelerated (Efron, 1987), of 9,999 resamples with a fixed seed; None where there are
    fewer than two values or they hardly differ.
    """
    known = defined(values)
    if len(known) < 2 or np.ptp(known) < 1e-9:
        return None
    found = stats.bootstrap((known,), np.mean, rng=np.random.default_rng(0), batch=1000).confidence_interval
    return [float(found.low), float(found.high)] if np.isfinite([found.low, found.high]).all() else None


def dice_figures(dice, singles):
    """What is said first of patients' Dice coefficients, as a dict; `singles`: theirs with each slice on its own."""
    return {
        "patient_dice": summary(dice)["mean"],
        "patient_dice_95": mean_interval(dice),
        "patient_dice_median": summary(dice)["median"],
        "single_image_patient_dice": summary(singles)["mean"],
    }


def defined(values):
    """The values that are neither None nor nan, float64."""
    floats = np.array([np.nan if value is None else value for value in values], float)
    return floats[~np.isnan(floats)]


@keras.saving.register_keras_serializable(package="kerascnn")
class PooledDice(keras.metrics.Metric):
    """Dice coefficient of all pixels of an epoch together, at probability 0.5; logits (B, H, W, 1 or 2)."""

    def __init__(self, name="dice", **kwargs):
        super().__init__(name=name, **kwargs)
        self._direction = "up"  # by which callbacks that monitor it know what is better
        self.hit, self.sizes = (self.add_weight(name=part, initializer="zeros") for part in ("hit", "sizes"))

    def update_state(self, masks, logits, sample_weight=None):
        truth = ops.cast(masks[..., :1], "float32")
        found = ops.cast(foreground_logit(logits) >= 0, "float32")
        self.hit.assign(self.hit + ops.sum(truth * found))
        self.sizes.assign(self.sizes + ops.sum(truth) + ops.sum(found))

    def result(self):
        return 2 * self.hit / ops.maximum(self.sizes, 1.0)
