"""The embedded server as a process on loopback, held against TensorFlow Serving's documented REST protocol."""

import base64
import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kerascnn.saved_model import versions
from kerascnn.serving.json_tensors import RequestError
from kerascnn.serving.repository import Repository
from kerascnn.serving.rest import metadata_json

ROOT = Path(__file__).parents[2]


class Sizes(tf.Module):
    """Signatures of the kinds that classifiers have, with answers that hand arithmetic gives."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 1), tf.uint8, name="image")])
    def means(self, image):
        mean = tf.reduce_mean(tf.cast(image, tf.float32), (1, 2, 3))
        return {"mean": mean, "name": tf.where(mean > 100, "bright", "dark")}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")])
    def lengths(self, image_bytes):
        return {"length": tf.strings.length(image_bytes)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
    def echo(self, text):
        return {"copy_bytes": text, "copy": text}

    @tf.function(
        input_signature=[tf.TensorSpec((None,), tf.float32, name="a"), tf.TensorSpec((None,), tf.float32, "b")]
    )
    def ratio(self, a, b):
        return {"ratio": a / b}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32, name="x")])
    def negative(self, x):
        tf.debugging.assert_less(x, 0.0, message="x is not negative")
        return {"x": x}


def save(folder):
    module = Sizes()
    names = {
        "serving_default": "means",
        "predict_bytes": "lengths",
        "echo": "echo",
        "ratio": "ratio",
        "negative": "negative",
    }
    signatures = {name: getattr(module, method) for name, method in names.items()}
    tf.saved_model.save(module, str(folder), signatures=signatures)


def start(*flags):
    command = [sys.executable, "-m", "kerascnn.serving.server", *map(str, flags)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    models = tmp_path_factory.mktemp("models")
    save(models / "sizes" / "1")
    shutil.copytree(models / "sizes" / "1", models / "sizes" / "3")
    shutil.copytree(models / "sizes" / "1", models / "growing" / "1")
    (models / "notes").mkdir()
    (models / "README.md").write_text("no model")
    return models


@pytest.fixture(scope="module")
def address(models):
    with start("--models", models, "--port", 0, "--max-request-mib", 1) as server:
        try:
            line = server.stderr.readline()
            assert line.startswith("serving growing/1, sizes/3 at http://127.0.0.1:")
            yield re.search(r"at http://(\S+)", line).group(1)
        finally:
            server.terminate()
    assert server.returncode == 0


def asked(address, path, request=None):
    """(HTTP status, JSON answer) of GET, or of POST when there is a request: a JSON value or raw bytes."""
    connection = http.client.HTTPConnection(address, timeout=30)
    body = request if request is None or isinstance(request, bytes) else json.dumps(request)
    connection.request("GET" if body is None else "POST", path, body)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


IMAGES = [[[[0], [200]]], [[[100], [200]]]]
PREDICT = "/v1/models/sizes:predict"


def test_status_lists_the_versions(address):
    status, answer = asked(address, "/v1/models/sizes")
    assert status == 200
    states = [(entry["version"], entry["state"]) for entry in answer["model_version_status"]]
    assert states == [("3", "AVAILABLE"), ("1", "AVAILABLE")]
    assert asked(address, "/v1/models/sizes/versions/1")[1]["model_version_status"][0]["version"] == "1"


def test_metadata_gives_the_signatures(address):
    status, answer = asked(address, "/v1/models/sizes/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": "sizes", "signature_name": "", "version": "3"}
    signature = answer["metadata"]["signature_def"]["signature_def"]["predict_bytes"]
    assert signature["inputs"]["image_bytes"]["dtype"] == "DT_STRING"


def test_rows_of_a_signature_with_one_input_are_its_values(address):
    status, answer = asked(address, PREDICT, {"instances": IMAGES})
    assert status == 200
    assert answer == {"predictions": [{"mean": 100.0, "name": "dark"}, {"mean": 150.0, "name": "bright"}]}


def test_columns_come_back_as_columns(address):
    expected = {"outputs": {"mean": [100.0, 150.0], "name": ["dark", "bright"]}}
    assert asked(address, PREDICT, {"inputs": IMAGES}) == (200, expected)
    assert asked(address, PREDICT, {"inputs": {"image": IMAGES}}) == (200, expected)


def test_a_lone_output_stands_without_its_name(address):
    encoded = {"b64": base64.b64encode(bytes(range(256))).decode()}
    request = {"signature_name": "predict_bytes", "instances": [encoded, {"b64": ""}]}
    assert asked(address, PREDICT, request) == (200, {"predictions": [256, 0]})
    request = {"signature_name": "predict_bytes", "inputs": {"image_bytes": [encoded]}}
    assert asked(address, PREDICT, request) == (200, {"outputs": [256]})


def test_only_outputs_named_bytes_come_back_as_base64(address):
    request = {"signature_name": "echo", "instances": ["one"]}
    assert asked(address, PREDICT, request)[1] == {"predictions": [{"copy": "one", "copy_bytes": {"b64": "b25l"}}]}


def test_rows_of_several_inputs_are_objects_and_nan_is_a_number(address):
    request = {"signature_name": "ratio", "instances": [{"a": 1, "b": 4}, {"a": 0, "b": 0}]}
    status, answer = asked(address, PREDICT, request)
    assert status == 200
    assert answer["predictions"][0] == 0.25
    assert np.isnan(answer["predictions"][1])


def test_a_version_can_be_asked_for_by_number(address):
    assert asked(address, "/v1/models/sizes/versions/1:predict", {"instances": IMAGES})[0] == 200
    status, answer = asked(address, "/v1/models/sizes/versions/2:predict", {"instances": IMAGES})
    assert (status, answer) == (404, {"error": "Servable not found for request: Specific(sizes, 2)"})


@pytest.mark.parametrize(
    ("path", "request_", "status", "words"),
    [
        ("/v1/models/none:predict", {"instances": IMAGES}, 404, "Servable not found for request: Latest(none)"),
        ("/v1/models/none", None, 404, "Could not find any versions of model none"),
        ("/v1/models/../sizes:predict", {"instances": IMAGES}, 400, "Malformed request"),
        ("/v1/models/notes:predict", {"instances": IMAGES}, 404, "Servable not found"),
        (PREDICT, b"{not json", 400, "JSON Parse error"),
        (PREDICT, b"\xff\xfe", 400, "JSON Parse error"),
        (PREDICT, b"[" * 100_000, 400, "JSON Parse error"),
        (PREDICT, [1], 400, "not an object"),
        (PREDICT, {}, 400, "Missing 'inputs' or 'instances' key"),
        (PREDICT, {"inputs": IMAGES, "instances": IMAGES}, 400, "only one of"),
        (PREDICT, {"instances": []}, 400, "No values"),
        (PREDICT, {"instances": [[1, 2]]}, 400, "takes shape (None, None, None, 1), not (1, 2)"),
        (PREDICT, {"instances": [[[[1, 2, 3]]]]}, 400, "takes shape (None, None, None, 1), not (1, 1, 1, 3)"),
        (PREDICT, {"instances": [[[[1]], [[1], [2]]]]}, 400, "unequal length"),
        (PREDICT, {"instances": [[[["a"]]]]}, 400, "takes values of type uint8, not a string"),
        (PREDICT, {"instances": [[[[256]]]]}, 400, "beyond the range of uint8"),
        (PREDICT, {"instances": [[[[1.5]]]]}, 400, "takes values of type uint8"),
        (PREDICT, {"signature_name": "none", "instances": IMAGES}, 400, 'signature name: "none" not found'),
        (PREDICT, {"signature_name": 7, "instances": IMAGES}, 400, "must be a string"),
        (PREDICT, {"signature_name": "predict_bytes", "instances": [{"b64": "%%%"}]}, 400, "neither text nor correct"),
        (PREDICT, {"signature_name": "ratio", "instances": [{"a": 1}]}, 400, "Failed to process element: 0"),
        (PREDICT, {"signature_name": "ratio", "inputs": {"a": [1]}}, 400, "Missing named input: b"),
        (PREDICT, {"signature_name": "negative", "inputs": [1.0]}, 400, "x is not negative"),
        (PREDICT, b" " * (2**20 + 1), 413, "the request is larger than 1 MiB (--max-request-mib); send less at a time"),
    ],
)
def test_bad_requests_are_answered_in_one_line(address, path, request_, status, words):
    answered, answer = asked(address, path, request_)
    assert answered == status
    assert list(answer) == ["error"]
    assert words in answer["error"]
    assert "Traceback" not in answer["error"]


def test_after_bad_requests_good_ones_are_still_answered(address):
    for _ in range(20):
        asked(address, PREDICT, {"instances": [[1, 2]]})
    assert asked(address, PREDICT, {"instances": IMAGES})[0] == 200


def test_a_version_that_appears_on_disk_is_served_within_seconds(address, models):
    assert asked(address, "/v1/models/growing/metadata")[1]["model_spec"]["version"] == "1"
    shutil.copytree(models / "growing" / "1", models / "growing" / "copying")
    (models / "growing" / "copying").rename(models / "growing" / "12")
    for _ in range(100):
        newest = asked(address, "/v1/models/growing/metadata")[1]["model_spec"]["version"]
        if newest == "12":
            break
        time.sleep(0.1)
    assert newest == "12"


def test_a_version_that_is_gone_is_served_until_another_one_loads(tmp_path):
    save(tmp_path / "sizes" / "1")
    repository = Repository(tmp_path)
    repository.refresh()
    shutil.copytree(tmp_path / "sizes" / "1", tmp_path / "sizes" / "3")
    (tmp_path / "sizes" / "1").rename(tmp_path / "sizes" / "2")
    (tmp_path / "sizes" / "2" / "saved_model.pb").write_bytes(b"damaged")
    (tmp_path / "sizes" / "3").rename(tmp_path / "good")
    for _ in range(2):
        repository.refresh()
        assert repository.version("sizes").number == 1
        metadata = json.loads(metadata_json("sizes", repository.version("sizes")))
        assert metadata["metadata"]["signature_def"]["signature_def"]
    (tmp_path / "good").rename(tmp_path / "sizes" / "3")
    repository.refresh()
    assert [version.number for version in repository.models["sizes"]] == [3, 2]


def test_a_version_that_is_damaged_where_it_lies_is_tried_once_and_served_as_it_was(tmp_path):
    save(tmp_path / "sizes" / "1")
    repository = Repository(tmp_path)
    repository.refresh()
    served = repository.version("sizes")
    (tmp_path / "sizes" / "1" / "saved_model.pb").write_bytes(b"damaged")
    repository.refresh()
    tried = repository.models["sizes"]
    repository.refresh()
    assert [version.error is None for version in tried] == [False, True]
    assert all(now is before for now, before in zip(repository.models["sizes"], tried, strict=True))
    assert repository.version("sizes") is repository.version("sizes", 1) is served


def test_a_folder_that_cannot_be_read_is_passed_over_and_what_was_read_stays(tmp_path, monkeypatch, caplog):
    for name in ("sizes", "other"):
        save(tmp_path / name / "1")
    read = versions.versions

    def closed(folder):  # root may read everything, so no mode keeps a test out
        if folder.name == "other":
            raise PermissionError(13, "Permission denied")
        return read(folder)

    repository = Repository(tmp_path)
    repository.refresh()
    monkeypatch.setattr(versions, "versions", closed)
    for _ in range(2):
        repository.refresh()
        assert repository.version("other").number == repository.version("sizes").number == 1
    assert caplog.messages == [f"cannot read {tmp_path / 'other'}, and pass it over"]
    with pytest.raises(RequestError):
        Repository(tmp_path).version("other")


def test_no_model_at_all_is_one_line(tmp_path):
    with start("--models", tmp_path, "--port", 0) as server:
        message = server.communicate(timeout=60)[1]
    assert server.returncode == 3
    assert message == (
        f"error: no exported model in {tmp_path}; export a model into it first, or name another folder\n"
    )


def test_a_port_in_use_is_one_line(models):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start("--models", models, "--port", port) as server:
            message = server.communicate(timeout=60)[1]
    assert server.returncode == 3
    assert message == (
        f"error: cannot listen on 127.0.0.1:{port} (Address already in use); choose another --host or --port\n"
    )


@pytest.mark.long
def test_interrupting_ends_without_a_traceback(models):
    with start("--models", models, "--port", 0) as server:
        server.stderr.readline()
        server.send_signal(signal.SIGINT)
        message = server.communicate(timeout=60)[1]
    assert server.returncode == 0
    assert message == ""
