"""Weights of others in our networks; keras.applications is here, PyTorch's networks are compared by `make parity`."""

import hashlib
import sys

import keras
import numpy as np
import pytest

from kerascnn.errors import InputError, UsageError
from kerascnn.models import builder
from kerascnn.pretrained import load_weights
from kerascnn.pretrained.conventions import usual_resize
from kerascnn.pretrained.conversion import load_arrays
from kerascnn.pretrained.hub import fetch
from kerascnn.pretrained.names import KERAS
from tests.pretrained.test_readers import in_bench_environment


@pytest.fixture(scope="module")
def resnet18():
    return builder("resnet18")()


def torch_names(model):
    """Random arrays for every weight of our resnet18, named and ordered as torchvision does."""
    draw = np.random.default_rng(0)
    arrays = {}
    for layer in model.layers:
        name = layer.name.replace("stem_conv_bn", "bn1").replace("stem_conv", "conv1").replace("logits", "fc")
        if name.startswith("stage"):
            stage, block, part = name.split("_", 2)
            part = {"project": "downsample.0", "project_bn": "downsample.1"}.get(part, part)
            part = f"bn{part[4]}" if part in ("conv1_bn", "conv2_bn") else part
            name = f"layer{stage[-1]}.{int(block[-1]) - 1}.{part}"
        for weight in layer.weights:
            value = np.abs(draw.normal(size=weight.shape)).astype(np.float32)
            if weight.name == "kernel":
                value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
            part = {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias"}.get(weight.name)
            part = part or {"moving_mean": "running_mean", "moving_variance": "running_var"}[weight.name]
            arrays[f"{name}.{part}"] = value
    return arrays | {"bn1.num_batches_tracked": np.array(3)}


def same_as(model, arrays):
    kernel = np.asarray(model.get_layer("stage2_block1_project").kernel)
    return np.array_equal(kernel, arrays["layer2.0.downsample.0.weight"].transpose(2, 3, 1, 0))


@pytest.mark.slow
def test_files_of_keras_applications_give_the_same_logits_and_without_their_top_the_same_embedding(tmp_path):
    keras.utils.set_random_seed(0)
    theirs = keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3), classes=10, classifier_activation=None)
    draw = np.random.default_rng(1)
    for layer in theirs.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(draw.normal(0, 0.1, layer.moving_mean.shape))
            layer.moving_variance.assign(draw.uniform(0.5, 1.5, layer.moving_mean.shape))
        elif isinstance(layer, keras.layers.Conv2D):
            layer.bias.assign(draw.normal(0, 0.1, layer.bias.shape))
    headless = keras.Model(theirs.input, theirs.get_layer("avg_pool").output)
    ours = builder("resnet50")((64, 64, 3), 10)
    x = draw.random((1, 64, 64, 3), np.float32)
    for model, output, fresh in ((theirs, "logits", []), (headless, "embedding", ["logits"])):
        model.save(tmp_path / "resnet50.h5")
        assert load_weights(ours, tmp_path / "resnet50.h5") == fresh
        expected = model(keras.applications.resnet.preprocess_input(255 * x)).numpy()
        outputs = keras.Model(ours.input, ours.get_layer(output).output)(x).numpy()
        np.testing.assert_allclose(outputs, expected, atol=1e-4 * np.abs(expected).max())
    # trained by somebody on RGB in [0, 1]
    load_weights(ours, tmp_path / "resnet50.h5", statistics=None)
    outputs, expected = (
        keras.Model(m.input, m.get_layer(of).output)(x) for m, of in ((ours, "embedding"), (theirs, "avg_pool"))
    )
    np.testing.assert_allclose(outputs, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(("name", "theirs"), [("vgg19", "VGG19"), ("resnet101", "ResNet101")])
@pytest.mark.long
def test_every_layer_of_keras_applications_has_one_of_ours(name, theirs):
    with keras.StatelessScope(initialize_variables=False):
        models = getattr(keras.applications, theirs)(weights=None), builder(name)()
    keras.utils.clear_session()
    weighted, ours = ([layer.name for layer in model.layers if layer.weights] for model in models)
    assert sorted(KERAS[name][layer] for layer in weighted) == sorted(ours)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
@pytest.mark.long
def test_every_kind_of_file_that_needs_no_torch_is_read(resnet18, tmp_path, suffix):
    from safetensors.numpy import save_file

    arrays = torch_names(resnet18)
    path = tmp_path / f"resnet18{suffix}"
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, path) if suffix != ".npz" else np.savez(
        path, **arrays
    )
    load_weights(resnet18, path)
    assert same_as(resnet18, arrays)


def test_normalize_is_what_the_weights_expect(resnet18):
    load_arrays(resnet18, torch_names(resnet18))
    x = np.array([0.485, 0.456 + 0.224, 0.406 - 0.225], np.float32).reshape(1, 1, 1, 3)
    np.testing.assert_allclose(resnet18.get_layer("normalize")(x).numpy().ravel(), [0, 1, -1], atol=1e-6)


def buda_block(prefix, short, channels, filters):
    """Arrays of two convolutions and normalizations as the class UNet of brain-segmentation-pytorch names them."""
    for i, inputs in ((1, channels), (2, filters)):
        yield f"{prefix}.{short}conv{i}.weight", (filters, inputs, 3, 3)
        for part in ("weight", "bias", "running_mean", "running_var"):
            yield f"{prefix}.{short}norm{i}.{part}", (filters,)


def test_the_unet_of_brain_segmentation_pytorch_fits():
    shapes = dict(buda_block("bottleneck", "bottleneck", 256, 512))
    for level, filters in enumerate((32, 64, 128, 256), 1):
        shapes |= dict(buda_block(f"encoder{level}", f"enc{level}", 3 if level == 1 else filters // 2, filters))
        shapes |= dict(buda_block(f"decoder{level}", f"dec{level}", 2 * filters, filters))
        shapes |= {f"upconv{level}.weight": (2 * filters, filters, 2, 2), f"upconv{level}.bias": (filters,)}
    shapes |= {"conv.weight": (1, 32, 1, 1), "conv.bias": (1,)}
    draw = np.random.default_rng(0)
    arrays = {name: draw.random(shape, np.float32) for name, shape in shapes.items()}
    model = builder("unet_buda")()
    load_arrays(model, arrays)
    np.testing.assert_array_equal(model.get_layer("decoder2_up").kernel, arrays["upconv2.weight"].transpose(2, 3, 1, 0))
    x = draw.random((1, 4, 4, 3), np.float32)
    np.testing.assert_array_equal(model.get_layer("normalize")(x), x)


@pytest.mark.long
def test_statistics_reach_what_was_traced_before(resnet18):
    x = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    model = builder("resnet18")((32, 32, 3))
    model.predict(x, verbose=0)
    load_arrays(model, mild(torch_names(resnet18)))
    np.testing.assert_allclose(model.predict(x, verbose=0), model(x).numpy(), rtol=1e-4)


def mild(arrays):
    """The arrays with weights so small that nothing grows without bounds."""
    return {name: np.float32(0.02) * value for name, value in arrays.items()}


ERRORS = [
    (
        "layer3.0.conv2.weight",
        np.zeros((256, 128, 3, 3)),
        r"of shape \(256, 128, 3, 3\) does not fit stage3_block1_conv2/kernel of resnet18, "
        r"for which the file must have \(256, 256, 3, 3\); give weights of the same network$",
    ),
    ("fc.weight", np.zeros((10, 512)), r"of shape \(10, 512\) does not fit .* the file must have \(1000, 512\)"),
    ("fc.weight", np.zeros((1000, 256)), r"of shape \(1000, 256\) does not fit .* the file must have \(1000, 512\)"),
    ("fc.weight", np.array(1.0), r"of shape \(\) does not fit"),
    ("conv1.bias", np.zeros(1), r"of shape \(1,\) does not fit stem_conv_bn/moving_mean .* must have \(64,\)"),
    ("fc.bias", np.full(1000, "a"), r"holds <U1 and no numbers"),
    ("fc.bias", np.full(1000, np.nan), r"holds values that are not finite"),
    ("fc.bias", np.full(1000, 1e300), r"holds values that are not finite"),
    ("bn1.running_var", np.full(64, -1.0), r"holds a variance below 0"),
]


@pytest.mark.parametrize(("name", "value", "message"), ERRORS, ids=range(len(ERRORS)))
@pytest.mark.long
def test_what_does_not_fit_is_named_and_nothing_is_changed(resnet18, name, value, message):
    before = [w.numpy() for w in resnet18.weights]
    with pytest.raises(InputError, match=rf"^{name} {message}"):
        load_arrays(resnet18, {**torch_names(resnet18), name: value})
    for weight, old in zip(resnet18.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)


def test_an_array_too_many_or_too_few_is_named(resnet18):
    arrays = torch_names(resnet18)
    with pytest.raises(InputError, match=r"^layer5.0.conv1.weight has no place in resnet18; give weights of the same"):
        load_arrays(resnet18, {**arrays, "layer5.0.conv1.weight": np.zeros(3)})
    del arrays["fc.bias"]
    words = "^nothing was given for logits/bias of resnet18; give a complete file of this network$"
    with pytest.raises(InputError, match=words):
        load_arrays(resnet18, arrays)


def test_weights_that_fit_in_shape_but_not_in_strides_raise(tmp_path):
    np.savez(tmp_path / "resnet50.npz", **{"conv1.weight": np.zeros(1)})
    with pytest.raises(UsageError, match=r"^model resnet50 takes no weights of PyTorch; choose one of .*resnet50_v1_5"):
        load_weights(keras.Sequential(name="resnet50"), tmp_path / "resnet50.npz")


def test_without_the_hubs_client_the_file_to_give_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    words = "^file is None, .*; run pip install .*, or give model.safetensors of timm/resnet18.tv_in1k on the hub$"
    with pytest.raises(UsageError, match=words):
        fetch("resnet18")


def test_what_the_hub_does_not_have_is_said_before_anything_is_fetched():
    with pytest.raises(
        UsageError, match="^model zfnet has no weights on the hub that are known; there are those of .*resnet18"
    ):
        fetch("zfnet")
    with pytest.raises(
        UsageError, match="^model resnet50 has no weights on the hub .*; give a file, or one of .*_v1_5"
    ):
        fetch("resnet50")


# A hub of the real one's answers, as its client of 2026 asks for them; the real one cannot be reached offline.
HUB = """
import hashlib, http.server, json, os, sys, threading
content = open(sys.argv[1], "rb").read()
digest = hashlib.sha256(content).hexdigest()

class Hub(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        about = json.dumps({"id": "timm/resnet18.tv_in1k", "cardData": {"license": "bsd-3-clause"}}).encode()
        file = "/timm/resnet18.tv_in1k/resolve/main/model.safetensors"
        body = {"/api/models/timm/resnet18.tv_in1k": about, file: content}.get(self.path, b"")
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        if body is content:
            self.send_header("ETag", digest)
            self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        self.wfile.write(body if self.command == "GET" else b"")

    do_HEAD = do_GET

    def log_message(self, *arguments):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
from kerascnn.errors import InputError
from kerascnn.pretrained.hub import fetch

print(fetch("resnet18").read_bytes() == content)
server.shutdown()
server.server_close()
path = fetch("resnet18")
path.resolve().write_bytes(b"damaged")
for name in ("resnet18", "resnet34"):
    try:
        fetch(name)
    except InputError as error:
        print(error)
"""


@pytest.mark.parity
def test_weights_are_fetched_with_licence_and_checksum_and_kept_for_later(tmp_path):
    (tmp_path / "content").write_bytes(b"weights")
    ran = in_bench_environment(HUB, tmp_path, "content")
    kept, damaged, absent = ran.stdout.splitlines()
    digest = hashlib.sha256(b"weights").hexdigest()
    assert ran.stderr.splitlines() == [
        f"timm/resnet18.tv_in1k: licence {licence}, SHA-256 {digest}"
        for licence in ("bsd-3-clause", "as when it was fetched")
    ]
    assert kept == "True"
    assert f"the hub says {digest}); delete it and fetch it again" in damaged
    assert absent.startswith("cannot fetch model.safetensors of timm/resnet34.tv_in1k (")
    assert absent.endswith("/model.safetensors where there is a network and give that file")


def test_photos_are_resized_as_others_measure_these_weights():
    # torchvision's presets and timm 1.0's default_cfgs
    assert usual_resize("resnet50_v1_5", 224) == {"crop_ratio": 0.875, "interpolation": "bilinear"}
    assert usual_resize("inception_v4", 299) == {"crop_ratio": 0.875, "interpolation": "bicubic"}
    assert usual_resize("resnet20", 32) == {"crop_ratio": 1.0, "interpolation": "bilinear"}
