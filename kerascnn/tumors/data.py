"""The patients that tumor networks are trained on, by name."""

from kerascnn.errors import UsageError

SOURCES = ("brain_mri", "nifti", "phantoms")


def load(name, data_dir=None, modalities=()):
    """The PatientDataset called `name`, one of SOURCES.

    data_dir: where TensorFlow Datasets keeps its files (None: TFDS_DATA_DIR or TFDS's own default); for nifti the
    folder of volumes, of which `modalities` become the channels. Raises UsageError for an unknown name, InputError when
    files are neither there nor to be had, or damaged.
    """
    if name == "nifti":
        from kerascnn.tumors import nifti

        return nifti.load(data_dir, modalities)
    if name == "phantoms":
        from kerascnn.tumors import phantoms

        return phantoms.load()
    if name == "brain_mri":
        from kerascnn.tumors import brain_mri

        return brain_mri.load(data_dir=data_dir)
    raise UsageError(f"unknown patients {name!r}; choose one of {', '.join(SOURCES)}")
