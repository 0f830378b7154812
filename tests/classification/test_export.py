"""An exported classifier answers everywhere as Keras does."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn.classification.evaluation import answers_over_views
from kerascnn.classification.export import classification, export
from kerascnn.classification.inference import Inference
from kerascnn.datasets import image_folder
from kerascnn.digits.preprocessing import preprocess_digits
from kerascnn.errors import InputError, UsageError
from kerascnn.models import builder
from kerascnn.saved_model.folding import in_float32
from kerascnn.serving.predictor import load_predictor

pytestmark = pytest.mark.long

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
RECORD = {"recipe": {"epochs": 3}, "data": {"licence": "CC0"}}

FOREIGN_PROGRAM = Path(__file__).with_name("foreign_program.py")


def drawings(number):
    """Thick random strokes, dark on light, off centre: uint8 (number, 40, 36, 1)."""
    rng = np.random.default_rng(1)
    images = np.full((number, 40, 36, 1), 220, np.uint8)
    for image in images:
        for _ in range(3):
            top, left = rng.integers(2, 20, 2)
            height, width = rng.permutation([rng.integers(8, 16), 3])
            image[top : top + height, left : left + width] = 30
    return images


def png(image):
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, "PNG")
    return file.getvalue()


def network():
    keras.utils.set_random_seed(1)
    model = builder("lenet5")()
    # Logits of an untrained network are so close together that a wrong answer would hardly differ.
    model.get_layer("logits").kernel.assign(model.get_layer("logits").kernel * 20)
    return model


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def half():
    """The model, as it is when it was trained in half precision."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = network()
    keras.config.set_dtype_policy("float32")
    return model


@pytest.fixture(scope="module")
def version(half, tmp_path_factory):
    """Exported from half precision; what it answers is compared with the model in float32."""
    folder = tmp_path_factory.mktemp("saved_models") / "digits"
    folder.mkdir(parents=True)
    for name, content in (("recipe.json", RECORD), ("metrics.json", {"accuracy": 0.5})):
        (folder / name).write_text(json.dumps(content))
    return export(half, folder, NAMES, preprocess_digits, drawings(4))


@pytest.fixture(scope="module")
def signatures(version):
    loaded = tf.saved_model.load(version)
    return loaded.signatures


@pytest.fixture(scope="module")
def expected(model):
    """The probabilities of drawings(4), with softmax as its definition has it."""
    powers = np.exp(model.predict(preprocess_digits(drawings(4)).numpy(), verbose=0).astype(np.float64))
    return powers / powers.sum(1, keepdims=True)


def check_classification(answer, expected):
    order = np.argsort(-expected, axis=1)[:, :5]
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    np.testing.assert_array_equal(answer["class_id"], order[:, 0])
    np.testing.assert_array_equal(answer["class_name"], np.array(NAMES, "S")[order[:, 0]])
    np.testing.assert_allclose(answer["score"], expected.max(1), atol=1e-5)
    np.testing.assert_array_equal(answer["top_names"], np.array(NAMES, "S")[order])
    np.testing.assert_allclose(answer["top_scores"], np.take_along_axis(expected, order, 1), atol=1e-5)


def test_a_version_holds_five_signatures_with_named_inputs_and_outputs(signatures):
    answer = {
        "probabilities": (None, 10),
        "class_id": (None,),
        "class_name": (None,),
        "score": (None,),
        "top_names": (None, 5),
        "top_scores": (None, 5),
    }
    expected = {
        "serving_default": ("image", tf.uint8, [None] * 4, answer),
        "predict_bytes": ("image_bytes", tf.string, [None], {**answer, "valid": (None,)}),
        "logits": ("image", tf.float32, [None, 28, 28, 1], {"logits": (None, 10)}),
        "probabilities": ("image", tf.float32, [None, 28, 28, 1], {"probabilities": (None, 10)}),
        "embedding": ("image", tf.float32, [None, 28, 28, 1], {"embedding": (None, 84)}),
    }
    assert set(signatures) == set(expected)
    for name, (key, dtype, shape, outputs) in expected.items():
        ((found_key, spec),) = signatures[name].structured_input_signature[1].items()
        assert (found_key, spec.dtype, spec.shape.as_list()) == (key, dtype, shape)
        found = signatures[name].structured_outputs
        assert {key: tuple(value.shape) for key, value in found.items()} == outputs


def test_pixels_and_bytes_are_answered_as_keras_answers(signatures, expected):
    check_classification(signatures["serving_default"](image=tf.constant(drawings(4))), expected)
    answer = signatures["predict_bytes"](image_bytes=tf.constant([png(image) for image in drawings(4)]))
    check_classification(answer, expected)
    assert answer["valid"].numpy().all()


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_and_opaque_alpha_change_no_answer(signatures, expected, channels):
    images = np.repeat(drawings(4), channels, axis=3)
    images[..., 3:] = 255
    check_classification(signatures["serving_default"](image=tf.constant(images)), expected)


def test_preprocessed_images_give_logits_probabilities_and_embedding(signatures, model, expected):
    image = preprocess_digits(drawings(4))
    logits = signatures["logits"](image=image)["logits"]
    np.testing.assert_allclose(logits, model(image, training=False), atol=1e-5)
    np.testing.assert_allclose(signatures["probabilities"](image=image)["probabilities"], expected, atol=1e-5)
    embedding = signatures["embedding"](image=image)["embedding"].numpy()
    kernel, bias = (weight.numpy() for weight in model.get_layer("logits").weights)
    np.testing.assert_allclose(embedding @ kernel + bias, logits, atol=1e-4)


def test_an_invalid_item_is_answered_with_zeros_and_spoils_no_other(signatures):
    good, blank = png(drawings(1)[0]), png(np.full((9, 9), 128, np.uint8))
    predict = signatures["predict_bytes"]
    answer = predict(image_bytes=tf.constant([good, b"GIF89a no", blank, good[:50], b""]))
    assert answer["valid"].numpy().tolist() == [True, False, True, False, False]
    bad = [1, 3, 4]
    for name in ("probabilities", "score", "top_scores"):
        assert np.isfinite(answer[name]).all()
        assert not answer[name].numpy()[bad].any()
    assert answer["class_id"].numpy()[bad].tolist() == [-1, -1, -1]
    assert answer["class_name"].numpy()[bad].tolist() == [b"", b"", b""]
    assert set(answer["top_names"].numpy()[bad].ravel()) == {b""}
    alone = predict(image_bytes=tf.constant([good, blank]))
    for name, value in alone.items():
        np.testing.assert_array_equal(answer[name].numpy()[[0, 2]], value)


def test_an_empty_batch_is_answered_with_an_empty_batch(signatures):
    assert signatures["predict_bytes"](image_bytes=tf.zeros([0], tf.string))["top_names"].shape == (0, 5)
    assert signatures["serving_default"](image=tf.zeros([0, 8, 8, 3], tf.uint8))["probabilities"].shape == (0, 10)


def test_fewer_than_five_classes_are_all_named():
    answer = classification(tf.constant([[0.0, 2.0, 1.0]]), ["a", "b", "c"])
    assert answer["top_names"].numpy().tolist() == [[b"b", b"c", b"a"]]


@pytest.mark.slow
def test_another_program_reads_an_image_and_survives_wrong_shapes(version, expected, tmp_path):
    """A wrong rank ends the process in oneDNN's convolution unless the shape is checked before it."""
    (tmp_path / "image.png").write_bytes(png(drawings(4)[0]))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, FOREIGN_PROGRAM, version, tmp_path / "image.png"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert not said["own"]
    np.testing.assert_allclose(said["answer"]["probabilities"][0], expected[0], atol=1e-5)
    assert len(said["errors"]) == 2 * 14


def test_every_weight_is_stored_once(version, model):
    stored = sum(file.stat().st_size for file in (version / "variables").glob("variables.data*"))
    assert stored < 1.1 * 4 * model.count_params()


def test_the_card_says_what_the_run_and_the_export_know(version):
    card = json.loads((version / "assets.extra" / "card.json").read_text())
    assert (card["model"], card["metrics"]) == ("lenet5", {"accuracy": 0.5})
    assert {name: card[name] for name in ("recipe", "data")} == {name: RECORD[name] for name in ("recipe", "data")}
    assert card["class_names"] == NAMES
    assert card["inputs"]["serving_default"] == {"name": "image", "dtype": "uint8", "shape": [None] * 4}
    assert card["inputs"]["predict_bytes"] == {"name": "image_bytes", "dtype": "string", "shape": [None]}
    assert card["inputs"]["logits"] == {"name": "image", "dtype": "float32", "shape": [None, 28, 28, 1]}
    assert card["preprocessing"].startswith("preprocess_digits: ")
    assert set(card["parity"]) == {"saved_model", "session"}
    assert max(card["parity"].values()) <= 1e-5
    assert card["versions"]["tensorflow"] == tf.__version__
    assert card["date"].endswith("+00:00")


def test_warm_up_asks_every_signature_once_and_is_answered(version, signatures):
    from tensorflow_serving.apis import prediction_log_pb2

    asked = []
    for record in tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests")):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        asked.append(request.model_spec.signature_name)
        assert request.model_spec.name == "digits"
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        answer = signatures[asked[-1]](**inputs)
        assert all(np.isfinite(value).all() for value in answer.values() if value.dtype == tf.float32)
        assert answer.get("valid", tf.constant([True])).numpy().all()
    assert sorted(asked) == sorted(signatures)


def test_class_names_must_fit_the_logits(model, tmp_path):
    with pytest.raises(UsageError, match=r"^class_names has 9 names for 10 logits; name each once$"):
        export(model, tmp_path, NAMES[:9], preprocess_digits)


def test_a_network_of_half_precision_is_the_same_in_float32(model, half):
    assert half.get_layer("c1").compute_dtype == "bfloat16"
    image = preprocess_digits(drawings(4))
    np.testing.assert_allclose(in_float32(half)(image), model(image), atol=1e-6)
    assert in_float32(model) is model


@pytest.mark.parametrize(
    ("examples", "words"),
    [
        (
            np.zeros((2, 28, 28, 1)),
            r"examples is float64 of shape \(2, 28, 28, 1\); give uint8 \(N, H, W, C\) with 1, 3 or",
        ),
        (np.zeros((28, 28, 1), np.uint8), r"examples is uint8 of shape \(28, 28, 1\); give uint8"),
        (np.zeros((0, 28, 28, 1), np.uint8), r"examples is uint8 of shape \(0, 28, 28, 1\); give uint8"),
        ("a.png", r"examples is str of shape \(\); give uint8"),
    ],
)
def test_examples_are_images_as_a_client_sends_them(examples, words, model, tmp_path):
    with pytest.raises(UsageError, match=f"^{words}"):
        export(model, tmp_path, NAMES, preprocess_digits, examples)


def test_a_network_of_other_channels_needs_a_preprocessing(tmp_path):
    model = builder("mlp")((8, 8, 2), 10)
    words = "^preprocessing is None, and model mlp takes images of 2 channels; give a function from photos to these$"
    with pytest.raises(UsageError, match=words):
        export(model, tmp_path)


@pytest.mark.slow
def test_a_network_of_any_size_is_served_at_that_of_its_photos(tmp_path):
    image = keras.Input((None, None, 3), name="image")
    model = keras.Model(image, keras.layers.Dense(2, name="logits")(keras.layers.GlobalAveragePooling2D()(image)))
    record = {"data": {"resize": {"image_size": [24, 32], "crop_ratio": 0.9, "interpolation": "bicubic"}}}
    (tmp_path / "recipe.json").write_text(json.dumps(record))
    card = json.loads((export(model, tmp_path) / "assets.extra" / "card.json").read_text())
    assert card["inputs"]["logits"]["shape"] == [None, 24, 32, 3]
    assert card["data"] == record["data"]
    words = (
        "Preprocessing(resize=ResizeAndCrop(image_size=(24, 32), crop_ratio=0.9, interpolation='bicubic'), channels=3)"
    )
    assert card["preprocessing"].startswith(words)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"temperature": 0}, "temperature is 0"),
        ({"temperature": "hot"}, "temperature is hot"),
        ({"recipe": {"tta": 5}}, "tta is 5"),
        ({"data": {"resize": {"image_size": [24]}}}, r"image_size is \(24,\)"),
        ({"data": {"resize": {"image_size": ["a", "b"]}}}, r"image_size is \('a', 'b'\)"),
        ({"data": {"resize": {"crop": 1}}}, "'crop' is no field of ResizeAndCrop"),
    ],
)
def test_what_a_run_says_of_its_answers_and_no_network_can_give_is_named(said, words, model, tmp_path):
    # what is no part of that may be anything
    (tmp_path / "recipe.json").write_text(json.dumps({"recipe": "my own", "data": None} | said))
    with pytest.raises(
        InputError, match=rf"^{tmp_path}/recipe.json is damaged \({words}\); restore it or train again$"
    ):
        export(model, tmp_path)


def test_a_class_has_one_name(model, tmp_path):
    with pytest.raises(UsageError, match="^class_names has 'one' twice; name each once$"):
        export(model, tmp_path, ["one", "one", *NAMES[2:]])


@pytest.mark.slow
@pytest.mark.parametrize(("tta", "size"), [("ten_crop", (32, 48)), ("144_crop", (132, 66))])
def test_crops_and_temperature_of_the_run_are_in_the_export(tta, size, tmp_path):
    image = keras.Input((None, None, 3), name="image")
    pooled = keras.layers.GlobalAveragePooling2D(name="embedding")(image)
    model = keras.Model(image, keras.layers.Dense(2, name="logits")(pooled))
    single = (28, 42)
    record = {"recipe": {"tta": tta}, "temperature": 2.0, "data": {"resize": {"image_size": single}}}
    (tmp_path / "recipe.json").write_text(json.dumps(record))
    version = export(model, tmp_path)
    card = json.loads((version / "assets.extra" / "card.json").read_text())
    assert card["temperature"] == 2
    assert card["inputs"]["logits"]["shape"] == [None, *size, 3]
    assert card["inputs"]["embedding"]["shape"] == [None, *single, 3]
    colours = np.random.default_rng(0).integers(0, 256, (5, 1, 1, 3), np.uint8)
    answer = tf.saved_model.load(version).signatures["serving_default"](
        image=tf.constant(colours.repeat(40, 1).repeat(90, 2))
    )
    logits = model(colours.astype(np.float32) / 255).numpy() / 2
    np.testing.assert_allclose(answer["probabilities"], tf.nn.softmax(logits), atol=1e-5)
    with pytest.raises(
        UsageError, match=f"^preprocessing is preprocess_digits, and the run averages over {tta}, views"
    ):
        export(model, tmp_path, None, preprocess_digits)


@pytest.mark.parametrize("tta", ["none", "flip_shift", pytest.param("ten_crop", marks=pytest.mark.slow)])
def test_files_are_answered_by_the_export_as_in_evaluation(tta, tmp_path):
    """Of several sizes, turned and damaged ones among them, in a network that sees where things lie."""
    random, files = np.random.default_rng(0), []
    for number, (height, width) in enumerate([(40, 60), (70, 31), (28, 28), (300, 200), (20, 25)]):
        files.append(tmp_path / "photos" / "ab"[number % 2] / f"{number}.jpg")
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (5, 7, 3), np.uint8)).resize((width, height))
        exif = Image.Exif()
        exif[0x0112] = 1 + number
        coarse.save(files[-1], quality=95, exif=exif)
    files[2].write_bytes(files[2].read_bytes()[:200])
    data = image_folder(tmp_path / "photos", (24, 24), crop_ratio=0.8, interpolation="bicubic", validation=0, test=0)
    image = keras.Input((24, 24, 3), name="image")
    logits = keras.layers.Dense(2, name="logits", kernel_initializer=keras.initializers.RandomNormal(seed=0))
    model = keras.Model(image, logits(keras.layers.Flatten(name="embedding")(image)))
    record = {"recipe": {"tta": tta}, "temperature": 0.1, "data": data.metadata()}
    (tmp_path / "recipe.json").write_text(json.dumps(record))
    export(model, tmp_path, ["a", "b"])
    answers = load_predictor(tmp_path).predict(data.train.files())
    logits, _, counted = answers_over_views(model, data.train, Inference(tta))
    assert counted.tolist() == answers["valid"].tolist() == [path != files[2] for path in data.train.files()]
    expected = tf.nn.softmax(logits / 0.1).numpy()
    assert expected.std(0).min() > 0.05
    np.testing.assert_allclose(answers["probabilities"][counted], expected[counted], atol=1e-5)


def test_a_run_without_temperature_is_exported_with_none(version):
    assert json.loads((version / "assets.extra" / "card.json").read_text())["temperature"] == 1
