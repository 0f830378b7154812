import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import kerascnn as kc
from kerascnn.datasets import tfds_images as source
from kerascnn.errors import DataAbsent, InputError

# examples of each class in the two splits, as published with the data
TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.long
@pytest.mark.data
def test_mnist_has_its_published_counts(mnist):
    assert [len(part) for part in (mnist.train, mnist.validation, mnist.test)] == [55_000, 5_000, 10_000]
    labels = np.concatenate([mnist.train.labels, mnist.validation.labels])
    assert np.bincount(labels).tolist() == TRAIN
    assert np.bincount(mnist.test.labels).tolist() == TEST
    assert mnist.train.images.shape[1:] == (28, 28, 1)
    assert mnist.train.images.dtype == np.uint8


def originals():
    """The folder with the four original files, as a user places them by hand, or a skip."""
    manual = source.folder() / "downloads" / "manual"
    if not (manual / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip("needs MNIST's original files in TFDS's manual folder")
    return manual


@pytest.mark.data
def test_first_test_digit_equals_the_original_file(mnist):
    with gzip.open(originals() / "t10k-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28, 1)
    with gzip.open(originals() / "t10k-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    order = np.lexsort(pixels.reshape(10_000, -1).T)
    ours = np.lexsort(mnist.test.images.reshape(10_000, -1).T)
    np.testing.assert_array_equal(pixels[order], mnist.test.images[ours])
    np.testing.assert_array_equal(labels[order], mnist.test.labels[ours])
    assert np.bincount(labels).tolist() == TEST


@pytest.mark.data
def test_a_damaged_original_is_named_with_its_checksum(tmp_path, monkeypatch):
    manual = tmp_path / "downloads" / "manual"
    shutil.copytree(originals(), manual, ignore=lambda folder, names: [n for n in names if not n.endswith("ubyte.gz")])
    damaged = manual / "t10k-labels-idx1-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    published = "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
    with pytest.raises(InputError, match=rf"{damaged} is damaged: .*expected {published}; replace the file"):
        source.load("mnist", tmp_path)


@pytest.mark.long
@pytest.mark.data
def test_a_disk_that_fills_while_data_are_prepared_is_named(disk_of):
    place = disk_of("44m")
    (place / "downloads").mkdir()
    (place / "downloads" / "manual").symlink_to(originals())
    with pytest.raises(
        InputError, match=f"^cannot prepare mnist in {place}: .*; run again, or choose another data_dir"
    ):
        source.load("mnist", place)


@pytest.mark.slow
@pytest.mark.data
def test_cifar10_has_its_published_counts_and_classes():
    if not (source.folder() / "cifar10").is_dir():
        pytest.skip("needs CIFAR-10 under TFDS_DATA_DIR")
    data = kc.datasets.load("cifar10")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [45_000, 5_000, 10_000]
    labels = np.concatenate([data.train.labels, data.validation.labels])
    assert np.bincount(labels).tolist() == [5_000] * 10
    assert np.bincount(data.test.labels).tolist() == [1_000] * 10
    assert (data.train.image_shape, data.train.images.dtype) == ((32, 32, 3), np.uint8)
    # the binary version's batches.meta.txt, in its order
    names = "airplane automobile bird cat deer dog frog horse ship truck"
    assert " ".join(data.class_names) == names
    # the mean of each colour over the training images, as most code for CIFAR-10 has it, (0.4914, 0.4822, 0.4465)
    images = np.concatenate([data.train.images, data.validation.images])
    np.testing.assert_allclose(images.mean((0, 1, 2)) / 255, (0.4914, 0.4822, 0.4465), atol=1e-4)


@pytest.mark.parametrize(("name", "place"), [("mnist", "manual"), ("fashion_mnist", "manual/fashion_mnist")])
def test_neither_files_nor_network_names_files_folder_and_source(name, place, tmp_path, no_network):
    with pytest.raises(DataAbsent) as caught:
        source.load(name, tmp_path)
    message = str(caught.value)
    assert message.startswith(f"no data in {tmp_path} and no network (")
    assert message.endswith(f"in {tmp_path / 'downloads' / place}")
    assert "train-images-idx3-ubyte.gz (sha256 " in message
    assert "t10k-labels-idx1-ubyte.gz (sha256 " in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "file"), [("cifar10", "cifar-10-binary.tar.gz"), ("cifar100", "cifar-100-binary.tar.gz")]
)
def test_the_archive_of_cifar_is_named_where_there_is_none(name, file, tmp_path, no_network):
    with pytest.raises(
        DataAbsent, match=rf"^no data in {tmp_path} and no network .*; place {file} \(sha256 \w+\) from "
    ):
        kc.datasets.load(name, tmp_path)


def test_fashion_mnist_needs_all_four_files_of_its_own_folder(tmp_path, no_network):
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (manual / f"{name}-ubyte.gz").write_bytes(b"digits, not fashion")
    with pytest.raises(DataAbsent):
        source.load("fashion_mnist", tmp_path)


@pytest.mark.slow
@pytest.mark.data
def test_prepared_data_that_are_damaged_are_named(mnist, tmp_path):
    shutil.copytree(source.folder() / "mnist", tmp_path / "mnist")
    record = next((tmp_path / "mnist").rglob("mnist-test.tfrecord*"))
    os.truncate(record, record.stat().st_size // 2)
    with pytest.raises(InputError, match=rf"the prepared data in {tmp_path}.* are damaged .*delete the folder"):
        source.load("mnist", tmp_path)


def test_data_folder_is_the_argument_then_the_environment(monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", "/somewhere")
    assert source.folder("/here") == Path("/here")
    assert source.folder() == Path("/somewhere")
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert source.folder() == Path("~/tensorflow_datasets").expanduser()


@pytest.mark.data
def test_a_truncated_description_of_prepared_data_is_named(mnist, tmp_path):
    (prepared,) = (source.folder() / "mnist").iterdir()
    shutil.copytree(prepared, tmp_path / "mnist" / prepared.name)
    description = tmp_path / "mnist" / prepared.name / "dataset_info.json"
    description.write_bytes(description.read_bytes()[:50])
    with pytest.raises(InputError, match=rf"{tmp_path / 'mnist'} is damaged \(.*\); delete the folder and run again"):
        source.load("mnist", tmp_path)


def test_a_file_in_place_of_the_data_folder_is_named(tmp_path):
    (tmp_path / "data").touch()
    with pytest.raises(InputError, match=rf"{tmp_path / 'data'} is no folder; choose another data_dir"):
        source.load("mnist", tmp_path / "data")


@pytest.mark.data
def test_a_damaged_original_is_named_even_when_another_is_absent(tmp_path):
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    content = (originals() / "t10k-labels-idx1-ubyte.gz").read_bytes()
    (manual / "t10k-labels-idx1-ubyte.gz").write_bytes(content[:-1])
    with pytest.raises(InputError, match=r"t10k-labels-idx1-ubyte.gz is damaged"):
        source.load("mnist", tmp_path)
