"""A trained tumor network on the test patients of its own split."""

from kerascnn.errors import InputError
from kerascnn.files import write_json, writing_to
from kerascnn.segmentation.evaluation import Segmenter, draw_patients, evaluate_patients
from kerascnn.segmentation.inference import MaskSettings
from kerascnn.training.record import rebuilt, recorded_in
from kerascnn.training.run_folder import warn_of_other_data
from kerascnn.tumors.preprocessing import PREPROCESSING


def evaluate(model, record, data, folder, empty="one"):
    """The metrics of evaluate_patients; `folder` gets them as metrics.json, and overlays.png and strips/ of the masks.

    model, record: what load_trained says of a run. data: the PatientDataset that holds its test patients.
    """
    patients = tested_patients(record, data)
    settings = recorded_settings(record, folder)
    metrics, masks = evaluate_patients(Segmenter(model, PREPROCESSING), settings, patients, empty)
    metrics |= {"data": data.name, "split": "test", "fold": record["recipe"].get("fold", 0), "model": model.name}
    with writing_to(folder):
        write_json(folder / "metrics.json", metrics)
        draw_patients(metrics["table"], patients, masks, folder)
    return metrics


def recorded_settings(record, folder):
    """The MaskSettings of the run in `folder`, by its recipe.json. Raises InputError where it says none."""
    with recorded_in(folder):
        return rebuilt(MaskSettings, record["settings"])


def tested_patients(record, data):
    """The test patients of a run's split. Raises InputError when the data lack one."""
    by_name = {patient.name: patient for patient in data.patients}
    if absent := [name for name in record["split"]["test"] if name not in by_name]:
        raise InputError(f"no data of the test patients {', '.join(absent)}; choose another data_dir")
    warn_of_other_data(record, data)
    return [by_name[name] for name in record["split"]["test"]]
