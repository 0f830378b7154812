"""Weights into networks of other heads, sizes and families; which file is whose stands in conventions.py."""

import logging
import os
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import kerascnn as kc
from kerascnn.datasets import tfds_builders
from kerascnn.errors import InputError, UsageError
from kerascnn.models import builder
from tests.pretrained.test_conversion import torch_names
from tests.pretrained.test_readers import in_bench_environment

DRAW = np.random.default_rng(0)


def saved(path, arrays):
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def cifar():
    """Arrays for resnet20 in the names of akamaster/pytorch_resnet_cifar10."""
    return {name.replace("fc.", "linear."): value for name, value in torch_names(builder("resnet20")()).items()}


def test_another_number_of_classes_leaves_the_head_as_it_is(tmp_path, cifar, caplog):
    model = builder("resnet20")((None, None, 3), 7)
    before = model.get_layer("logits").get_weights()
    assert kc.load_weights(model, saved(tmp_path / "net.npz", cifar)) == ["logits"]
    for weight, old in zip(model.get_layer("logits").get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    kernel = model.get_layer("stage3_block3_conv2").kernel
    np.testing.assert_array_equal(kernel, cifar["layer3.2.conv2.weight"].transpose(2, 3, 1, 0))
    words = "resnet20: the file has 10 classes and the model 7, so the layer logits keeps its own weights"
    assert ("kerascnn.pretrained.conversion", logging.WARNING, words) in caplog.record_tuples


def test_a_file_without_a_head_leaves_the_head_as_it_is(tmp_path, cifar, caplog):
    headless = {name: value for name, value in cifar.items() if not name.startswith("linear")}
    assert kc.load_weights(builder("resnet20")(), saved(tmp_path / "net.npz", headless)) == ["logits"]
    assert "resnet20: the file has no head, so the layer logits keeps its own weights" in caplog.messages


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "model._orig_mod.module.", "backbone.net."])
def test_a_prefix_that_all_names_share_is_taken_off(tmp_path, cifar, prefix):
    model = builder("resnet20")()
    assert not kc.load_weights(
        model, saved(tmp_path / "net.npz", {prefix + name: value for name, value in cifar.items()})
    )
    np.testing.assert_array_equal(model.get_layer("logits").bias, cifar["linear.bias"])


def test_averages_of_pytorchs_own_are_read(tmp_path, cifar):
    """As torch.optim.swa_utils.AveragedModel keeps them."""
    averaged = {"n_averaged": np.array(7), **{f"module.{name}": value for name, value in cifar.items()}}
    model = builder("resnet20")()
    assert not kc.load_weights(model, saved(tmp_path / "net.npz", averaged))
    np.testing.assert_array_equal(model.get_layer("logits").bias, cifar["linear.bias"])


def test_names_of_another_network_are_told_as_they_stand_in_the_file(tmp_path):
    file = saved(tmp_path / "net.npz", {"model.encoder.weight": np.ones(3), "model.encoder.bias": np.ones(3)})
    with pytest.raises(InputError, match="^model.encoder.weight has no place in resnet20; give weights of the same"):
        kc.load_weights(builder("resnet20")(), file)


@pytest.mark.parametrize(("shortcut", "head"), [("shortcut", "linear"), ("downsample", "fc")])
def test_projections_of_cifar_networks_fit_under_both_names(tmp_path, shortcut, head):
    model = builder("resnet20_b")()
    arrays = {
        name.replace("downsample", shortcut).replace("fc.", f"{head}."): value
        for name, value in torch_names(model).items()
    }
    model = builder("resnet20_b")()
    assert kc.load_weights(model, saved(tmp_path / "net.npz", arrays)) == []
    kernel = model.get_layer("stage2_block1_project").kernel
    np.testing.assert_array_equal(kernel, arrays[f"layer2.0.{shortcut}.0.weight"].transpose(2, 3, 1, 0))


def test_squeeze_and_excitation_without_biases_gets_zeros(tmp_path):
    model = builder("se_resnet20")()
    arrays = {
        name.replace("se_reduce", "se.fc.0").replace("se_excite", "se.fc.2"): value
        for name, value in torch_names(model).items()
        if not name.endswith(("se_reduce.bias", "se_excite.bias"))
    }
    kc.load_weights(model, saved(tmp_path / "net.npz", arrays))
    kernel, bias = model.get_layer("stage3_block2_se_reduce").get_weights()
    np.testing.assert_array_equal(kernel, arrays["layer3.1.se.fc.0.weight"].T.astype(np.float32))
    assert not bias.any()


def lenet_in_numpy(arrays, x):
    """LeNet-5 with PyTorch's axes: images (N, 1, 28, 28) -> logits (N, 10)."""

    def convolve(x, name):
        windows = sliding_window_view(x, (5, 5), axis=(2, 3))
        products = np.einsum("nchwij,ocij->nohw", windows, arrays[f"{name}.weight"])
        y = np.tanh(products + arrays[f"{name}.bias"][:, None, None])
        return y.reshape(*y.shape[:2], y.shape[2] // 2, 2, y.shape[3] // 2, 2).mean((3, 5))

    x = np.pad((x - 0.1307) / 0.3081, [(0, 0), (0, 0), (2, 2), (2, 2)])
    x = convolve(convolve(x, "conv1"), "conv2").reshape(len(x), -1)
    for name in ("fc1", "fc2"):
        x = np.tanh(x @ arrays[f"{name}.weight"].T + arrays[f"{name}.bias"])
    return x @ arrays["fc3.weight"].T + arrays["fc3.bias"]


LENET = {"conv1": (6, 1, 5, 5), "conv2": (16, 6, 5, 5), "fc1": (120, 400), "fc2": (84, 120), "fc3": (10, 84)}


def lenet_arrays(**other):
    shapes = {**LENET, **other}
    arrays = {f"{name}.weight": 0.1 * DRAW.normal(size=shape) for name, shape in shapes.items()}
    return arrays | {f"{name}.bias": 0.1 * DRAW.normal(size=shape[0]) for name, shape in shapes.items()}


def test_a_lenet_with_plain_names_gives_the_same_logits(tmp_path):
    arrays, model = lenet_arrays(), builder("lenet5")()
    kc.load_weights(model, saved(tmp_path / "net.npz", arrays))
    x = DRAW.random((2, 28, 28, 1))
    expected = lenet_in_numpy(arrays, x.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(model(x.astype(np.float32)), expected, atol=1e-5)


@pytest.mark.parametrize(("side", "rows", "size"), [(32, 400, 28), (28, 784, 36)])
def test_a_dense_kernel_for_images_of_another_size_names_the_size(tmp_path, side, rows, size):
    file = saved(tmp_path / "net.npz", lenet_arrays(fc1=(120, rows)))
    words = (
        rf"^fc1.weight of shape \(120, {rows}\) is for images of {size} x {size} pixels, and lenet5 was built for "
        rf"{side} x {side}; build it for \({size}, {size}, 1\)$"
    )
    with pytest.raises(InputError, match=words):
        kc.load_weights(builder("lenet5")((side, side, 1)), file)


def test_of_a_vgg_for_imagenet_the_published_size_is_named(tmp_path):
    kernels = np.broadcast_to(np.float32(0), (4096, 25088))
    from kerascnn.pretrained.conversion import load_arrays

    with keras.StatelessScope(initialize_variables=False):
        model = builder("vgg11")((64, 64, 3), 10)
    with pytest.raises(InputError, match=r"is for images of 224 x 224 pixels, and vgg11 was built for 64 x 64; build"):
        load_arrays(model, {"classifier.0.weight": kernels})
    keras.utils.clear_session()


def test_a_dense_kernel_of_no_square_of_pixels_is_told_by_its_shape(tmp_path):
    file = saved(tmp_path / "net.npz", lenet_arrays(fc1=(120, 401)))
    with pytest.raises(
        InputError, match=r"^fc1.weight of shape \(120, 401\) does not fit c5/kernel of lenet5, for whi"
    ):
        kc.load_weights(builder("lenet5")(), file)


CIFAR10 = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GIVEN = [
    ("imagenet", *IMAGENET),
    ("cifar10", *CIFAR10),
    ("half", 0.5, 0.5),
    (None, 0, 1),
    (((0.1, 0.2, 0.3), 0.25), (0.1, 0.2, 0.3), 0.25),
]


@pytest.mark.parametrize(("statistics", "mean", "std"), GIVEN, ids=str)
@pytest.mark.long
def test_normalize_gets_the_statistics_that_are_given(tmp_path, cifar, caplog, statistics, mean, std):
    model = builder("resnet20")()
    kc.load_weights(model, saved(tmp_path / "net.npz", cifar), statistics=statistics)
    x = DRAW.random((1, 2, 2, 3), np.float32)
    expected = (x - np.array(mean)) / np.array(std)
    np.testing.assert_allclose(model.get_layer("normalize")(x), expected, atol=1e-5)
    assert not caplog.messages


@pytest.mark.parametrize(("head", "name", "mean"), [("linear", "imagenet", IMAGENET[0]), ("fc", "cifar10", CIFAR10[0])])
def test_the_usual_statistics_of_cifar_networks_are_told(tmp_path, cifar, caplog, head, name, mean):
    model = builder("resnet20")()
    arrays = {key.replace("linear.", f"{head}."): value for key, value in cifar.items()}
    kc.load_weights(model, saved(tmp_path / "net.npz", arrays))
    zero = model.get_layer("normalize")(np.array(mean, np.float32).reshape(1, 1, 1, 3))
    np.testing.assert_allclose(zero, np.zeros((1, 1, 1, 3)), atol=1e-6)
    assert caplog.messages == [
        f"resnet20: statistics of the input are {name!r}, as is usual for such a file; if it was trained with others, "
        "give them"
    ]


WRONG = ["ImageNet", "", 0.5, (0.5,), ((0.5, 0.5), 0.5), (0.5, 0.0), (0.5, float("nan")), ("a", "b"), (0.5, 0.5, 0.5)]


@pytest.mark.parametrize("statistics", WRONG, ids=str)
@pytest.mark.long
def test_statistics_that_make_no_sense_raise(tmp_path, cifar, statistics):
    words = "choose one of 'imagenet', 'cifar10', 'mnist', 'half', 'caffe', None, or"
    if not isinstance(statistics, str):
        words = "resnet20 has 3 input channels; give"
    model = builder("resnet20")()
    with pytest.raises(UsageError, match=rf"^statistics is .*{words} \(mean, std\)") as raised:
        kc.load_weights(model, saved(tmp_path / "net.npz", cifar), statistics=statistics)
    assert raised.value.argument == "statistics"


def test_what_is_no_network_of_ours_raises(tmp_path, cifar):
    file = saved(tmp_path / "net.npz", cifar)
    with pytest.raises(UsageError, match="^model is 'resnet20'; give a network of kerascnn.models, as resnet50()"):
        kc.load_weights("resnet20", file)
    image = keras.Input((32, 32, 3))
    alike = keras.Model(image, keras.layers.Dense(10, name="logits")(keras.layers.Flatten()(image)), name="resnet20")
    with pytest.raises(
        UsageError, match="^model resnet20 has no layer normalize; give a network of kerascnn.models, a"
    ):
        kc.load_weights(alike, file)
    with pytest.raises(UsageError, match=r"^model mlp takes no weights of PyTorch; choose one of .*resnet20"):
        kc.load_weights(builder("mlp")(), file)


def test_without_a_file_the_hub_is_asked_for_the_networks_name():
    with pytest.raises(UsageError, match="^model lenet5 has no weights on the hub .*; give a file, or one of .*resnet"):
        kc.load_weights(builder("lenet5")())


# akamaster/pytorch_resnet_cifar10, resnet.py, with option A and B of the shortcut
AKAMASTER = """
import sys
import numpy as np, torch
from torch import nn
from torch.nn import functional as F

class BasicBlock(nn.Module):
    def __init__(self, inputs, filters, stride, option):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.added = filters // 4 if option == "A" and inputs != filters else 0
        self.shortcut = nn.Sequential()
        if option == "B" and inputs != filters:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        padded = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.added, self.added)) if self.added else self.shortcut(x)
        return F.relu(y + padded)

class ResNet(nn.Module):
    def __init__(self, option):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        for i, (inputs, filters) in enumerate(((16, 16), (16, 32), (32, 64)), 1):
            first = BasicBlock(inputs, filters, min(i, 2), option)
            others = [BasicBlock(filters, filters, 1, option) for _ in range(2)]
            setattr(self, f"layer{i}", nn.Sequential(first, *others))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))

torch.manual_seed(0)
x = torch.rand(2, 3, 32, 32)
mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
for option in "AB":
    net = ResNet(option)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    checkpoint = {"state_dict": nn.DataParallel(net).state_dict(), "best_prec1": 91.78}
    torch.save(checkpoint, f"{option}.th", _use_new_zipfile_serialization=False)
    with torch.inference_mode():
        np.savez(f"{option}.npz", x=x.permute(0, 2, 3, 1), y=net.eval()((x - mean) / std))
"""


@pytest.mark.parity
def test_files_of_the_usual_cifar_code_give_the_same_logits(tmp_path):
    assert in_bench_environment(AKAMASTER, tmp_path).returncode == 0
    for option, name in (("A", "resnet20"), ("B", "resnet20_b")):
        model, expected = builder(name)(), np.load(tmp_path / f"{option}.npz")
        assert kc.load_weights(model, tmp_path / f"{option}.th") == []
        np.testing.assert_allclose(model(expected["x"]), expected["y"], atol=1e-5 * np.abs(expected["y"]).max())


# README of akamaster/pytorch_resnet_cifar10: test error in per cent, of 10,000 images
PUBLISHED = {"resnet20": 8.27, "resnet32": 7.37, "resnet44": 6.90, "resnet56": 6.61, "resnet110": 6.32}


@pytest.mark.parity
@pytest.mark.data
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_weights_keep_their_published_error(name):
    files = sorted(Path(os.environ.get("CIFAR_WEIGHTS", "no folder")).glob(f"{name}-*.th"))
    if not files:
        pytest.skip(f"needs {name}-*.th of akamaster/pytorch_resnet_cifar10 in the folder CIFAR_WEIGHTS")
    root = tfds_builders.folder()
    if not (root / "cifar10").is_dir():
        pytest.skip("needs CIFAR-10 under TFDS_DATA_DIR")
    import tensorflow_datasets as tfds

    test = tfds.as_numpy(tfds.load("cifar10", split="test", batch_size=-1, data_dir=root, download=False))
    model = builder(name)()
    kc.load_weights(model, files[0])
    predicted = model.predict(test["image"] / np.float32(255), batch_size=500, verbose=0).argmax(-1)
    # two images of 10,000 may lie on the edge
    assert 100 * (predicted != test["label"]).mean() == pytest.approx(PUBLISHED[name], abs=0.021)
