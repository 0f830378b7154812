"""Images in TFRecord files; the files are real, written by TensorFlow and by TensorFlow Datasets."""

import dataclasses
import logging
import os
import shutil
from types import SimpleNamespace

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import kerascnn as kc
from kerascnn.classification.data import check_photos, load_images, resolved
from kerascnn.classification.recorded_data import as_split, load_tested, split_names
from kerascnn.datasets.batches import evaluation_batches
from kerascnn.datasets.resizing import ResizeAndCrop
from kerascnn.datasets.tfds_records import image_and_label
from kerascnn.errors import DataAbsent, InputError, UsageError
from tests.interrupting import assert_stopped_ends_as_whole
from tests.test_public_api import example as example_of

COLOURS = "red", "green", "blue"


def encoded(label, number):
    """A PNG file of noise of one colour, of a size of its own."""
    random = np.random.default_rng([label, number])
    image = np.zeros((*random.integers(40, 60, 2), 3), np.uint8)
    image[..., 2 - label] = random.integers(0, 256, image.shape[:2])
    return cv2.imencode(".png", image)[1].tobytes()


def example(**features):
    """A serialized tf.train.Example of bytes, texts and whole numbers."""
    kinds = {int: ("int64_list", tf.train.Int64List), bytes: ("bytes_list", tf.train.BytesList)}
    found = {}
    for name, value in features.items():
        field, kind = kinds[type(value)]
        found[name.replace("__", "/")] = tf.train.Feature(**{field: kind(value=[value])})
    return tf.train.Example(features=tf.train.Features(feature=found)).SerializeToString()


def write(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


def coloured(label, number):
    text = COLOURS[label].encode()
    return example(image__encoded=encoded(label, number), image__class__label=label, image__class__text=text)


@pytest.fixture
def folder(tmp_path):
    """60 images of three classes for training in two files, and 9 for the test."""
    both = [coloured(number % 3, number) for number in range(60)]
    write(tmp_path / "records" / "train-00000-of-00002.tfrecord", both[:40])
    write(tmp_path / "records" / "train-00001-of-00002.tfrecord", both[40:])
    write(tmp_path / "records" / "test.tfrecord", [coloured(number % 3, 100 + number) for number in range(9)])
    return tmp_path / "records"


def test_records_are_split_as_their_files_are_called(folder):
    data = kc.datasets.image_records(folder, (32, 32))
    assert [np.bincount(part.labels).tolist() for part in (data.train, data.validation, data.test)] == [
        [18] * 3,
        [2] * 3,
        [3] * 3,
    ]
    assert (data.name, data.class_names, data.train.image_shape) == ("records", COLOURS, (32, 32, 3))
    assert data.description == "69 images in TFRecord files, 3 classes, resized to 32x32"
    assert data.test.names[:2].tolist() == ["test.tfrecord#0", "test.tfrecord#1"]
    every = [*data.train.names, *data.validation.names]
    assert sorted(every, key=lambda name: (name[:11], int(name.split("#")[1]))) == [
        *(f"train-00000-of-00002.tfrecord#{number}" for number in range(40)),
        *(f"train-00001-of-00002.tfrecord#{number}" for number in range(20)),
    ]
    again, other = (kc.datasets.image_records(folder, (32, 32), seed=seed) for seed in (0, 1))
    assert again.checksum() == data.checksum() != other.checksum()


def test_the_example_of_the_documentation_runs(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    notebook = {"kc": kc}
    exec(example_of(kc.datasets.image_records), notebook)
    assert notebook["data"].train.image_shape == (224, 224, 3)


def test_names_of_files_need_not_be_utf8(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "caf\udce9")
    data = kc.datasets.image_records(tmp_path / "caf\udce9", (32, 32))
    ((images, *_),) = evaluation_batches(data.test.take(np.arange(2)))
    assert images.numpy().max() > 0.5


@pytest.mark.long
def test_batches_equal_those_of_the_same_images_in_a_folder(folder, tmp_path):
    for number in range(60):
        place = tmp_path / "photos" / COLOURS[number % 3] / f"{number:02}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(encoded(number % 3, number))
    options = {"crop_ratio": 0.9, "interpolation": "bicubic", "validation": 0, "test": 0}
    photos = kc.datasets.image_folder(tmp_path / "photos", (28, 24), **options).train
    records = kc.datasets.image_records(folder, (28, 24), **options).train
    # in the order of the records, and with the numbers that the colours have there
    order = np.argsort([int(name[-6:-4]) for name in photos.names])
    photos = dataclasses.replace(photos.take(order), labels=records.labels, training_resize=ResizeAndCrop((32, 32)))
    records = dataclasses.replace(records, training_resize=ResizeAndCrop((32, 32)))
    moved = [kc.augmentation.RandomCrop(size=(28, 24)), kc.augmentation.MixUp(alpha=1, num_classes=3)]
    for stream in (
        lambda part: evaluation_batches(part),
        lambda part: kc.batches(part, 16, seed=3, epochs=4, first_epoch=2, augmentations=moved),
    ):
        ours, theirs = list(stream(records)), list(stream(photos))
        assert len(ours) == len(theirs) > 0
        for batch, other in zip(ours, theirs, strict=True):
            for part, expected in zip(batch, other, strict=True):
                np.testing.assert_array_equal(part, expected)


@pytest.mark.slow
def test_a_stopped_run_on_records_goes_on_to_the_same_weights(folder, tmp_path):
    recipe = kc.Recipe(
        epochs=3, batch_size=16, deterministic=True, augmentations=[kc.augmentation.Distortion(rotation=10)]
    )

    def run(place, *callbacks):
        keras.utils.set_random_seed(0)
        data, model = kc.datasets.image_records(folder, (16, 16)), kc.models.mlp((16, 16, 3), 3)
        kc.fit(model, data, recipe, folder=place, callbacks=callbacks, verbose=0)
        return model.get_weights()

    assert_stopped_ends_as_whole(run, tmp_path)


def test_a_record_that_has_come_into_a_file_for_the_test_is_in_the_checksum_and_breaks_nothing(tmp_path):
    rows = [example(image=encoded(number % 2, number), label=number % 2) for number in range(20)]
    write(tmp_path / "train.tfrecord", rows[:16])
    write(tmp_path / "test.tfrecord", rows[16:19])
    recipe = {"data": str(tmp_path), "image_size": 8}
    data = load_images(**recipe)
    record = {"recipe": recipe, "split": split_names(data, recipe["data"])}
    write(tmp_path / "test.tfrecord", rows[16:])
    again = load_tested(record)
    assert again.test.names.tolist() == data.test.names.tolist()
    assert again.checksum() != data.checksum()


@pytest.mark.long
def test_broken_images_keep_their_place_with_weight_0_and_are_named(tmp_path, caplog):
    broken = example(image=b"no image", label=1)
    records = [example(image=encoded(0, 0), label=0), broken, example(label=0), example(image=encoded(1, 0), label=1)]
    two = {"bytes_list": {"value": [encoded(0, 0), encoded(1, 0)]}}
    label = {"int64_list": {"value": [1]}}
    records.append(tf.train.Example(features={"feature": {"image": two, "label": label}}).SerializeToString())
    write(tmp_path / "train.tfrecord", records)
    data = kc.datasets.image_records(tmp_path, (16, 16), validation=0, test=0)
    ((images, labels, weights),) = evaluation_batches(data.train)
    assert (labels.numpy().tolist(), weights.numpy().tolist()) == ([0, 1, 0, 1, 1], [1, 0, 0, 1, 0])
    assert not images.numpy()[[1, 2, 4]].any()
    words = "or it is too large, and it counts nothing; replace it before a training"
    assert sorted(record.getMessage() for record in caplog.records) == [
        f"cannot decode {tmp_path}/train.tfrecord#{number}, {words} ({count} so far)"
        for count, number in enumerate((1, 2, 4), 1)
    ]


def test_names_of_classes_come_from_the_argument_then_labels_txt_then_texts_then_numbers(folder, tmp_path):
    assert kc.datasets.image_records(folder, (8, 8), class_names=["a", "b", "c"]).class_names == ("a", "b", "c")
    (folder / "labels.txt").write_text("r\ng\nb\nviolet\n")
    assert kc.datasets.image_records(folder, (8, 8)).class_names == ("r", "g", "b", "violet")
    (folder / "labels.txt").write_text("r\ng\nb\n\n")
    assert kc.datasets.image_records(folder, (8, 8)).class_names == ("r", "g", "b")
    # as TF-Slim writes it
    (folder / "labels.txt").write_text("1:g\n0:r\n2: b: light\n")
    assert kc.datasets.image_records(folder, (8, 8)).class_names == ("r", "g", "b: light")
    (folder / "labels.txt").write_text("a:r\n1:g\n2:b\n")
    assert kc.datasets.image_records(folder, (8, 8)).class_names == ("a:r", "1:g", "2:b")
    (folder / "labels.txt").write_text("r\n\nb\n")
    with pytest.raises(InputError, match=f"^{folder}/labels.txt names no class in line 2; name one in each$"):
        kc.datasets.image_records(folder, (8, 8))
    (folder / "labels.txt").write_text("r\ng\n")
    with pytest.raises(
        UsageError, match="^class_names has 2 names and labels reach 2; name each label, from 0, in the"
    ):
        kc.datasets.image_records(folder, (8, 8))
    plain = [example(image=encoded(number % 2, number), label=number % 2) for number in range(8)]
    write(tmp_path / "plain" / "flowers_train-00000-of-00001", plain)
    assert kc.datasets.image_records(tmp_path / "plain", (8, 8)).class_names == ("0", "1")
    write(folder / "test.tfrecord", [example(image__encoded=b"", image__class__label=0, image__class__text=b"rot")])
    (folder / "labels.txt").unlink()
    with pytest.raises(InputError, match="^records in .* call the label 0 'red' and 'rot'; write one text for each la"):
        kc.datasets.image_records(folder, (8, 8))


def test_files_that_are_damaged_are_named_with_the_place(folder):
    path = folder / "train-00001-of-00002.tfrecord"
    content = path.read_bytes()
    second = 16 + int.from_bytes(content[:8], "little")  # where the first record ends

    def read():
        return kc.datasets.image_records(folder, (8, 8))

    path.write_bytes(content[: second + 100])
    with pytest.raises(InputError, match=f"^{path} is cut short in the record at byte {second}; restore it and run ag"):
        read()
    path.write_bytes(content[: second + 50] + b"?" + content[second + 51 :])
    with pytest.raises(InputError, match=f"^{path} is damaged, by its checksum, at byte {second + 12}; restore it and"):
        read()
    path.write_text("no records, but a text that is long enough to be some")
    with pytest.raises(
        InputError, match=f"^{path} is no TFRecord file, a compressed one, or damaged from its beginning"
    ):
        read()
    path.unlink()
    with pytest.raises(InputError, match=rf"^no file {path}, which train-00000-of-00002.tfrecord belongs to; restore "):
        read()


def test_records_without_image_or_label_are_named_with_the_features_they_have(tmp_path):
    path = tmp_path / "train.tfrecord"

    def error(*records):
        write(path, records)
        with pytest.raises(InputError) as caught:
            kc.datasets.image_records(tmp_path, (8, 8))
        return str(caught.value).removeprefix(str(path))

    image = encoded(0, 0)
    remedy = "; write an image and a label into each"
    assert error(example(picture=image, label=0)) == (
        f" has records without image/encoded or image, but with label, picture{remedy}"
    )
    assert error(example(image=image, kind=0)) == (
        f" has records without image/class/label or label, but with image, kind{remedy}"
    )
    whole = "; write a whole number from 0, one a class, into each record"
    assert error(example(image=image, label=0), example(image=image)) == f"#1 has no label{whole}"
    assert error(example(image=image, label=0), example(image=image, label=-7)) == f"#1 has the label -7{whole}"
    assert error(example(image=image, label=-1)) == f"#0 has the label -1{whole}"
    assert error(example(image=image, label=b"red")) == (
        " has a record that is no tf.train.Example with one whole number as label; write it again"
    )
    assert error(b"\xff no message") == " has records that are no tf.train.Example; write it again"
    assert error() == f"no record in {path}; write at least one for each class"


def test_a_folder_without_records_for_training_is_an_error(folder, tmp_path):
    with pytest.raises(InputError, match=r"^cannot read .*/absent \(No such file or directory\); check the path$"):
        kc.datasets.image_records(tmp_path / "absent", (8, 8))
    with pytest.raises(
        InputError, match="^no TFRecord file for training in .*; check the path, and call files as trai"
    ):
        kc.datasets.image_records(tmp_path, (8, 8))
    write(folder / "others.tfrecord", [])
    with pytest.raises(UsageError, match="^folder .* has others.tfrecord, which names no split, beside files that do;"):
        kc.datasets.image_records(folder, (8, 8))


@pytest.mark.long
def test_a_file_that_vanishes_is_named(folder):
    data = kc.datasets.image_records(folder, (8, 8))
    os.remove(folder / "test.tfrecord")
    model = kc.models.mlp((8, 8, 3), 3)
    with pytest.raises(InputError, match=f"^cannot read {folder}/test.tfrecord, which was there before; restore it"):
        kc.evaluate(model, data.test)


def test_files_for_validation_are_trained_on_where_there_is_to_be_none(folder):
    write(folder / "validation.tfrecord", [coloured(number % 3, 300 + number) for number in range(6)])
    assert load_images(str(folder), 8).counts() == {"train": 60, "validation": 6, "test": 9}
    assert load_images(str(folder), 8, validation=False).counts() == {"train": 66, "validation": 0, "test": 9}


def test_records_whose_image_is_no_file_or_whose_labels_share_a_name_are_errors(tmp_path):
    write(tmp_path / "train.tfrecord", [example(image=7, label=0)])
    with pytest.raises(
        InputError, match="^.*/train.tfrecord has records whose image is no single PNG, JPEG, WebP or B"
    ):
        kc.datasets.image_records(tmp_path, (8, 8))
    texts = {"image__class__text": b"crane"}
    write(
        tmp_path / "train.tfrecord", [example(image__encoded=encoded(0, 0), label=label, **texts) for label in (0, 1)]
    )
    words = f"two labels of the records in {tmp_path} are called crane; write labels.txt there, a line for each label"
    with pytest.raises(InputError, match=f"^{words} with a name of its own$"):
        kc.datasets.image_records(tmp_path, (8, 8))


def test_records_of_one_class_are_an_error(tmp_path):
    write(tmp_path / "train.tfrecord", [example(image__encoded=encoded(0, 0), label=0)] * 3)
    words = f"the records in {tmp_path} have one class, 0; write those of other classes, too, with labels from 0"
    with pytest.raises(UsageError, match=f"^{words}$"):
        kc.datasets.image_records(tmp_path, (8, 8))


def test_the_split_of_a_run_is_restored_by_names_of_records(folder):
    before = load_images(str(folder), 8)
    with (folder / "train-00001-of-00002.tfrecord").open("ab") as file:  # what has come since
        write(folder / "more", [coloured(0, number) for number in range(200, 230)])
        file.write((folder / "more").read_bytes())
    names = split_names(before, str(folder))
    assert names["test"] == [f"test.tfrecord#{number}" for number in range(9)]
    now = as_split(load_images(str(folder), 8), names, str(folder))
    assert split_names(now, str(folder)) == names
    assert (len(now.train), now.counts()["validation"]) == (54 + 30, 6)
    np.testing.assert_array_equal(now.validation.labels, before.validation.labels)
    kept = load_images(str(folder), 8, validation=False)
    assert kept.counts() == {"train": 90, "validation": 0, "test": 9}


def test_photos_are_checked_and_grouped_where_they_are_files(folder):
    with pytest.raises(
        UsageError, match="^photos is '.*', a folder of TFRecord files, whose images are no files of th"
    ):
        check_photos(folder)
    with pytest.raises(UsageError, match="^group_by is 'a', and .*/records has no files of its images; leave it out$"):
        load_images(str(folder), 8, group_by="a")


class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version("1.0.0")
    SPLITS, LAST = {"train": 30, "validation": 6}, 0

    def _info(self):
        features = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=COLOURS)}
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features), redistribution_info={"license": "CC0"}
        )

    def _split_generators(self, _):
        return {split: self._generate_examples(split, count) for split, count in self.SPLITS.items()}

    def _generate_examples(self, split, count):
        for number in range(count):
            label = -1 if split == "test" else number % 3
            yield (
                number,
                {"image": cv2.imdecode(np.frombuffer(encoded(number % 3, number), np.uint8), 1), "label": label},
            )


class TinyColours(Builder):
    pass


class TinyUnlabelled(Builder):
    SPLITS = {"train": 30, "validation": 6, "test": 3}


class TinySounds(Builder):
    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"sound": tfds.features.Text(), "label": np.int64})
        )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder of TFDS that two data sets are prepared in, as `tfds build` does it."""
    root = tmp_path_factory.mktemp("tfds")
    logging.getLogger("absl").setLevel(logging.ERROR)
    tfds.disable_progress_bar()
    for kind in (TinyColours, TinyUnlabelled):
        kind(data_dir=root).download_and_prepare()
    return root


@pytest.mark.long
def test_what_tfds_has_prepared_is_streamed_by_its_name(prepared):
    data = kc.datasets.load("tiny_colours", prepared, image_size=(32, 32))
    assert data.counts() == {"train": 27, "validation": 3, "test": 6}
    assert (data.class_names, data.licence, data.train.image_shape) == (COLOURS, "CC0", (32, 32, 3))
    words = "tiny_colours/1.0.0, 36 images in 3 classes; its validation images are the test split, resized to 32x32"
    assert data.description == words
    theirs = tfds.load("tiny_colours", split="validation", data_dir=prepared, shuffle_files=False)
    images = {image.numpy().tobytes(): int(label) for image, label in ((e["image"], e["label"]) for e in theirs)}
    assert list(images.values()) == data.test.labels.tolist()
    ((_, labels, weights),) = evaluation_batches(data.test)
    assert (labels.numpy().tolist(), weights.numpy().tolist()) == (list(images.values()), [1] * 6)
    kept = kc.datasets.load("tiny_colours:1.0.0", prepared, image_size=(32, 32), validation=0)
    assert kept.counts() == {"train": 30, "validation": 0, "test": 6}


@pytest.mark.long
def test_what_tfds_has_prepared_right_here_is_no_folder_of_photos(prepared, monkeypatch):
    monkeypatch.chdir(prepared)
    assert resolved("tiny_colours") == "tiny_colours"
    assert load_images("tiny_colours", 32, data_dir=prepared).counts() == {"train": 27, "validation": 3, "test": 6}


def test_a_data_set_of_tables_has_no_image():
    info = SimpleNamespace(
        features={"survived": tfds.features.ClassLabel(num_classes=2)}, supervised_keys=({"age": 1}, "survived")
    )
    with pytest.raises(
        UsageError, match="^name is 'titanic', which has no image of 8 bits with a label, but survived;"
    ):
        image_and_label("titanic", info)


def test_a_test_split_without_labels_is_no_test_split(prepared):
    data = kc.datasets.load("tiny_unlabelled", prepared, image_size=(32, 32))
    assert data.counts() == {"train": 27, "validation": 3, "test": 6}
    assert "; its test images have no labels; its validation images are the test split, " in data.description


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "tiny_colour",
            "which is no data set; choose one of mnist, fashion_mnist, cifar10, cifar100, synthetic, or of TensorFlow "
            "Datasets, as tiny_colours",
        ),
        ("tiny_sounds", "which has no image of 8 bits with a label, but label, sound; choose a data set with both"),
        ("mnist_corrupted/fog2", "and mnist_corrupted has no fog2; choose one of identity, shot_noise, impulse_noise,"),
        (
            "tiny_colours:2.0.0",
            "a version that is not there (Dataset tiny_colours cannot be loaded at version 2.0.0, only: 1.0.0); "
            "choose one that is",
        ),
    ],
)
def test_names_that_give_no_images_with_labels_are_an_error(name, words, tmp_path):
    with pytest.raises(UsageError) as caught:
        kc.datasets.load(name, tmp_path, image_size=(8, 8))
    assert str(caught.value).startswith(f"name is {name!r}, {words}")
    with pytest.raises(UsageError) as caught:
        load_images(name, 8, data_dir=tmp_path)
    message = str(caught.value)
    assert (caught.value.argument, message[: 14 + len(name)]) == (
        "data",
        f"data is {name!r}, {words}"[: 14 + len(name)],
    )
    assert message.endswith(", or name a folder with a sub-folder per class or with TFRecord files, or a CSV file")


def test_a_name_wants_an_image_size_where_images_have_many_sizes_and_none_elsewhere():
    with pytest.raises(
        UsageError, match="^name is 'food101', which is no data set; choose one of .*, or of TensorFlow "
    ):
        kc.datasets.load("food101")
    with pytest.raises(
        UsageError, match=r"^image_size is \(8, 8\), and images and splits of mnist are taken as they are; l"
    ):
        kc.datasets.load("mnist", image_size=(8, 8))


def test_prepared_data_that_are_no_tfrecords_or_have_fewer_are_an_error(prepared, tmp_path):
    place = tmp_path / "tiny_colours"
    shutil.copytree(prepared / "tiny_colours", place)
    (path,) = place.glob("*/tiny_colours-train*")
    content = path.read_bytes()
    path.write_bytes(content[: 16 + int.from_bytes(content[:8], "little")])
    with pytest.raises(
        InputError, match=f"^{path.parent} has 1 records of train, and not 30; delete the folder and ru"
    ):
        kc.datasets.load("tiny_colours", tmp_path, image_size=(8, 8))
    description = place / "1.0.0" / "dataset_info.json"
    description.write_text(description.read_text().replace('"tfrecord"', '"array_record"'))
    with pytest.raises(
        InputError, match="^tiny_colours is prepared in .* as array_record, which is not read; delete th"
    ):
        kc.datasets.load("tiny_colours", tmp_path, image_size=(8, 8))


@pytest.mark.usefixtures("no_network")
def test_a_data_set_that_is_neither_there_nor_to_be_had_is_named_with_its_files(tmp_path):
    words = (
        rf"^no data in {tmp_path} and no network \(.*; place 102flowers.tgz \(sha256 \w+\), .* in {tmp_path}/downloads"
    )
    with pytest.raises(DataAbsent, match=words):
        kc.datasets.load("oxford_flowers102", tmp_path, image_size=(8, 8))
