"""The verbs of apps that outline something in patients' slices; an app says which data, network and numbers.

TensorFlow and Keras are imported inside the verbs, after everything that can be checked without them.
"""

import dataclasses

from kerascnn.cli import app as cli
from kerascnn.errors import InputError, UsageError
from kerascnn.files import read_json, write_aside, write_json, writing_to
from kerascnn.tensorflow_setup import load_tensorflow
from kerascnn.training.run_folder import check_unfinished
from kerascnn.tumors.ensemble import train_ensemble
from kerascnn.tumors.training import check, load_data, train_network


def smoke(recipe):
    """The recipe of a few seconds' run on drawn phantoms, which proves the wiring and says so."""
    cli.note("note: --smoke trains two epochs on drawn phantoms, whatever other flags say; its figures mean nothing")
    tiny = {"model": "unet_buda", "width": 8, "depth": None, "side": 64, "epochs": 2, "batch_size": 8}
    return dataclasses.replace(recipe, data="phantoms", loss="dice_cross_entropy", **tiny)


def train(app, recipe, data_dir, out, resume):
    """Train the network of a recipe, or an ensemble of recipe.members, into the folder `out`."""
    check(recipe, data_dir)
    check_unfinished(out)
    check_same_ensemble(out, recipe.members)
    load_tensorflow()
    from kerascnn.tumors.patients import split

    data = load_data(recipe.data, data_dir, recipe.modalities)
    if recipe.members == 1:
        train_network(app, recipe, data, split(data.patients, recipe.fold), out, resume)
    else:
        train_ensemble(app, recipe, data, out, resume)


def check_same_ensemble(out, members):
    """Raise UsageError where `out` holds a started run of another number of networks."""
    fitting = {f"member{number}" for number in range(members)} if members > 1 else set()
    others = {path.name for path in out.glob("member*")} - fitting
    if others or (members > 1 and (out / "checkpoint.npz").exists()):
        raise UsageError(
            f"{out} holds a run of other than {members} --members; give its number or choose another --out"
        )


def evaluate(app, data_dir, out, empty, requirements):
    """Score the model in `out` on the test patients of its split; print and check the metrics."""
    load_tensorflow()
    from kerascnn.segmentation.evaluation import Segmenter, evaluate_patients
    from kerascnn.segmentation.inference import MaskSettings
    from kerascnn.training.run_folder import load_trained

    model, record = load_trained(out, app)
    if record["data"]["name"] == "nifti" and data_dir is None:
        raise UsageError("the model's data have no folder; name the one of its NIfTI volumes with --data-dir")
    patients = test_patients(record, load_data(record["data"]["name"], data_dir, record["recipe"]["modalities"]))
    metrics, masks = evaluate_patients(Segmenter(model), MaskSettings(**record["settings"]), patients, empty)
    metadata = {"data": record["data"]["name"], "split": "test", "fold": record["recipe"]["fold"], "model": model.name}
    with writing_to(out):
        write_json(out / "metrics.json", metrics | metadata)
        draw_cases(metrics["table"], patients, masks, out)
    cli.result({name: value for name, value in metrics.items() if name not in ("table", "by_patient", "by_slice")})
    cli.require(metrics, requirements)


def draw_cases(table, patients, masks, out):
    """Draw the best, median and worst patient's slice with the most tumor, and all patients' slices, into `out`."""
    from kerascnn.segmentation.evaluation import ranked
    from kerascnn.segmentation.overlays import overlay_sheet, patient_strip

    by_name = {patient.name: patient for patient in patients}
    rows = ranked(table)
    if rows:
        chosen = {"best": rows[0], "median": rows[len(rows) // 2], "worst": rows[-1]}
        cases = [
            (f"{title}: Dice {row['dice']:.2f}", by_name[row["patient"]], masks[row["patient"]])
            for title, row in chosen.items()
        ]
        write_aside(out / "overlays.png", lambda path: overlay_sheet(cases, path))
    (out / "strips").mkdir(exist_ok=True)
    for name, patient in by_name.items():
        write_aside(
            out / "strips" / f"{name}.png",
            lambda path, patient=patient: patient_strip(patient, masks[patient.name], path),
        )


def test_patients(record, data):
    """The test patients of a run's split. Raises InputError when the data lack one."""
    by_name = {patient.name: patient for patient in data.patients}
    absent = [name for name in record["split"]["test"] if name not in by_name]
    if absent:
        raise InputError(f"no data of the test patients {', '.join(absent)}; name their folder with --data-dir")
    if data.checksum() != record["data"]["sha256"]:
        cli.note("note: the data are not those that the model was trained on")
    return [by_name[name] for name in record["split"]["test"]]


def export(app, out):
    """Write the model in `out` as its next SavedModel version and print where that lies."""
    load_tensorflow()
    import numpy as np

    from kerascnn.segmentation.export import export_segmenter
    from kerascnn.segmentation.inference import MaskSettings
    from kerascnn.training.run_folder import load_trained
    from kerascnn.tumors.card import segmenter_card
    from kerascnn.tumors.phantoms import drawn_patient

    model, record = load_trained(out, app)
    metrics = read_json(out / "metrics.json") if (out / "metrics.json").is_file() else None
    card = segmenter_card(model, record, metrics)
    volume = drawn_patient(0).images
    channels = model.input_shape[-1]
    volume = np.concatenate([volume] * -(-channels // 3), -1)[..., :channels]
    version = export_segmenter(model, MaskSettings(**record["settings"]), out, card, volume)
    cli.result({"saved_model": str(version)})
