"""The answers of a segmentation network itself, which saved_model.verification compares an export's with."""

import pickle

import numpy as np
import tensorflow as tf

from kerascnn.saved_model.verification import write_reference
from kerascnn.segmentation.inference import network_probabilities, volume_probabilities


def answer(model, inputs):
    """Probabilities by signature; reference.pickle holds the Preprocessing, as import paths, and whether to use TTA."""
    with open("reference.pickle", "rb") as file:
        preprocessing, flip_tta = pickle.load(file)

    def of_volumes(volumes):
        """(B, S, H, W, C) -> (B, S, H, W, 1)"""
        answers = [volume_probabilities(model, preprocessing, tf.constant(volume), flip_tta) for volume in volumes]
        return np.stack(answers)

    answers = {
        "serving_default": of_volumes(inputs["serving_default"][:, np.newaxis])[:, 0],
        "predict_volume": of_volumes(inputs["predict_volume"]),
        "probabilities": network_probabilities(model, inputs["probabilities"], flip_tta),
    }
    if "predict_bytes" in inputs:
        answers["predict_bytes"] = answers["serving_default"]
    return answers


if __name__ == "__main__":
    write_reference(answer)
