"""One predictor for a folder, a version and a server: the shipped models answer it as TensorFlow's own call does."""

import base64
import io
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import kerascnn as kc
from kerascnn.datasets.synthetic import drawn
from kerascnn.errors import InputError, InputRejected, UsageError
from kerascnn.saved_model.signatures import Tensor
from kerascnn.tumors.phantoms import drawn_patient
from tests.http_server import columns, embedded_server, served

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "saved_models"
DIGITS = drawn(8, 0).images
SLICES = drawn_patient(0).images


def png(image):
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def address():
    """http://host:port of the embedded server over the shipped models."""
    with embedded_server(MODELS) as server:
        yield server


@pytest.fixture(scope="module")
def digits():
    return kc.load_predictor(MODELS / "digits")


@pytest.fixture(scope="module")
def tumors():
    return kc.load_predictor(str(MODELS / "tumors" / "2"))


def check_equal(answer, expected):
    assert answer.keys() == expected.keys()
    for name, array in expected.items():
        assert answer[name].dtype.kind == array.dtype.kind
        assert array.dtype.kind == "U" or answer[name].dtype == array.dtype
        if array.dtype == object:
            assert [np.shape(item) for item in answer[name]] == [np.shape(item) for item in array]
        for one, other in zip(answer[name], array, strict=True):
            if array.dtype.kind == "U" or other.dtype.kind in "iub":
                np.testing.assert_array_equal(one, other)
            else:  # the server computes without oneDNN
                np.testing.assert_allclose(one, other, atol=1e-5)


def test_files_bytes_and_arrays_of_any_size_are_answered_in_their_order(digits, tmp_path):
    (tmp_path / "3.png").write_bytes(png(DIGITS[3]))
    colour = np.repeat(np.pad(DIGITS[7], [(9, 2), (0, 5), (0, 0)]), 3, -1)
    inputs = [tmp_path / "3.png", colour, png(DIGITS[4]), DIGITS[5], b"no image", str(tmp_path / "3.png"), DIGITS[6]]
    answer = digits.predict(inputs)
    assert answer["valid"].tolist() == [True, True, True, True, False, True, True]
    raw = tf.saved_model.load(MODELS / "digits" / "1").signatures
    for row, image in ((0, DIGITS[3]), (1, colour), (2, DIGITS[4]), (3, DIGITS[5]), (5, DIGITS[3]), (6, DIGITS[6])):
        alone = {name: value.numpy()[0] for name, value in raw["serving_default"](image=image[np.newaxis]).items()}
        assert answer["class_name"][row] == alone["class_name"].decode()
        assert answer["class_id"][row] == alone["class_id"]
        assert answer["top_names"][row].tolist() == [name.decode() for name in alone["top_names"]]
        np.testing.assert_allclose(answer["probabilities"][row], alone["probabilities"], atol=1e-6)
    assert answer["class_name"][4] == ""
    assert not answer["probabilities"][4].any()
    dtypes = {name: array.dtype.kind for name, array in answer.items()}
    text = {"class_name": "U", "top_names": "U"}
    assert dtypes == {"probabilities": "f", "score": "f", "top_scores": "f", "class_id": "i", "valid": "b", **text}


def test_a_folder_a_version_and_a_server_answer_the_same(digits, address, tmp_path):
    (tmp_path / "3.png").write_bytes(png(DIGITS[3]))
    inputs = [tmp_path / "3.png", png(DIGITS[4]), b"no image", DIGITS[5], DIGITS[6][2:]]
    places = ["digits/1", "digits", "digits/versions/1"]
    others = [MODELS / places[0], *(f"{address}/v1/models/{place}" for place in places[1:])]
    for given in (inputs, DIGITS, []):
        expected = digits.predict(given)
        for place in others:
            check_equal(kc.load_predictor(place).predict(given), expected)


def test_masks_come_in_the_size_of_their_image_from_a_folder_and_a_server(tumors, address):
    inputs = [png(SLICES[4]), SLICES[5][:40], b"no image", png(SLICES[3][:, :50].copy())]
    answer = tumors.predict(inputs, batch_size=3)
    shapes = [(64, 64, 1), (40, 64, 1), (0, 0, 1), (64, 50, 1)]
    for name, dtype in (("mask", np.uint8), ("probability", np.float32)):
        assert answer[name].dtype == object
        assert [(item.shape, item.dtype) for item in answer[name]] == [(shape, dtype) for shape in shapes]
    for row, image in ((0, SLICES[4]), (1, SLICES[5][:40]), (3, SLICES[3][:, :50])):
        expected = tumors.call("predict_volume", image[np.newaxis, np.newaxis])
        np.testing.assert_array_equal(answer["mask"][row], expected["mask"][0, 0])
        np.testing.assert_allclose(answer["probability"][row], expected["probability"][0, 0], atol=1e-6)
    check_equal(kc.load_predictor(f"{address}/v1/models/tumors").predict(inputs, batch_size=3), answer)


def test_masks_of_images_of_one_size_are_one_array(tumors):
    answer = tumors.predict([png(image) for image in SLICES[2:5]], batch_size=2)
    assert answer["mask"].shape == answer["probability"].shape == (3, 64, 64, 1)
    assert answer["height"].tolist() == answer["width"].tolist() == [64, 64, 64]
    np.testing.assert_array_equal(answer["mask"], tumors.predict(SLICES[2:5])["mask"])


def test_a_volume_is_asked_for_by_the_name_of_its_signature(tumors):
    answer = tumors.call("predict_volume", SLICES[np.newaxis])
    assert answer["mask"].shape == (1, 8, 64, 64, 1)
    assert answer["tumor_voxels"] == answer["mask"].sum()
    words = r"2 takes uint8 \(any, any, any, any, 3\) as predict_volume, not float64 \(1, 2, 3\); give such values$"
    with pytest.raises(InputRejected, match=words):
        tumors.call("predict_volume", np.zeros((1, 2, 3)))
    with pytest.raises(InputError, match=r"tumors/2 has no signature volume; name another folder$"):
        tumors.call("volume", SLICES[np.newaxis])


def test_one_image_is_answered_as_a_list_of_one(digits, tmp_path):
    (tmp_path / "3.png").write_bytes(png(DIGITS[3]))
    for image in (tmp_path / "3.png", str(tmp_path / "3.png"), png(DIGITS[3]), DIGITS[3]):
        check_equal(digits.predict(image), digits.predict([image]))
        assert digits.predict(image)["class_name"].shape == (1,)


def test_any_iterable_is_a_list_of_images(digits, tmp_path):
    (tmp_path / "3.png").write_bytes(png(DIGITS[3]))
    expected = digits.predict([str(tmp_path / "3.png")] * 2)
    check_equal(digits.predict(np.array([str(tmp_path / "3.png")] * 2)), expected)
    check_equal(digits.predict((tmp_path / "3.png",) * 2), expected)
    check_equal(digits.predict(DIGITS[:3]), digits.predict(image for image in DIGITS[:3]))


def test_no_images_are_answered_with_arrays_of_no_rows(digits, tumors):
    answer, one = digits.predict([]), digits.predict(DIGITS[:1])
    assert {name: (array.shape, array.dtype.kind) for name, array in answer.items()} == {
        name: ((0, *array.shape[1:]), array.dtype.kind) for name, array in one.items()
    }
    assert tumors.predict(np.zeros((0, 4, 4, 3), np.uint8))["mask_png_bytes"].dtype == object


def test_all_files_that_are_not_there_are_named_before_the_model_is_asked(tmp_path):
    (tmp_path / "there.png").write_bytes(b"")
    absent = [tmp_path / "a.png", f"{tmp_path}/b.png", tmp_path]
    with served(b"") as (address, requests):
        predictor = kc.load_predictor(address)
        words = f"^no file at {tmp_path}/a.png, {tmp_path}/b.png, {tmp_path}; correct the paths, or leave them out$"
        with pytest.raises(InputError, match=words):
            predictor.stream([tmp_path / "there.png", *absent])
        with pytest.raises(InputError, match=f"^no file at {tmp_path}/a.png; correct"):
            list(predictor.stream(iter(absent)))
        with pytest.raises(InputError, match="^no file at a\0b; correct"):
            predictor.predict("a\0b")
    assert requests == []


def test_a_file_that_cannot_be_read_is_named(digits):
    if not Path("/proc/self/mem").exists():
        pytest.skip("needs a file that is there and cannot be read, whoever asks")
    with pytest.raises(InputError, match=r"^cannot read /proc/self/mem \(Input/output error\); check the path$"):
        digits.predict("/proc/self/mem")


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (
            [b"", np.zeros((28, 28, 1))],
            r"inputs\[1\] is float64 \(28, 28, 1\); give images as uint8 \(.*channels\), those in \[0, 1\] times 255$",
        ),
        (np.zeros((2, 9, 9, 1), np.float32), r"inputs\[0\] is float32 \(9, 9, 1\); give images as uint8"),
        (
            np.zeros((28, 28), np.uint8),
            r"inputs\[0\] is uint8 \(28, 28\); give images as uint8 \(height, width, channels\)$",
        ),
        ([DIGITS], r"inputs\[0\] is uint8 \(8, 28, 28, 1\); give images as uint8 \(height, width, channels\)$"),
        ([[1, 2]], r"inputs\[0\] is of type list; give the path of an image file, its bytes, or an array of pixels"),
        ([memoryview(b"")], r"inputs\[0\] is of type memoryview; give the path"),
        (3, r"inputs is of type int; give the path of an image file, its bytes, or an array of pixels"),
    ],
)
def test_what_is_no_image_says_what_is_taken(digits, inputs, words):
    with pytest.raises(UsageError, match=f"^{words}") as error:
        digits.predict(inputs)
    assert error.value.argument == "inputs"


def test_channels_that_the_model_does_not_take_are_told(tumors):
    with pytest.raises(
        UsageError, match=r"^inputs\[0\] is uint8 \(64, 64, 1\); give images as uint8 \(height, width, 3\)$"
    ):
        tumors.predict(SLICES[..., :1])


@pytest.mark.parametrize("size", [0, -1, 2.5, None])
def test_a_batch_size_that_is_none_is_told(digits, size):
    with pytest.raises(UsageError, match=f"^batch_size is {size}; give a whole number, at least 1$"):
        digits.predict(DIGITS, batch_size=size)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), 1e9])
def test_a_timeout_that_is_none_is_told(timeout):
    with pytest.raises(UsageError, match=f"^timeout is {timeout}; give seconds, above 0 and at most a day$"):
        kc.load_predictor("http://127.0.0.1:1/v1/models/digits", timeout=timeout)


def test_a_folder_without_a_model_is_told(tmp_path):
    for place in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match=f"^no SavedModel under {place}; export a model into it first, or name"):
            kc.load_predictor(place)
    with pytest.raises(InputError, match="is no address of a served model; write it as http://"):
        kc.load_predictor("127.0.0.1:8501/v1/models/digits")


def numbered(request, _):
    """Every input is a number, and so is its score."""
    values = [item["b64"] for item in request["inputs"]]
    scores = [int.from_bytes(base64.b64decode(value)[:2]) for value in values]
    return columns(class_name=["a"] * len(values), score=scores, valid=[True] * len(values))


def test_images_are_sent_in_batches_of_a_number_and_of_bytes():
    small = [number.to_bytes(2) for number in range(5)]
    large = [number.to_bytes(2) + bytes(2 * 2**20) for number in range(5)]
    for images, size, sizes in ((small, 2, [2, 2, 1]), (large, 64, [2, 2, 1]), (small, 64, [5])):
        with served(numbered) as (address, requests):
            answer = kc.load_predictor(address).predict(images, batch_size=size)
        assert [len(request["inputs"]) for request in requests] == sizes
        assert answer["score"].tolist() == [0, 1, 2, 3, 4]


def test_only_a_batch_is_read_before_it_is_answered(tmp_path):
    taken = []

    def images():
        for number in itertools.count():
            taken.append(number)
            yield number.to_bytes(2)

    with served(numbered) as (address, _):
        answers = kc.load_predictor(address).stream(images(), batch_size=3)
        assert taken == []
        assert next(answers)["score"].tolist() == [0, 1, 2]
        assert len(taken) <= 4


def test_a_batch_that_is_too_much_is_halved_and_what_follows_is_sent_in_such_parts():
    def at_most_two(request, handler):
        if len(request["inputs"]) > 2:
            handler.send_error(413)
            return None
        return numbered(request, handler)

    with served(at_most_two) as (address, requests):
        answer = kc.load_predictor(address).predict([number.to_bytes(2) for number in range(11)], batch_size=8)
    assert answer["score"].tolist() == list(range(11))
    assert [len(request["inputs"]) for request in requests] == [8, 4, 2, 2, 4, 2, 2, 2, 1]


def test_an_image_that_the_model_does_not_take_is_named(tumors, tmp_path):
    wide = np.zeros((1, 8193, 3), np.uint8)
    words = r"^cannot predict inputs\[1\]: .*2 does not take this input \(.*at most 2\^26 voxels"
    with pytest.raises(InputRejected, match=words):
        tumors.predict([SLICES[4], wide])

    def rejects(_, handler):
        handler.send_error(400)

    (tmp_path / "a.png").write_bytes(b"")
    with served(rejects) as (address, _):
        predictor = kc.load_predictor(address)
        with pytest.raises(InputRejected, match=rf"^cannot predict {tmp_path}/a.png: .* answered 400 \(Bad Request\)"):
            predictor.predict([tmp_path / "a.png"] * 3)


def test_the_others_are_answered_where_one_is_left_out():
    def no_large_ones(request, handler):
        if any(len(item["b64"]) > 100 for item in request["inputs"]):
            handler.send_error(413)
            return None
        return numbered(request, handler)

    contents = [number.to_bytes(2) * (1000 if number in (3, 6) else 1) for number in range(7)]
    left_out = {}
    with served(no_large_ones) as (address, _):
        parts = list(kc.load_predictor(address).stream(contents, rejected=left_out.__setitem__))
    assert [score for part in parts for score in part["score"].tolist()] == [0, 1, 2, 4, 5]
    assert sorted(left_out) == [3, 6]
    assert "413" in str(left_out[3])


class Strange(tf.Module):
    """Answers that a predictor passes on to nobody."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 1), tf.uint8, name="image")])
    def not_finite(self, image):
        return {"ratio": tf.reduce_mean(tf.cast(image, tf.float32), (1, 2, 3)) / 0.0}

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 1), tf.uint8, name="image")])
    def one_for_all(self, image):
        return {"mean": tf.reduce_mean(tf.cast(image, tf.float32))}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.int32, "a"), tf.TensorSpec((None,), tf.int32, "b")])
    def two_inputs(self, a, b):
        return {"sum": a + b}


def test_a_saved_model_is_checked_as_a_server_is(tmp_path):
    module = Strange()
    names = {"serving_default": module.not_finite, "mean": module.one_for_all, "sum": module.two_inputs}
    tf.saved_model.save(module, str(tmp_path / "1"), signatures=names)
    predictor = kc.load_predictor(tmp_path)
    assert set(predictor.signatures) == {"serving_default", "mean"}
    assert predictor.signatures["mean"].outputs == {"mean": Tensor("float32", ())}
    with pytest.raises(InputError, match=r"/1 answers ratio with numbers that are not finite; name another folder$"):
        predictor.predict(np.ones((2, 4, 4, 1), np.uint8))
    with pytest.raises(InputError, match=r"/1 answers mean of shape \(\) for 2 inputs, not float32 \(\); name another"):
        predictor.call("mean", np.ones((2, 4, 4, 1), np.uint8))
    with pytest.raises(InputError, match=r"/1 has no signature predict_bytes; name another folder$"):
        predictor.predict(b"")


def test_a_server_is_asked_without_tensorflow(address):
    code = (
        "import sys, kerascnn as kc; kc.load_predictor(sys.argv[1]).predict([b'']); print('tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", code, f"{address}/v1/models/digits"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "False\n"
