"""The verbs of apps that outline something in patients' slices; an app says which data, network and numbers.

TensorFlow and Keras are imported inside the verbs, after everything that can be checked without them.
"""

import dataclasses
import json

from kerascnn import cli, verbs
from kerascnn.errors import InputError, UsageError
from kerascnn.files import read_json, write_aside, write_json

# The networks whose paper varies a number, and what this app takes for the width unless it is told.
VARIED = {"width": ("unet", "unet_buda"), "depth": ("unet",)}
WIDTH = 24
MODALITIES = ("t1", "flair", "t1ce")
USE = (
    "Research and education only, not a medical device. The weights were trained on data under CC BY-NC-SA 4.0: do not "
    "use them commercially, name the source of the data, and share what you derive from them under the same licence."
)


def smoke(recipe):
    """The recipe of a few seconds' run on drawn phantoms, which proves the wiring and says so."""
    cli.note("note: --smoke trains two epochs on drawn phantoms, whatever other flags say; its figures mean nothing")
    return dataclasses.replace(recipe, data="phantoms", model="unet_buda", width=8, side=64, epochs=2, batch_size=8)


def train(app, recipe, data_dir, out, resume):
    """Train recipe.model on all patients but those of recipe.fold and of its validation part, into the folder `out`."""
    check(recipe)
    cli.load_tensorflow()
    from kerascnn.datasets.augmentation import paired_distortion
    from kerascnn.datasets.patients import split
    from kerascnn.losses import MASK_LOSSES
    from kerascnn.mask_metrics import PooledDice
    from kerascnn.patient_evaluation import Segmenter, choose_settings
    from kerascnn.training import fit

    data = load_data(recipe.data, data_dir, recipe.modalities)
    parts = split(data.patients, recipe.fold)
    examples = {
        "train": slice_examples(parts.train, recipe, recipe.tumor_draws),
        "validation": slice_examples(parts.validation, recipe),
    }
    augment = paired_distortion(
        mirror=recipe.mirror,
        shift=recipe.shift,
        rotation=recipe.rotation,
        zoom=recipe.zoom,
        shear=recipe.shear,
        elastic=recipe.elastic * recipe.side / 240,
        sigma=24 * recipe.side / 240,
        brightness=recipe.brightness,
        contrast=recipe.contrast,
    )

    def conclude(model):
        draw_augmentation(examples["train"], augment, out / "augmentation.png")
        settings, tried = choose_settings(Segmenter(model, recipe.side), parts.validation)
        return {"settings": dataclasses.asdict(settings), "settings_tried": tried}

    fit(
        lambda: network(recipe, len(data.channel_names)),
        examples["train"],
        examples["validation"],
        recipe,
        out,
        loss=MASK_LOSSES[recipe.loss](),
        metrics=[PooledDice],
        augment=augment,
        facts={"app": app, "data": data.facts(), "split": parts.facts()},
        conclude=conclude,
        resume=resume,
    )


def draw_augmentation(examples, augment, path, count=12):
    """Draw distorted slices with tumor and the outlines of their masks to a PNG file."""
    import numpy as np
    import tensorflow as tf

    from kerascnn.overlays import pair_sheet

    shown = examples.take(np.flatnonzero(examples.labels[..., 0].any((1, 2)))[:: max(1, len(examples) // 20)][:count])
    images, masks = augment(tf.constant(shown.images), tf.constant(shown.labels, tf.float32), tf.constant([0, 0]))
    write_aside(path, lambda aside: pair_sheet(images.numpy(), masks.numpy(), aside))


def check(recipe):
    """Raise UsageError for what no network of this kind can be trained with."""
    for name in ("width", "depth"):
        if getattr(recipe, name) is not None and recipe.model not in VARIED[name]:
            raise UsageError(f"{recipe.model} has no --{name}; leave it out, or choose {' or '.join(VARIED[name])}")
    if recipe.model == "unet_2015" and recipe.side < 96:
        raise UsageError(f"--side is {recipe.side}; unet_2015 mirrors 94 pixels beyond each edge, give at least 96")
    if not 0 <= recipe.fold < 5:
        raise UsageError(f"--fold is {recipe.fold}; choose one of 0, 1, 2, 3, 4")
    if recipe.side < 32 or recipe.side % 16:
        raise UsageError(f"--side is {recipe.side}; give a multiple of 16 from 32")
    if recipe.label_smoothing:
        raise UsageError("--label-smoothing is for classes, not for masks; leave it out")
    if recipe.tumor_draws < 1:
        raise UsageError(f"--tumor-draws is {recipe.tumor_draws}; give a number of at least 1")


def network(recipe, channels):
    """The network of a recipe, for slices of recipe.side."""
    from kerascnn.models import builder
    from kerascnn.models.unet import framed

    build, shape = builder(recipe.model), (recipe.side, recipe.side, channels)
    if recipe.model == "unet_2015":
        return framed(build, shape)
    options = {"width": recipe.width or WIDTH} if recipe.model in VARIED["width"] else {}
    if recipe.depth is not None:
        options["depth"] = recipe.depth
    return build(shape, **options)


def slice_examples(patients, recipe, tumor_draws=1):
    """All slices of the patients as the network sees them, those with tumor `tumor_draws` times.

    Examples with images float32 (N, side, side, C) in [0, 1] and masks uint8 (N, side, side, 1), behind which the loss
    `border` finds its weights: float32 (N, side, side, 2).
    """
    import numpy as np

    from kerascnn.datasets import Examples
    from kerascnn.datasets.border_weights import border_weights
    from kerascnn.volume_preparation import prepare_masks, prepare_volume

    images = np.concatenate([prepare_volume(patient.images, recipe.side) for patient in patients])
    masks = np.concatenate([prepare_masks(patient.masks, patient.images, recipe.side) for patient in patients])
    draws = np.where(masks.any((1, 2, 3)), tumor_draws, 1)
    if recipe.loss == "border":
        masks = np.concatenate([masks, border_weights(masks, masks.mean())], -1)
    return Examples(images, masks).take(np.repeat(np.arange(len(images)), draws))


def load_data(name, data_dir, modalities):
    """The PatientDataset called `name`; nifti is the folder `data_dir`."""
    from kerascnn import datasets

    if name == "nifti":
        if data_dir is None:
            raise UsageError("--data nifti needs --data-dir, a folder with a sub-folder of volumes per patient")
        from kerascnn.datasets import nifti

        data = nifti.load(data_dir, modalities)
    else:
        data = datasets.load(name, data_dir)
    cli.note(f"data: {data.description}")
    return data


def evaluate(data_dir, out, empty, requirements):
    """Score the model in `out` on the test patients of its split; print and check the metrics."""
    cli.load_tensorflow()
    from kerascnn.overlays import overlay_sheet, patient_strip
    from kerascnn.patient_evaluation import Segmenter, evaluate_patients
    from kerascnn.run import load_trained
    from kerascnn.segmentation import MaskSettings

    model, record = load_trained(out)
    patients = test_patients(record, load_data(record["data"]["name"], data_dir, record["recipe"]["modalities"]))
    settings = MaskSettings(**record["settings"])
    segmenter = Segmenter(model, record["recipe"]["side"])
    metrics, masks = evaluate_patients(segmenter, settings, patients, empty)
    facts = {"data": record["data"]["name"], "split": "test", "fold": record["recipe"]["fold"], "model": model.name}
    write_json(out / "metrics.json", metrics | facts)
    ranked = sorted(metrics["table"], key=lambda row: -row["dice"])
    by_name = {patient.name: patient for patient in patients}
    cases = [
        (f"{title}: Dice {row['dice']:.2f}", by_name[row["patient"]], masks[row["patient"]])
        for title, row in (("best", ranked[0]), ("median", ranked[len(ranked) // 2]), ("worst", ranked[-1]))
    ]
    write_aside(out / "overlays.png", lambda path: overlay_sheet(cases, path))
    for (_, *case), name in zip(cases, ("best", "median", "worst"), strict=True):
        write_aside(out / f"strip_{name}.png", lambda path, case=case: patient_strip(*case, path))
    cli.result({name: value for name, value in metrics.items() if name not in ("table", "by_patient", "by_slice")})
    cli.require(metrics, requirements)


def test_patients(record, data):
    """The test patients of a run's split. Raises InputError when the data lack one."""
    by_name = {patient.name: patient for patient in data.patients}
    absent = [name for name in record["split"]["test"] if name not in by_name]
    if absent:
        raise InputError(f"no data of the test patients {', '.join(absent)}; name their folder with --data-dir")
    if data.checksum() != record["data"]["sha256"]:
        cli.note("note: the data are not those that the model was trained on")
    return [by_name[name] for name in record["split"]["test"]]


def crossvalidate(app, recipe, data_dir, out, empty):
    """Train and evaluate the five folds in folders of `out`, each from where it stands, and sum them up.

    `out` gets crossvalidation.json, with a row for every patient, and crossvalidation.png.
    """
    from kerascnn.datasets.patients import FOLDS

    results = []
    for fold in range(FOLDS):
        folder = out / f"fold{fold}"
        asked = dataclasses.replace(recipe, fold=fold)
        if (folder / "recipe.json").is_file():
            refuse_other_recipe(folder, asked)
        else:
            train(app, asked, data_dir, folder, (folder / "checkpoint.npz").exists())
        if not (folder / "metrics.json").is_file():
            evaluate(data_dir, folder, empty, {})
        results.append((read_json(folder / "recipe.json"), read_json(folder / "metrics.json")))
    from kerascnn.mask_metrics import summary
    from kerascnn.pictures import dice_distribution

    table = [{"fold": fold, **row} for fold, (_, metrics) in enumerate(results) for row in metrics["table"]]
    dice = summary([row["dice"] for row in table])
    figures = {
        "patient_dice": dice["mean"],
        "patient_dice_median": dice["median"],
        "single_image_patient_dice": sum(m["single_image_patient_dice"] * m["patients"] for _, m in results)
        / len(table),
        "patients": len(table),
        "by_patient": {
            name: summary([float("nan") if row[name] is None else row[name] for row in table])
            for name in results[0][1]["by_patient"]
        },
        "by_fold": [metrics["patient_dice"] for _, metrics in results],
        "training_seconds": sum(record["training_seconds"] for record, _ in results),
        "settings": [record["settings"] for record, _ in results],
        **{name: results[0][0][name] for name in ("recipe", "data", "hardware", "date", "versions")},
        "table": table,
    }
    write_json(out / "crossvalidation.json", figures)
    write_aside(out / "crossvalidation.png", lambda path: dice_distribution(table, path))
    cli.result({name: value for name, value in figures.items() if name not in ("table", "by_patient", "recipe")})


def refuse_other_recipe(folder, recipe):
    """Raise UsageError where the finished run in `folder` is one of another recipe."""
    recorded, asked = read_json(folder / "recipe.json")["recipe"], json.loads(json.dumps(dataclasses.asdict(recipe)))
    differing = [name for name in asked if recorded.get(name) != asked[name]]
    if differing:
        was = ", ".join(f"{name} {recorded.get(name)!r} (now {asked[name]!r})" for name in differing)
        raise UsageError(f"{folder} was trained with {was}; give the same flags or choose another --out")


def export(out):
    """Write the model in `out` as its next SavedModel version and print where that lies."""
    cli.load_tensorflow()
    import numpy as np

    from kerascnn.datasets.phantoms import drawn_patient
    from kerascnn.export_masks import export_segmenter
    from kerascnn.run import load_trained
    from kerascnn.segmentation import MaskSettings

    model, record = load_trained(out)
    metrics = read_json(out / "metrics.json") if (out / "metrics.json").is_file() else None
    names = ("recipe", "data", "split")
    card = {"model": model.name, **{name: record[name] for name in names}, "metrics": metrics, "use": USE}
    volume = drawn_patient(0).images
    channels = model.input_shape[-1]
    volume = np.concatenate([volume] * -(-channels // 3), -1)[..., :channels]
    version = export_segmenter(model, MaskSettings(**record["settings"]), out, card, volume)
    cli.result({"saved_model": str(version)})


def predict(paths, app, out, server, pictures):
    """Outline the tumor in each scan: a JSON object a scan on stdout, its files in the folder `pictures`.

    Raises InputError, after all others are outlined, naming the scans that cannot be read.
    """
    from kerascnn.patient_report import NOTICE
    from kerascnn.scans import read_scan

    # A server's model has no folder here; it is asked as the shipped one is.
    record = read_json(out / "recipe.json") if (out / "recipe.json").is_file() else None
    channels = len(record["data"]["channels"]) if record else 3
    modalities = record["recipe"]["modalities"] if record else MODALITIES
    scans, faults = verbs.usable(paths, lambda path: read_scan(path, channels, modalities))
    places = verbs.picture_places([path for path, _ in scans], pictures)
    answer = verbs.answerer(app, out, server, {"probability", "mask"}) if scans else None
    for (path, scan), place in zip(scans, places, strict=True):
        cli.result({"file": str(path), **outline(scan, answer, place.with_suffix(""), f"{app} in {server or out}")})
    cli.note(f"note: {NOTICE}")
    if faults:
        raise InputError("; ".join(faults))


def outline(scan, answer, place, model):
    """What `predict` prints of a scan; writes mask, overlay and report to files whose names begin with `place`."""
    import numpy as np

    from kerascnn.overlays import mask_sheet
    from kerascnn.patient_report import tumor_size, write_report
    from kerascnn.pictures import save_picture

    answers = answer(scan.images[np.newaxis], "predict_volume")
    probability, mask = answers["probability"][0], answers["mask"][0].astype(np.uint8)
    overlay, report = (place.with_name(place.name + ending) for ending in ("_overlay.png", "_report.html"))
    place.parent.mkdir(parents=True, exist_ok=True)
    if scan.nifti is not None:
        from kerascnn.datasets.nifti import write_mask

        written = place.with_name(place.name + "_mask.nii.gz")
        write_aside(written, lambda path: write_mask(path, mask, scan.nifti))
    elif len(mask) == 1:
        written = place.with_name(place.name + "_mask.png")
        save_picture(written, mask[0] * 255)
    else:
        written = place.with_name(place.name + "_masks")
        for i, each in enumerate(mask, 1):
            save_picture(written / f"{scan.name}_{i}_mask.png", each * 255)
    write_aside(overlay, lambda path: mask_sheet(scan.images, mask, path))
    write_aside(report, lambda path: write_report(path, scan.name, probability, mask, scan.spacing, overlay, model))
    return {
        "slices": len(mask),
        "slices_with_tumor": int(mask.any((1, 2, 3)).sum()),
        **tumor_size(int(mask.sum()), scan.spacing),
        "mask": str(written),
        "overlay": str(overlay),
        "report": str(report),
    }
