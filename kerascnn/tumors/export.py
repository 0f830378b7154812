"""A trained tumor network as a SavedModel, with its preprocessing, settings and model card."""

import numpy as np

from kerascnn.files import read_json_if_any
from kerascnn.segmentation.export import export_segmenter
from kerascnn.tumors.card import segmenter_card
from kerascnn.tumors.evaluation import recorded_settings
from kerascnn.tumors.phantoms import drawn_patient
from kerascnn.tumors.preprocessing import PREPROCESSING


def export(model, record, folder):
    """Write the network of the run in `folder` as the next version of the SavedModel there; the version's path.

    model, record: what load_trained says of the run. Verified on a drawn patient. Raises what export_segmenter raises.
    """
    card = segmenter_card(model, record, read_json_if_any(folder / "metrics.json"))
    channels = model.input_shape[-1]
    volume = np.concatenate([drawn_patient(0).images] * -(-channels // 3), -1)[..., :channels]
    return export_segmenter(model, PREPROCESSING, recorded_settings(record, folder), folder, card, volume)
