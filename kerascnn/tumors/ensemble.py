"""An ensemble: networks for masks that are trained one after the other and then averaged into one model.

Each has validation patients of its own, so that together they learn from nearly all patients, and settings are chosen
on several times as many as one network would leave.
"""

import dataclasses

from kerascnn.cli import app as cli
from kerascnn.errors import UsageError
from kerascnn.files import one_writer, read_json, write_aside, write_json
from kerascnn.training.run_folder import check_same_recipe
from kerascnn.tumors.training import train_network


def train_ensemble(app, recipe, data, out, resume):
    """Train recipe.members networks in `out`/member0 …, and leave their average and its recipe.json in `out`.

    Raises what training.fit raises, and UsageError where a member in `out` is one of another recipe or of other data.
    """
    from kerascnn.saved_model.folding import averaged
    from kerascnn.training.fit import check_folder, stopped_by_limits
    from kerascnn.training.run_folder import load_trained
    from kerascnn.tumors.patients import split

    folders = [out / f"member{number}" for number in range(recipe.members)]
    recipes = [dataclasses.replace(recipe, members=1, seed=recipe.seed + number) for number in range(recipe.members)]
    splits = [split(data.patients, recipe.fold, number) for number in range(recipe.members)]
    check_folder(out, any(folder.is_dir() for folder in folders), resume)
    with one_writer(out), stopped_by_limits(recipe):
        for number, (folder, own, parts) in enumerate(zip(folders, recipes, splits, strict=True), 1):
            cli.note(f"network {number} of {recipe.members}")
            if (folder / "recipe.json").is_file():
                check_same_member(folder, own, data, parts)
            else:
                train_network(app, own, data, parts, folder, (folder / "checkpoint.npz").exists())
        models, records = zip(*(load_trained(folder, app) for folder in folders), strict=True)
        record = ensemble_record(recipe, models, records, splits)
        write_aside(out / "model.keras", averaged(models).save)
        write_json(out / "recipe.json", record)


def check_same_member(folder, recipe, data, parts):
    """Raise UsageError where the finished run in `folder` is one of another recipe, data or split."""
    record = read_json(folder / "recipe.json")
    check_same_recipe(record, folder, recipe)
    if record["data"] != data.metadata() or record["split"] != parts.metadata():
        raise UsageError(f"{folder} was trained on other data; give the same or choose another --out")


def ensemble_record(recipe, models, records, splits):
    """What recipe.json says of an ensemble of `models`, whose own recipe.json say `records`: JSON types.

    The settings are chosen on the validation patients of all, each seen by the network that was not trained on it.
    """
    from kerascnn.provenance import origin
    from kerascnn.segmentation.evaluation import Segmenter, choose_settings

    unseen = [
        (segmenter, patient)
        for segmenter, parts in zip(map(Segmenter, models), splits, strict=True)
        for patient in parts.validation
    ]
    settings, tried = choose_settings(unseen)
    validation = [patient.name for _, patient in unseen]
    train = [patient.name for patient in splits[0].train if patient.name not in validation]
    kept = ("split", "best_epoch", "validation", "settings", "training_seconds", "peak_memory_mib")
    return {
        **{name: records[0][name] for name in ("app", "data")},
        "recipe": dataclasses.asdict(recipe),
        "split": {"train": train, "validation": validation, "test": [patient.name for patient in splits[0].test]},
        "complete": True,
        "members": [{name: each[name] for name in kept} for each in records],
        "training_seconds": round(sum(each["training_seconds"] for each in records), 1),
        "peak_memory_mib": max(each["peak_memory_mib"] for each in records),
        "settings": dataclasses.asdict(settings),
        "settings_tried": tried,
        **origin(),
    }
