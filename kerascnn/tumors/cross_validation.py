"""Five folds of patients, each trained and scored in a folder of its own, and what they say together."""

import logging

import numpy as np

from kerascnn.files import read_json, read_json_if_any, write_json, writing_to
from kerascnn.plotting import figure, plain_text, save_figure
from kerascnn.segmentation.metrics import dice_figures, summary
from kerascnn.training.record import checked, mismatch, read_record, record_file
from kerascnn.training.run_folder import load_trained
from kerascnn.tumors.evaluation import evaluate
from kerascnn.tumors.recipes import RUNS
from kerascnn.tumors.training import finished_run, folds_of, train

# what is summed up of the recipe.json and metrics.json of a fold
RECORD = {"settings": dict, "settings_tried": [{"dice": float}], "training_seconds": float}
METRICS = {
    "table": [{"patient": str, "dice?": float}],
    "patients": int,
    "patient_dice?": float,
    "single_image_patient_dice?": float,
    "empty_masks": str,
    "distances_in": str,
    "by_patient": dict,
}

logger = logging.getLogger(__name__)


def crossvalidate(recipe, data, folder, empty="one", callbacks=()):
    """Train and evaluate the five folds in `folder`/fold0 …, each from where it stands, and sum them up.

    data: a PatientDataset. `folder` gets crossvalidation.json, which is returned, with a row for every patient, and
    crossvalidation.png. Raises UsageError as folds_of does, and where a finished fold is one of other data.
    """
    folds = folds_of(recipe, folder)
    for place, own in folds.items():
        if not finished_run(place, own, data):
            logger.info("fold %d", own.fold)
            (place / "metrics.json").unlink(missing_ok=True)
            train(own, data, place, callbacks, resume=place.is_dir())
        scored = read_json_if_any(place / "metrics.json")
        if mismatch(scored, METRICS) or scored["empty_masks"] != empty:
            evaluate(*load_trained(place, RUNS), data, place, empty)
    records = [checked(read_record(place), RECORD, record_file(place)) for place in folds]
    metrics = [checked(read_json(place / "metrics.json"), METRICS, place / "metrics.json") for place in folds]
    figures = together(records, metrics)
    with writing_to(folder):
        write_json(folder / "crossvalidation.json", figures)
        dice_distribution(figures["table"], folder / "crossvalidation.png")
    return figures


def together(records, metrics):
    """What crossvalidation.json says of the folds' recipe.json and metrics.json, JSON types."""
    table = [{"fold": fold, **row} for fold, scored in enumerate(metrics) for row in scored["table"]]
    known = [row for row in table if row.get("dice") is not None]
    singles = [scored.get("single_image_patient_dice") for scored in metrics for _ in range(scored["patients"])]
    return {
        **dice_figures([row.get("dice") for row in table], singles),
        "patients": len(table),
        "by_fold": [scored.get("patient_dice") for scored in metrics],
        "worst": [row["patient"] for row in sorted(known, key=lambda row: row["dice"])[:5]],
        "settings": [record["settings"] for record in records],
        "validation_dice": [max(tried["dice"] for tried in record["settings_tried"]) for record in records],
        "training_seconds": round(sum(record["training_seconds"] for record in records), 1),
        **{name: metrics[0][name] for name in ("empty_masks", "distances_in")},
        **{name: records[0].get(name) for name in ("recipe", "data", "hardware", "date", "versions")},
        "by_patient": {name: summary([row.get(name) for row in table]) for name in metrics[0]["by_patient"]},
        "table": table,
    }


def dice_distribution(table, path):
    """Draw the Dice coefficients of `table`, dicts with `patient`, `fold` and `dice` or None, to a PNG file."""
    rows = sorted((row for row in table if row.get("dice") is not None), key=lambda row: row["dice"])
    sheet = figure(10, 4.5)
    bars, counts = sheet.subplots(1, 2, width_ratios=(3, 1))
    colours = [f"C{row['fold']}" for row in rows]
    bars.bar(range(len(rows)), [row["dice"] for row in rows], color=colours)
    bars.set_xticks(range(len(rows)), [plain_text(row["patient"]) for row in rows], rotation=90, fontsize=6)
    bars.set(ylabel="Dice", ylim=(0, 1), title="patients, coloured by fold")
    counts.hist([row["dice"] for row in rows], bins=np.linspace(0, 1, 21), orientation="horizontal")
    mean, median = np.mean([row["dice"] for row in rows]), np.median([row["dice"] for row in rows])
    counts.axhline(mean, color="black", label=f"mean {mean:.3f}")
    counts.axhline(median, color="black", linestyle="--", label=f"median {median:.3f}")
    counts.set(xlabel="patients", ylim=(0, 1))
    counts.legend(fontsize=8)
    save_figure(sheet, path)
