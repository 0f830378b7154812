"""What a network is worth on patients, and settings chosen for it."""

import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerascnn as kc
from kerascnn.datasets.examples import Examples
from kerascnn.errors import UsageError
from kerascnn.segmentation.evaluation import Segmenter, choose_settings, evaluate, evaluate_patients, figures
from kerascnn.segmentation.inference import MaskSettings
from kerascnn.tumors.patients import Patient
from kerascnn.tumors.phantoms import drawn_patient
from kerascnn.tumors.preprocessing import PREPROCESSING


@keras.saving.register_keras_serializable(package="tests")
class Bright(keras.layers.Layer):
    """Logits 50 (x - 0.5) of the middle channel x: a phantom's head is 1 / 3 and its blob twice as bright."""

    def call(self, x):
        return 50 * (x[..., 1:2] - 0.5)


@pytest.fixture(scope="module")
def finder():
    """A network that finds the phantoms' tumors by their intensity."""
    image = keras.Input((64, 64, 3), name="image")
    return keras.Model(image, Bright(name="logits")(image))


def test_a_network_with_a_head_on_the_way_is_scored_by_its_logits(finder):
    patient = drawn_patient(0)
    examples = Examples(patient.images, patient.masks)
    heads = keras.Model(finder.input, {"logits": finder.output, "aux": finder.output[:, ::2]})
    assert evaluate(heads, examples) == evaluate(finder, examples)


def test_answers_of_another_size_or_number_of_channels_are_an_error(finder):
    patient = drawn_patient(0)
    examples = Examples(patient.images, patient.masks)
    with pytest.raises(UsageError, match="^data has masks of 64x64, and the model answers 32x64; give a model of the"):
        evaluate(keras.Model(finder.input, finder.output[:, ::2]), examples)
    of_three = keras.Model(finder.input, keras.layers.Concatenate()(3 * [finder.output]))
    with pytest.raises(
        UsageError, match="^model answers 3 channels, and masks are of one foreground; build it with on"
    ):
        evaluate(of_three, examples)
    with pytest.raises(UsageError, match="^model .* answers 64x64x3 for 64x64 pixels; give one of as many pixels and"):
        kc.export(of_three, "nowhere")


def test_datasets_without_end_or_batch_are_errors(finder):
    batch = np.zeros((2, 64, 64, 3), np.float32), np.zeros((2, 64, 64, 1), np.float32)
    data = tf.data.Dataset.from_tensors(batch)
    for wrong, words in ((data.repeat(), "without end; give it one with"), (data.filter(lambda *_: False), "no batch")):
        with pytest.raises(UsageError, match=words):
            kc.evaluate(finder, wrong)
    with pytest.raises(UsageError, match=r"^data has labels of shape \(2, 64, 64\), neither labels \(B,\) nor masks"):
        kc.evaluate(finder, data.map(lambda images, masks: (images, masks[..., 0])))


@pytest.mark.long
def test_settings_are_chosen_for_what_helps(finder):
    patients = [drawn_patient(number) for number in range(3)]
    segmenter = Segmenter(finder, PREPROCESSING)
    settings, tried = choose_settings([(segmenter, patient) for patient in patients])
    chosen = max(tried, key=lambda attempt: attempt["dice"])
    assert {name: value for name, value in chosen.items() if name != "dice"} == vars(settings)
    assert len(tried) == 1 + 1 + 13 + 2 + 4 + 1
    assert tried[0]["dice"] <= chosen["dice"]
    # flipping changes nothing for a network that looks at single pixels, so it is not kept
    assert settings.flip_tta is False


class Shifted:
    """Stands in for a Segmenter that finds a single voxel of a patient, and none of a single slice."""

    def mask(self, images, settings):
        mask = np.zeros((*images.shape[:3], 1), np.uint8)
        mask[1:2, 2, 0] = 1
        return mask


def test_distances_are_in_millimetres_where_the_spacing_is_known():
    truth = np.zeros((2, 8, 8, 1), np.uint8)
    truth[0, 0, 0] = 1
    patient = Patient("p", np.zeros((2, 8, 8, 3), np.uint8), truth, "site", spacing=(5.0, 2.0, 1.0))
    metrics, _ = evaluate_patients(Shifted(), MaskSettings(), [patient])
    # one slice of 5 mm and two rows of 2 mm away
    assert metrics["table"][0]["hausdorff95"] == pytest.approx(math.hypot(5, 4))
    assert metrics["distances_in"] == "mm"
    rough = dataclasses.replace(patient, spacing=None)
    metrics, _ = evaluate_patients(Shifted(), MaskSettings(), [patient, rough])
    assert [row["hausdorff95"] for row in metrics["table"]] == pytest.approx([math.hypot(1, 2)] * 2)
    assert metrics["distances_in"] == "pixels"


def test_distances_within_a_slice_are_those_of_its_plane():
    truth, mask = np.zeros((2, 1, 8, 8, 1), np.uint8)
    truth[0, 0, 0], mask[0, 2, 3] = 1, 1
    # two rows of 2 mm, three columns of 1 mm
    assert figures(truth, mask, (5.0, 2.0, 1.0), "one")["hausdorff95"] == pytest.approx(5)


def test_patients_are_scored_as_wholes(finder):
    patients = [drawn_patient(number) for number in (4, 5)]
    segmenter, settings = Segmenter(finder, PREPROCESSING), MaskSettings(threshold=0.5)
    metrics, masks = evaluate_patients(segmenter, settings, patients)
    dices = []
    for patient in patients:
        truth, mask = patient.masks > 0, masks[patient.name] > 0
        dices.append(2 * (truth & mask).sum() / (truth.sum() + mask.sum()))
    assert metrics["patient_dice"] == pytest.approx(np.mean(dices))
    assert metrics["patient_dice"] > 0.8
    assert [row["dice"] for row in metrics["table"]] == pytest.approx(dices)
    assert metrics["by_slice"]["dice"]["values"] == sum(len(patient) for patient in patients)
    assert metrics["distances_in"] == "pixels"
    assert metrics["settings"]["threshold"] == 0.5
    alone = []
    for patient in patients:
        found = np.stack([segmenter.mask(image[np.newaxis], settings)[0] for image in patient.images]) > 0
        alone.append(2 * (found & (patient.masks > 0)).sum() / (found.sum() + patient.masks.sum()))
    assert metrics["single_image_patient_dice"] == pytest.approx(np.mean(alone))
    by_name = {patient.name: dice for patient, dice in zip(patients, dices, strict=True)}
    assert [by_name[name] for name in metrics["worst"]] == sorted(dices)


@pytest.mark.long
def test_post_processing_that_hurts_is_dropped(finder):
    # two tumors of nearly one size: the largest component alone would be little more than half of the truth
    patient = drawn_patient(2)
    apart = np.zeros_like(patient.masks)
    images = patient.images.copy()
    for left in (18, 40):
        apart[2:6, 28 : 36 + (left == 40), left : left + 8] = 1
    healthy = np.where(patient.masks[..., 0], 90, images[..., 1])
    images[..., 1] = np.where(apart[..., 0], 250, healthy)
    settings, tried = choose_settings([(Segmenter(finder, PREPROCESSING), Patient("two", images, apart))])
    assert not settings.largest_component
    assert not settings.most_confident_component
    assert [attempt["dice"] for attempt in tried if attempt["largest_component"]][0] < 0.75
    assert max(attempt["dice"] for attempt in tried) > 0.9


@pytest.mark.long
def test_a_patient_without_tumor_or_dice_spoils_nothing(finder):
    empty = Patient("empty", np.zeros((3, 20, 20, 3), np.uint8), np.zeros((3, 20, 20, 1), np.uint8))
    metrics, _ = evaluate_patients(Segmenter(finder, PREPROCESSING), MaskSettings(), [empty, drawn_patient(4)], "skip")
    assert metrics["by_patient"]["dice"]["values"] == 1
    assert metrics["table"][0]["dice"] is None
    assert metrics["worst"] == ["phantom_04"]
    alone, _ = evaluate_patients(Segmenter(finder, PREPROCESSING), MaskSettings(), [empty], "skip")
    assert alone["patient_dice"] is None


def test_the_rule_for_empty_slices_is_followed(finder):
    patients, segmenter = [drawn_patient(4)], Segmenter(finder, PREPROCESSING)
    counted, skipped = (evaluate_patients(segmenter, MaskSettings(), patients, rule)[0] for rule in ("one", "skip"))
    empty = sum(not mask.any() for mask in patients[0].masks)
    assert empty
    assert skipped["by_slice"]["dice"]["values"] < counted["by_slice"]["dice"]["values"] == len(patients[0])
    assert skipped["patient_dice"] == counted["patient_dice"]
