"""An exported segmentation network answers everywhere as the code it was trained and evaluated with."""

import io
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn.errors import InputError
from kerascnn.models import builder
from kerascnn.models.unet import build
from kerascnn.saved_model.versions import SavedModel
from kerascnn.segmentation.evaluation import Segmenter
from kerascnn.segmentation.export import export_segmenter
from kerascnn.segmentation.export import signatures as signatures_of
from kerascnn.segmentation.inference import MaskSettings
from kerascnn.tumors.phantoms import drawn_patient
from kerascnn.tumors.preprocessing import PREPROCESSING

pytestmark = pytest.mark.slow  # a minute to trace and to verify
SETTINGS = MaskSettings(threshold=0.4, flip_tta=True, most_confident_component=True)
VOLUMES = np.stack([drawn_patient(number).images for number in range(2)])


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def network():
    """A network of one level, as the precision mixed_bfloat16 trains it."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build((32, 32, 3), 1, "unet_buda", width=2, depth=1, batch_norm=True)
    finally:
        keras.config.set_dtype_policy("float32")
    model.get_layer("logits").kernel.assign(model.get_layer("logits").kernel * 5)
    return model


@pytest.fixture(scope="module")
def version(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved_models") / "tumors"
    return export_segmenter(network, PREPROCESSING, SETTINGS, folder, {"data": {"licence": "CC0"}}, VOLUMES[0])


@pytest.fixture(scope="module")
def signatures(version):
    loaded = tf.saved_model.load(version)
    return loaded.signatures


def call(signatures, name, value):
    (key,) = signatures[name].structured_input_signature[1]
    return {key: array.numpy() for key, array in signatures[name](**{key: tf.constant(value)}).items()}


def test_a_volume_is_answered_as_it_is_evaluated(network, signatures):
    answer, segmenter = call(signatures, "predict_volume", VOLUMES), Segmenter(network, PREPROCESSING)
    for i, volume in enumerate(VOLUMES):
        probabilities, mask = segmenter.probabilities(volume, SETTINGS.flip_tta), segmenter.mask(volume, SETTINGS)
        np.testing.assert_allclose(answer["probability"][i], probabilities, atol=1e-5)
        np.testing.assert_array_equal(answer["mask"][i], mask)
        assert answer["tumor_voxels"][i] == mask.sum()


def test_volumes_of_a_batch_do_not_see_each_other(signatures):
    dark = VOLUMES // np.array([1, 8], np.uint8)[:, None, None, None, None]
    together = call(signatures, "predict_volume", dark)["probability"]
    alone = [call(signatures, "predict_volume", volume[np.newaxis])["probability"][0] for volume in dark]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_an_image_is_a_volume_of_one_slice(signatures):
    images = VOLUMES[0][2:5]
    answer = call(signatures, "serving_default", images)
    assert answer["mask"].shape == (3, 64, 64, 1)
    volumes = call(signatures, "predict_volume", images[:, np.newaxis])
    np.testing.assert_array_equal(answer["mask"], volumes["mask"][:, 0])


def test_images_of_any_size_are_answered_with_png_masks(signatures):
    small = np.ascontiguousarray(VOLUMES[1][4][:50, :60])
    contents = [png(VOLUMES[0][4]), b"no image", png(small)]
    answer = call(signatures, "predict_bytes", contents)
    assert answer["valid"].tolist() == [True, False, True]
    assert list(zip(answer["height"], answer["width"], strict=True)) == [(64, 64), (0, 0), (50, 60)]
    assert answer["mask"].shape == answer["probability"].shape == (3, 64, 64, 1)
    assert not answer["probability"][1].any()
    assert not answer["probability"][2, 50:].any()
    assert not answer["probability"][2, :, 60:].any()
    assert answer["mask_png_bytes"][1] == b""
    for i, image in ((0, VOLUMES[0][4]), (2, small)):
        expected = call(signatures, "serving_default", image[np.newaxis])["mask"][0, ..., 0]
        decoded = np.asarray(Image.open(io.BytesIO(answer["mask_png_bytes"][i])))
        np.testing.assert_array_equal(decoded, expected * 255)
        height, width = image.shape[:2]
        np.testing.assert_array_equal(answer["mask"][i, :height, :width, 0], expected)


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (2, 17, 33, 3), (1, 300, 200, 3), (0, 20, 20, 3)])
def test_any_size_is_answered_in_its_own_size(signatures, shape):
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert call(signatures, "serving_default", images)["mask"].shape == (*shape[:3], 1)


def test_a_long_and_narrow_image_is_not_valid(signatures):
    contents = [png(np.zeros((1, 8193, 3), np.uint8)), png(VOLUMES[0][4])]
    answer = call(signatures, "predict_bytes", contents)
    assert answer["valid"].tolist() == [False, True]
    assert answer["mask"].shape == (2, 64, 64, 1)


def test_an_answer_that_would_fill_the_memory_is_an_error(signatures):
    wide, high = (png(np.zeros(shape, np.uint8)) for shape in ((1, 4096, 3), (4096, 1, 3)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 2\\^26 pixels"):
        call(signatures, "predict_bytes", [wide, high, *[png(np.zeros((1, 1, 3), np.uint8))] * 3])


def test_what_the_model_does_not_take_is_one_line(version):
    with pytest.raises(InputError, match=r"does not take this input \(.*at most 2\^26 voxels"):
        SavedModel(version).call("predict_volume", np.zeros((1, 65537, 1, 1, 3), np.uint8), ("mask",))


def test_no_image_is_answered_with_none(signatures):
    answer = call(signatures, "predict_bytes", np.array([], object))
    assert len(answer["valid"]) == len(answer["mask_png_bytes"]) == 0


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("serving_default", (1, 20, 20, 4)),
        ("predict_volume", (1, 0, 20, 20, 3)),
        ("serving_default", (1, 0, 20, 3)),
        # small requests whose windows or preprocessed slices would fill the memory
        ("serving_default", (1, 1, 8193, 3)),
        ("predict_volume", (1, 65537, 1, 1, 3)),
    ],
)
def test_a_shape_that_cannot_be_answered_is_an_error_and_no_crash(signatures, name, shape):
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        call(signatures, name, np.zeros(shape, np.uint8))


def test_the_card_and_the_warm_up_lie_beside_the_model(version):
    card = json.loads((version / "assets.extra" / "card.json").read_text())
    assert card["settings"]["threshold"] == 0.4
    assert max(card["parity"].values()) <= 1e-5
    assert set(card["inputs"]) == {"serving_default", "predict_volume", "predict_bytes", "probabilities"}
    records = list(tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests")))
    assert len(records) == 4


def test_other_channels_have_no_signature_for_image_files():
    endpoints = signatures_of(builder("unet_buda")((32, 32, 4), width=2), PREPROCESSING, MaskSettings())
    assert set(endpoints) == {"serving_default", "predict_volume", "probabilities"}
    answer, spec = endpoints["predict_volume"]
    assert spec.shape.as_list() == [None, None, None, None, 4]
    assert answer(np.zeros((1, 2, 40, 40, 4), np.uint8))["mask"].shape == (1, 2, 40, 40, 1)
