"""An exported classifier answers everywhere as Keras does, and a failed export leaves nothing."""

import concurrent.futures
import io
import json
import os
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn.classification.export import classification, export_classifier
from kerascnn.digits.preprocessing import preprocess_digits
from kerascnn.errors import InputError
from kerascnn.models import builder
from kerascnn.saved_model import verification as parity
from kerascnn.saved_model.archive import published, write_version
from kerascnn.saved_model.folding import in_float32

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
CARD = {"recipe": {"epochs": 3}, "metrics": {"accuracy": 0.5}, "data": {"licence": "CC0"}}


def drawings(number):
    """Thick random strokes, dark on light, off centre: uint8 (number, 40, 36, 1)."""
    rng = np.random.default_rng(1)
    pictures = np.full((number, 40, 36, 1), 220, np.uint8)
    for picture in pictures:
        for _ in range(3):
            top, left = rng.integers(2, 20, 2)
            height, width = rng.permutation([rng.integers(8, 16), 3])
            picture[top : top + height, left : left + width] = 30
    return pictures


def png(picture):
    file = io.BytesIO()
    Image.fromarray(picture.squeeze()).save(file, "PNG")
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
    return export_classifier(half, preprocess_digits, NAMES, folder, CARD, drawings(4))


@pytest.fixture(scope="module")
def signatures(version):
    loaded = tf.saved_model.load(version)
    return loaded.signatures


@pytest.fixture(scope="module")
def expected(model):
    """The probabilities of drawings(4), with softmax as its definition has it."""
    powers = np.exp(model.predict(preprocess_digits(drawings(4)).numpy(), verbose=0).astype(np.float64))
    return powers / powers.sum(1, keepdims=True)


@pytest.fixture
def _quick_consumers(monkeypatch):
    """Stands in for the three processes of the parity check, which take seconds; all agree."""
    program = "import numpy as np; np.savez('{}.npz', probabilities=np.full((1, 10), 0.1))"
    monkeypatch.setattr(parity, "CONSUMERS", {name: program.format(name) for name in parity.CONSUMERS})
    monkeypatch.setitem(parity.REFERENCES, "classifier", program.format("keras"))


def exported(model, folder):
    """A version with one signature, which is written sooner than the five of a classifier."""
    endpoints = {
        "probabilities": (
            lambda image: {"probabilities": tf.nn.softmax(model(image, training=False))},
            tf.TensorSpec([None, 28, 28, 1], tf.float32, name="image"),
        )
    }
    inputs = {"probabilities": np.zeros((1, 28, 28, 1), np.float32)}
    return write_version(
        endpoints, inputs, lambda *place: parity.parity("classifier", model, *place, inputs), folder, CARD
    )


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
    answer = signatures["predict_bytes"](image_bytes=tf.constant([png(picture) for picture in drawings(4)]))
    check_classification(answer, expected)
    assert answer["valid"].numpy().all()


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_and_opaque_alpha_change_no_answer(signatures, expected, channels):
    pictures = np.repeat(drawings(4), channels, axis=3)
    pictures[..., 3:] = 255
    check_classification(signatures["serving_default"](image=tf.constant(pictures)), expected)


def test_prepared_images_give_logits_probabilities_and_embedding(signatures, model, expected):
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


FOREIGN_PROGRAM = """
import json, sys
import numpy as np, tensorflow as tf

folder, picture = sys.argv[1:]
signatures = tf.saved_model.load(folder).signatures
answer = signatures["predict_bytes"](image_bytes=tf.constant([open(picture, "rb").read()]))
errors = {}
wrong = {
    "serving_default": [(28, 28), (1, 28, 28), (1, 28, 28, 2), (1, 28, 28, 1, 1), ()],
    "probabilities": [(1, 2), (1, 28, 28), (1, 28, 28, 3), (1, 32, 32, 1), ()],
    "logits": [(1, 28, 28)],
    "embedding": [(1, 28, 28)],
    "predict_bytes": [(), (1, 1)],
}
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    sessions = tf.compat.v1.saved_model.load(session, ["serve"], folder).signature_def
    types = {name: tf.as_dtype(*[value.dtype for value in sessions[name].inputs.values()]) for name in wrong}
    for name, shapes in wrong.items():
        ((key, source),) = sessions[name].inputs.items()
        for shape in shapes:
            value = np.full(shape, b"x") if types[name] == tf.string else np.zeros(shape, types[name].as_numpy_dtype)
            try:
                session.run([output.name for output in sessions[name].outputs.values()], {source.name: value})
            except (tf.errors.InvalidArgumentError, ValueError) as error:
                errors[f"session {name} {shape}"] = type(error).__name__
for name, shapes in wrong.items():
    (key,) = signatures[name].structured_input_signature[1]
    for shape in shapes:
        value = np.full(shape, b"x") if types[name] == tf.string else np.zeros(shape, types[name].as_numpy_dtype)
        try:
            signatures[name](**{key: tf.constant(value)})
        except (tf.errors.InvalidArgumentError, ValueError) as error:
            errors[f"load {name} {shape}"] = type(error).__name__
answer = {key: value.numpy().tolist() for key, value in answer.items() if value.dtype != tf.string}
print(json.dumps({"answer": answer, "errors": errors, "own": "kerascnn" in sys.modules}))
"""


def test_another_program_reads_a_picture_and_survives_wrong_shapes(version, expected, tmp_path):
    """A wrong rank ends the process in oneDNN's convolution unless the shape is checked before it."""
    (tmp_path / "picture.png").write_bytes(png(drawings(4)[0]))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", FOREIGN_PROGRAM, version, tmp_path / "picture.png"],
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


def test_the_card_says_what_the_caller_and_the_export_know(version):
    card = json.loads((version / "assets.extra" / "card.json").read_text())
    assert CARD.items() <= card.items()
    assert card["class_names"] == NAMES
    assert card["inputs"]["serving_default"] == {"name": "image", "dtype": "uint8", "shape": [None] * 4}
    assert card["inputs"]["predict_bytes"] == {"name": "image_bytes", "dtype": "string", "shape": [None]}
    assert card["inputs"]["logits"] == {"name": "image", "dtype": "float32", "shape": [None, 28, 28, 1]}
    assert card["preparation"].startswith("preprocess_digits: ")
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


@pytest.mark.usefixtures("_quick_consumers")
def test_versions_count_up_and_none_is_touched_again(model, tmp_path):
    (tmp_path / "model.keras").touch()
    (tmp_path / "7").mkdir()
    first = exported(model, tmp_path)
    before = (first / "saved_model.pb").read_bytes()
    assert exported(model, tmp_path) == tmp_path / "9"
    assert first == tmp_path / "8"
    assert (first / "saved_model.pb").read_bytes() == before
    assert sorted(child.name for child in tmp_path.iterdir()) == ["7", "8", "9", "model.keras"]


def test_concurrent_exports_take_different_numbers(tmp_path):
    waiting = threading.Barrier(8)

    def publish(number):
        work = tmp_path / f".export-{number}"
        work.mkdir()
        (work / "saved_model.pb").write_text(str(number))
        waiting.wait()
        return published(work, tmp_path)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        places = list(pool.map(publish, range(8)))
    assert sorted(place.name for place in places) == list("12345678")
    assert [(place / "saved_model.pb").read_text() for place in places] == list("01234567")


@pytest.mark.usefixtures("_quick_consumers")
@pytest.mark.parametrize("answer", ["0.10002", "float('nan')"])
def test_a_consumer_that_differs_stops_the_export_and_leaves_nothing(model, tmp_path, monkeypatch, answer):
    monkeypatch.setitem(parity.CONSUMERS, "session", parity.CONSUMERS["session"].replace("0.1)", f"{answer})"))
    with pytest.raises(RuntimeError, match=r"^session differs from Keras by (nan|.*e-05) in a probability"):
        exported(model, tmp_path / "digits")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("_quick_consumers")
def test_a_consumer_that_fails_stops_the_export_and_leaves_nothing(model, tmp_path, monkeypatch):
    (tmp_path / "model.keras").touch()
    monkeypatch.setitem(parity.CONSUMERS, "saved_model", "raise SystemExit('variable not found')")
    with pytest.raises(RuntimeError, match="saved_model cannot answer the exported model:\nvariable not found"):
        exported(model, tmp_path)
    assert [child.name for child in tmp_path.iterdir()] == ["model.keras"]


def test_a_place_that_cannot_be_written_to_is_named(model, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        InputError, match=r"^cannot write to .*file/digits \(Not a directory\); choose another folder with --out$"
    ):
        exported(model, tmp_path / "file" / "digits")


def test_class_names_must_fit_the_logits(model, tmp_path):
    with pytest.raises(ValueError, match=r"^9 class names do not fit 10 logits; name each once$"):
        export_classifier(model, preprocess_digits, NAMES[:9], tmp_path, CARD, drawings(1))


def test_a_network_of_half_precision_is_the_same_in_float32(model, half):
    assert half.get_layer("c1").compute_dtype == "bfloat16"
    image = preprocess_digits(drawings(4))
    np.testing.assert_allclose(in_float32(half)(image), model(image), atol=1e-6)
    assert in_float32(model) is model
