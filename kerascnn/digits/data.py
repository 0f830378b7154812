"""The images that digit networks are trained on, by name."""

import logging

from kerascnn import datasets
from kerascnn.digits import sklearn_digits
from kerascnn.errors import DataAbsent

logger = logging.getLogger(__name__)


def load(name, data_dir=None):
    """The Dataset called `name`: auto, sklearn_digits, or one of kerascnn.datasets.

    auto is MNIST, or scikit-learn's digits where it is neither there nor to be had. data_dir: where TensorFlow
    Datasets keeps its files; None means TFDS_DATA_DIR or TFDS's own default. Raises what kerascnn.datasets.load raises.
    """
    data = None
    if name != "sklearn_digits":
        try:
            data = datasets.load("mnist" if name == "auto" else name, data_dir)
        except DataAbsent as absent:
            if name != "auto":
                raise
            logger.warning(absent)
    data = data or sklearn_digits.load()
    logger.info("data: %s", data.description)
    return data
