"""The model card of a segmenter: what it was trained on, what it may be used for, and what its figures rest on."""

from kerascnn.tumors.report import NOTICE

NON_COMMERCIAL = (
    "The weights are derived from non-commercial data: do not use them commercially, name the sources of the data, and "
    "share what you derive from them under the same licence (https://creativecommons.org/licenses/by-nc-sa/4.0/)."
)
CHOICES = "Weights, best epoch and settings were chosen on the training and validation patients named in `split`."
ENSEMBLE = (
    "Each of the averaged networks (`networks`) was trained on the validation patients of the others, too; the "
    "settings were chosen on what each network said of its own."
)
SCORED = "None of these was chosen on its test patients, whom `metrics` scores."
SLICES = (
    "Axial, the front of the head at the top; `minimum_component_size` in the settings counts voxels of the slices as "
    "they come."
)


def segmenter_card(model, record, metrics):
    """A dict for JSON of the network `model`, its run's recipe.json and its metrics.json, None if not evaluated."""
    run = ("recipe", "data", "split", "training_seconds", "peak_memory_mib", "hardware")
    choices = [CHOICES, *([ENSEMBLE] if "networks" in record else []), *([SCORED] if metrics else [])]
    return {
        "model": model.name,
        "parameters": model.count_params(),
        **{name: record.get(name) for name in run},
        **({"networks": record["networks"]} if "networks" in record else {}),
        "sources": sources(record["data"]["name"]),
        "metrics": metrics,
        "slices": SLICES,
        "use": [NOTICE, NON_COMMERCIAL] if "-NC" in record["data"]["licence"] else [NOTICE],
        "choices": " ".join(choices),
    }


def sources(name):
    """Whom to name for the data set called `name`, a list of texts."""
    if name != "brain_mri":
        return []
    from kerascnn.tumors.brain_mri import SOURCE

    return [
        f"LGG MRI segmentation, {SOURCE}; Buda, Saha & Mazurowski, 2019, arXiv:1906.03720",
        "its images: The Cancer Imaging Archive, collection TCGA-LGG (CC BY 3.0), whose data usage policy forbids "
        "attempts to identify participants",
    ]
