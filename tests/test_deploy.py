"""deploy/: what can be known of it without TensorFlow Serving's binary."""

import base64
import functools
import json
import re
import shutil
import subprocess
import urllib.request
from concurrent import futures
from pathlib import Path

import cv2
import grpc
import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2, prediction_service_pb2_grpc
from tensorflow_serving.config import model_server_config_pb2

from apps import digits
from apps.tumors import app  # noqa: F401, run by the fixtures `printed` and `command`
from kerascnn.classification import recipes as image_recipes
from kerascnn.classification.inference import Inference
from kerascnn.cli import app as cli
from kerascnn.datasets.synthetic import drawn
from kerascnn.saved_model.folding import in_float32
from kerascnn.saved_model.versions import latest_version, load_signatures
from kerascnn.segmentation.inference import network_probabilities
from kerascnn.training.run_folder import load_trained
from kerascnn.tumors.phantoms import drawn_patient
from kerascnn.tumors.preprocessing import preprocess_volume
from kerascnn.tumors.recipes import RUNS
from tests.http_server import embedded_server

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
MODELS = ROOT / "saved_models"


@functools.cache
def signatures_of(name):
    """The signatures of a shipped model, loaded once."""
    return load_signatures(latest_version(MODELS / name))


def message_class(name, **fields):
    """A protocol message of these fields: a type name of google.protobuf's wrappers, "bool", "string" or "int64s"."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package="published", syntax="proto3")
    file.dependency.append("google/protobuf/wrappers.proto")
    kinds = descriptor_pb2.FieldDescriptorProto
    message = file.message_type.add(name=name)
    for number, (field, kind) in enumerate(fields.items(), 1):
        entry = message.field.add(name=field, number=number, label=kinds.LABEL_OPTIONAL)
        if kind in ("bool", "string", "int64s"):
            entry.type = {"bool": kinds.TYPE_BOOL, "string": kinds.TYPE_STRING, "int64s": kinds.TYPE_INT64}[kind]
            entry.label = kinds.LABEL_REPEATED if kind == "int64s" else kinds.LABEL_OPTIONAL
        else:
            entry.type, entry.type_name = kinds.TYPE_MESSAGE, kind
    pool = descriptor_pool.Default()
    return message_factory.GetMessageClass(pool.Add(file).message_types_by_name[name])


def model_configs():
    config = text_format.Parse((DEPLOY / "models.config").read_text(), model_server_config_pb2.ModelServerConfig())
    return list(config.model_config_list.config)


def test_every_shipped_model_is_served_under_its_folder_name():
    shipped = sorted(path.parent.name for path in MODELS.glob("*/recipe.json"))
    assert [config.name for config in model_configs()] == shipped
    for config in model_configs():
        assert config.base_path == f"/models/{config.name}"
        assert config.model_platform == "tensorflow"
        assert latest_version(MODELS / config.name)


def test_batching_parameters_are_what_tensorflow_serving_reads():
    # session_bundle_config.proto is not in tensorflow-serving-api: its BatchingParameters, field by field
    whole = ".google.protobuf.Int64Value"
    fields = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    splitting = {"enable_large_batch_splitting": ".google.protobuf.BoolValue"}
    message = message_class(
        "BatchingParameters", **dict.fromkeys(fields, whole), **splitting, allowed_batch_sizes="int64s"
    )
    batching = text_format.Parse((DEPLOY / "batching.config").read_text(), message())
    assert all(batching.HasField(field) and getattr(batching, field).value > 0 for field in fields)
    # without it a request for more images than a batch holds is an error
    assert batching.enable_large_batch_splitting.value is True


def test_monitoring_config_is_what_tensorflow_serving_reads():
    # monitoring_config.proto is not in tensorflow-serving-api either
    prometheus = message_class("PrometheusConfig", enable="bool", path="string")
    text = (DEPLOY / "monitoring.config").read_text()
    (inner,) = re.fullmatch(r"prometheus_config \{(.*)\}\s*", text, re.DOTALL).groups()
    config = text_format.Parse(inner, prometheus())
    assert config.enable is True
    assert config.path == "/monitoring/prometheus/metrics"


def test_compose_mounts_what_exists_and_listens_on_this_machine_only():
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["serving"]
    mounts = dict(volume.removesuffix(":ro").split(":") for volume in service["volumes"])
    inside = {target: (DEPLOY / source).resolve() for source, target in mounts.items()}
    assert inside == {"/models": MODELS, "/config": DEPLOY}
    flags = dict(flag.removeprefix("--").split("=") for flag in service["command"])
    # images of different sizes cannot share a batch, so batching is for whoever knows what the clients send
    assert "enable_batching" not in flags
    for name in ("model_config_file", "monitoring_config_file"):
        assert (inside["/config"] / Path(flags[name]).name).is_file()
        assert flags[name].startswith("/config/")
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+", service["image"])


@pytest.mark.slow
def test_warm_up_requests_name_the_served_model_and_are_answered():
    for config in model_configs():
        version = latest_version(MODELS / config.name)
        signatures = signatures_of(config.name)
        asked = set()
        for record in tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests")):
            request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
            assert request.model_spec.name == config.name
            inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
            assert signatures[request.model_spec.signature_name](**inputs)
            asked.add(request.model_spec.signature_name)
        assert asked == set(signatures)


def snippet(word):
    """The Python snippet of docs/serving.md that has `word` in it."""
    snippets = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "serving.md").read_text(), re.DOTALL)
    (found,) = [code for code in snippets if word in code]
    return found


@pytest.fixture
def image(tmp_path, monkeypatch):
    """An image where `make run` leaves one, and what the shipped model says of it."""
    monkeypatch.chdir(tmp_path)
    Path("runs/digits").mkdir(parents=True)
    cv2.imwrite("runs/digits/digit.png", drawn(8, 0).images[7])
    answer = signatures_of("digits")["predict_bytes"](
        image_bytes=tf.constant([Path("runs/digits/digit.png").read_bytes()])
    )
    return answer["class_name"].numpy()[0].decode(), float(answer["score"][0])


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict of TensorFlow Serving's gRPC service over the shipped models."""

    def Predict(self, request, context):
        signatures = signatures_of(request.model_spec.name)
        inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
        response = predict_pb2.PredictResponse()
        for name, value in signatures[request.model_spec.signature_name](**inputs).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
        return response


def test_the_grpc_call_of_the_docs_gets_the_models_own_answer(image, capsys):
    server = grpc.server(futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        exec(snippet("grpc").replace("127.0.0.1:8500", f"127.0.0.1:{port}"), {})
    finally:
        server.stop(None).wait()
    name, score = capsys.readouterr().out.split()
    assert name == image[0]
    assert abs(float(score) - image[1]) < 1e-5


@pytest.fixture(scope="module")
def address():
    """host:port of the embedded server over the shipped models."""
    with embedded_server(MODELS) as server:
        yield server.removeprefix("http://")


def test_the_rest_call_of_the_docs_gets_the_models_own_answer(image, address, capsys):
    exec(snippet("urllib").replace("127.0.0.1:8501", address), {})
    name, score = capsys.readouterr().out.split()
    assert name == image[0]
    assert abs(float(score) - image[1]) < 1e-5


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_curl_call_of_the_docs_gets_the_models_own_answer(image, address):
    calls = re.findall(r"^\(printf .*?\n.*?$", (ROOT / "docs" / "serving.md").read_text(), re.MULTILINE)
    (call,) = [call for call in calls if "models/digits" in call]
    ran = subprocess.run(["bash", "-c", call.replace("127.0.0.1:8501", address)], capture_output=True, text=True)
    (answer,) = json.loads(ran.stdout)["predictions"]
    assert answer["class_name"] == image[0]
    assert abs(answer["score"] - image[1]) < 1e-5


def test_digits_are_named_through_the_server_as_without_it(image, address, capsys):
    for command in ("predict", "read"):
        answers = []
        for code, source in ((0, ()), (0, ("--server", f"http://{address}")), (3, ("--server", "http://127.0.0.1:1"))):
            with pytest.raises(SystemExit, match=f"^{code}$"):
                cli.run(digits.app, [command, "runs/digits/digit.png", *source])
            answers.append(capsys.readouterr().out)
        assert answers[0] == answers[1] != ""
        assert answers[2] == ""


def test_shipped_saved_models_are_those_of_the_shipped_networks():
    # export is forgotten after a training, or the other way round
    images = (np.random.default_rng(0).random((4, 28, 28, 1)) > 0.7).astype(np.float32)
    network = keras.saving.load_model(MODELS / "digits" / "model.keras")
    check_probabilities("digits", images, keras.ops.softmax(network(images)))
    network, record = load_trained(MODELS / "tumors", RUNS)
    slices = preprocess_volume(drawn_patient(0).images, record["recipe"]["image_size"])
    check_probabilities(
        "tumors", slices, network_probabilities(in_float32(network), slices, record["settings"]["flip_tta"])
    )
    image = cv2.cvtColor(cv2.imread(str(ROOT / "docs" / "images" / "cat.jpg")), cv2.COLOR_BGR2RGB)
    images = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA)[None].astype(np.float32) / 255
    for name in ("cifar10_fast", "cifar10_resnet20"):
        network, record = load_trained(MODELS / name, image_recipes.RUNS)
        logits = Inference.recorded(record).logits(in_float32(network))(images)
        check_probabilities(name, images, keras.ops.softmax(logits))


def check_probabilities(name, images, expected):
    answer = signatures_of(name)["probabilities"](image=tf.constant(images))
    assert np.max(expected) > 0.5
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)


@pytest.mark.slow
def test_a_patient_is_segmented_through_the_server_as_without_it(address, tmp_path, printed):
    slices = tmp_path / "patient"
    slices.mkdir()
    for i, image in enumerate(drawn_patient(0).images[:3], 1):
        cv2.imwrite(str(slices / f"patient_{i}.png"), image[..., ::-1])
    answers = []
    for place, source in (("local", ()), ("served", ("--server", f"http://{address}"))):
        answer = json.loads(printed("predict", slices, "--results", tmp_path / place, *source))
        masks = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted(Path(answer["mask"]).iterdir())]
        answers.append((answer["tumor_voxels"], np.stack(masks)))
    assert answers[0][0] == answers[1][0] == (answers[0][1] == 255).sum() > 0
    np.testing.assert_array_equal(answers[0][1], answers[1][1])


def test_masks_come_from_the_server_as_png_files(address):
    image = drawn_patient(0).images[4]
    png = base64.b64encode(tf.io.encode_png(image).numpy()).decode()
    body = json.dumps({"signature_name": "predict_bytes", "instances": [{"b64": png}]}).encode()
    with urllib.request.urlopen(f"http://{address}/v1/models/tumors:predict", body) as response:
        (answer,) = json.load(response)["predictions"]
    assert (answer["valid"], answer["height"], answer["width"]) == (True, *image.shape[:2])
    mask = tf.io.decode_png(base64.b64decode(answer["mask_png_bytes"]["b64"])).numpy()
    assert mask.any()
    np.testing.assert_array_equal(mask, 255 * np.array(answer["mask"]))
