"""What a trained segmentation network is worth on whole patients, through the very way to a mask that is served.

A patient's figures are those of all slices together, and a figure of the data set is the mean over patients (Buda,
Saha & Mazurowski, 2019, arXiv:1906.03720, section 2.4).
"""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from kerascnn.datasets.batches import evaluation_batches
from kerascnn.errors import UsageError
from kerascnn.saved_model.folding import folded, in_float32
from kerascnn.segmentation.inference import MaskSettings, postprocess, volume_probabilities
from kerascnn.segmentation.losses import foreground_logit
from kerascnn.segmentation.metrics import dice_figures, overlap_metrics, summary, surface_metrics
from kerascnn.segmentation.overlays import PREDICTION, TRUTH, overlay_sheet, slice_sheet
from kerascnn.training.feed import check_examples
from kerascnn.training.run_folder import check_logits, main_head, plain

THRESHOLDS = tuple(round(0.2 + 0.05 * i, 2) for i in range(13))
MINIMUM_SIZES = (20, 50, 100, 200)  # voxels


def evaluate(model, examples):
    """The metrics of a segmentation network at probability 0.5, as plain numbers; writes nothing.

    dice and iou: of all pixels together. image_dice: the mean over images, 1 where neither truth nor mask has any.
    examples: Examples with masks, or a tf.data.Dataset of batches with such.
    """
    model = main_head(plain(model))
    check_logits(model)
    check_examples(examples)
    truths, masks = [], []
    for images, truth, *_ in evaluation_batches(examples):
        answer = model.predict_on_batch(images)
        truths.append(np.asarray(truth)[..., :1] >= 0.5)
        masks.append(np.asarray(foreground_logit(answer)) >= 0)
    if not truths:
        raise UsageError("data has no batch; give some", argument="data")
    truth, mask = np.concatenate(truths), np.concatenate(masks)
    if truth.shape != mask.shape:
        sides = ["x".join(map(str, each.shape[1:3])) for each in (truth, mask)]
        words = f"data has masks of {sides[0]}, and the model answers {sides[1]}"
        raise UsageError(f"{words}; give a model of the masks' size", argument="data")
    together = overlap_metrics(truth, mask)
    each = [overlap_metrics(*pair)["dice"] for pair in zip(truth, mask, strict=True)]
    return {
        **{name: float(together[name]) for name in ("dice", "iou")},
        "image_dice": float(np.mean(each)),
        "images": len(truth),
    }


class Segmenter:
    """A network as it is exported, compiled once for volumes of any size: probabilities and masks of (S, H, W, C)."""

    def __init__(self, model, preprocessing):
        network = folded(in_float32(model))
        volume = tf.TensorSpec([None, None, None, network.input_shape[-1]], tf.uint8)
        way = functools.partial(volume_probabilities, network, preprocessing)
        # no Python statement depends on a tensor, and to look for such takes longer than the rest of the tracing
        options = {"input_signature": [volume], "autograph": False}
        self.compiled = {
            flip_tta: tf.function(functools.partial(way, flip_tta=flip_tta), **options) for flip_tta in (False, True)
        }

    def probabilities(self, images, flip_tta):
        """float32 (S, H, W, 1) in [0, 1]."""
        return self.compiled[flip_tta](images).numpy()

    def mask(self, images, settings):
        """uint8 (S, H, W, 1) of 0 and 1."""
        return postprocess(tf.constant(self.probabilities(images, settings.flip_tta)), settings).numpy()


def choose_settings(unseen):
    """(the MaskSettings with the highest mean patient Dice, what was tried: a list of dicts for JSON).

    One thing after the other, each kept only where it raises the mean: flip TTA, one component (of the most confident
    and the largest the better, the most confident where they are equal), threshold, minimum component size, holes.
    unseen: pairs of a Segmenter and a validation patient, whom it was not trained on.
    """
    patients = [patient for _, patient in unseen]
    probabilities = {
        flip_tta: [tf.constant(segmenter.probabilities(patient.images, flip_tta)) for segmenter, patient in unseen]
        for flip_tta in (False, True)
    }

    def mean_dice(settings):
        masks = (postprocess(each, settings).numpy() for each in probabilities[settings.flip_tta])
        pairs = zip(patients, masks, strict=True)
        return float(np.mean([overlap_metrics(patient.masks, mask)["dice"] for patient, mask in pairs]))

    best = MaskSettings()
    tried = [{**dataclasses.asdict(best), "dice": mean_dice(best)}]
    for changes in (
        [{"flip_tta": True}],
        [{"most_confident_component": True}, {"largest_component": True}],
        [{"threshold": threshold} for threshold in THRESHOLDS],
        [{"minimum_component_size": size} for size in MINIMUM_SIZES],
        [{"fill_holes": True}],
    ):
        candidates = [dataclasses.replace(best, **change) for change in changes]
        scores = [mean_dice(candidate) for candidate in candidates]
        highest = max(attempt["dice"] for attempt in tried)
        tried += [
            {**dataclasses.asdict(candidate), "dice": score}
            for candidate, score in zip(candidates, scores, strict=True)
        ]
        if max(scores) > highest:
            best = candidates[int(np.argmax(scores))]
    return best, tried


def evaluate_patients(segmenter, settings, patients, empty="one"):
    """(metrics for metrics.json, the masks by patient's name) of `patients`, which no choice has seen.

    patient_dice: mean over patients of the Dice coefficient of all voxels, with its bootstrap interval; by_patient and
    by_slice: summaries of every figure of overlap_metrics and surface_metrics, in which `values` counts those that are
    defined (no distance is where a mask is empty); single_image_patient_dice: the patients' Dice when each slice is a
    volume of its own. empty: what Dice and IoU are where truth and mask are empty, a key of EMPTY_RULES. Distances are
    in millimetres where all patients' spacing is known, else in pixels with slices one pixel apart.
    """
    known = all(patient.spacing for patient in patients)
    masks, rows, slice_rows, singles = {}, [], [], []
    for patient in patients:
        mask = masks[patient.name] = segmenter.mask(patient.images, settings)
        spacing = patient.spacing if known else None
        size = {"slices": len(patient), "tumor_voxels": int(patient.masks.sum()), "predicted_voxels": int(mask.sum())}
        rows.append({"patient": patient.name, **size, **figures(patient.masks, mask, spacing, empty)})
        pairs = zip(patient.masks[:, np.newaxis], mask[:, np.newaxis], strict=True)
        slice_rows += [figures(truth, found, spacing, empty) for truth, found in pairs]
        alone = np.concatenate([segmenter.mask(image[np.newaxis], settings) for image in patient.images])
        singles.append(overlap_metrics(patient.masks, alone, empty)["dice"])
    by_patient, by_slice = (
        {name: summary([row[name] for row in table]) for name in slice_rows[0]} for table in (rows, slice_rows)
    )
    metrics = {
        **dice_figures([row["dice"] for row in rows], singles),
        "slice_dice": by_slice["dice"]["mean"],
        "patients": len(patients),
        "empty_masks": empty,
        "distances_in": "mm" if known else "pixels",
        "settings": dataclasses.asdict(settings),
        "by_patient": by_patient,
        "by_slice": by_slice,
        "worst": [row["patient"] for row in ranked(rows)[:-4:-1]],
        "table": [{name: none_for_nan(value) for name, value in row.items()} for row in rows],
    }
    return metrics, masks


def figures(truth, mask, spacing, empty):
    """All figures of one volume (S, H, W, 1); distances of a single slice are those in its plane."""
    surfaces = truth[..., 0], mask[..., 0]
    if len(truth) == 1:
        surfaces, spacing = (truth[0, ..., 0], mask[0, ..., 0]), spacing and spacing[1:]
    return {**overlap_metrics(truth, mask, empty), **surface_metrics(*surfaces, spacing)}


def ranked(rows):
    """Those of `rows` that have a Dice coefficient, the best first."""
    return sorted((row for row in rows if none_for_nan(row["dice"]) is not None), key=lambda row: -row["dice"])


def none_for_nan(value):
    """JSON has no nan."""
    return None if isinstance(value, float) and np.isnan(value) else value


def draw_patients(table, patients, masks, folder):
    """Draw the best, median and worst patient's slice with the most foreground, and all slices of every patient.

    table: the rows of evaluate_patients' metrics. masks: by patient's name. `folder` gets overlays.png and
    strips/<name>.png, in which the truth's contours are green and the masks' orange.
    """
    by_name = {patient.name: patient for patient in patients}
    if rows := ranked(table):
        chosen = {"best": rows[0], "median": rows[len(rows) // 2], "worst": rows[-1]}
        cases = [
            (f"{title}: Dice {row['dice']:.2f}", by_name[row["patient"]], masks[row["patient"]])
            for title, row in chosen.items()
        ]
        overlay_sheet(cases, folder / "overlays.png")
    for name, patient in by_name.items():
        labels = [str(number) for number in range(1, len(patient) + 1)]
        layers = [(patient.masks, TRUTH), (masks[name], PREDICTION)]
        slice_sheet(patient.images, layers, labels, folder / "strips" / f"{name}.png")
