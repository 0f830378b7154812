"""Photos in folders; the files are real, drawn and written with OpenCV."""

import dataclasses
import errno
import hashlib
import os
import shutil
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import kerascnn as kc
from kerascnn.classification.data import load_images
from kerascnn.classification.preprocessing import recorded_resize
from kerascnn.datasets.augmentation.resized_crop import RandomPart, random_boxes
from kerascnn.datasets.batches import evaluation_batches
from kerascnn.datasets.examples import fitting
from kerascnn.datasets.image_files import seeds_of_images, vanished_files_named
from kerascnn.datasets.resizing import ResizeAndCrop
from kerascnn.decoding import decode_image
from kerascnn.errors import InputError, UsageError
from kerascnn.training.feed import Feed
from tests.interrupting import assert_stopped_ends_as_whole, run_whole_and_killed

ENDINGS = "jpg", "png", "bmp", "JPEG", "webp"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """40 circles and 20 lines, in files of three formats and several sizes, some in a folder below."""
    root, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name, count in (("circle", 40), ("line", 20)):
        (root / name / "more").mkdir(parents=True)
        for number in range(count):
            image = np.zeros((*random.integers(40, 80, 2), 3), np.uint8)
            at, colour = random.integers(12, 40, 2).tolist(), [255 * (number % 3 == channel) for channel in range(3)]
            cv2.circle(image, at, 8, colour, -1) if name == "circle" else cv2.line(image, (0, 0), at, colour, 3)
            folder = root / name / ("more" if number % 7 == 0 else "")
            lossless = [cv2.IMWRITE_WEBP_QUALITY, 101]
            cv2.imwrite(str(folder / f"{number}.{ENDINGS[number % 5]}"), image, lossless if number % 5 == 4 else None)
    (root / "circle" / "notes.txt").write_text("no image")
    (root / ".hidden").mkdir()
    (root / "line" / ".ipynb_checkpoints").mkdir()
    cv2.imwrite(str(root / "line" / ".ipynb_checkpoints" / "0.png"), np.zeros((50, 50, 3), np.uint8))
    return root


def test_folders_are_classes_and_shares_are_cut_off_of_each_alike(photos):
    data = kc.datasets.image_folder(photos, (32, 24), validation=0.1, test=0.25)
    parts = data.train, data.validation, data.test
    assert [np.bincount(part.labels).tolist() for part in parts] == [[26, 13], [4, 2], [10, 5]]
    assert data.class_names == ("circle", "line")
    names = np.concatenate([part.names for part in parts])
    assert len(set(names)) == len(names) == 60
    assert all((photos / name).is_file() for name in names)
    assert data.train.image_shape == (32, 24, 3)
    again, other = (kc.datasets.image_folder(photos, (32, 24), validation=0.1, test=0.25, seed=seed) for seed in (0, 1))
    assert again.checksum() == data.checksum() != other.checksum()


def test_an_image_is_what_pillow_reads_and_resizes(photos):
    data = kc.datasets.image_folder(photos, (32, 24), crop_ratio=0.8, validation=0, test=0)
    ours = np.concatenate([images for images, *_ in evaluation_batches(data.train)])
    for name, image in zip(data.train.names, ours, strict=True):
        with Image.open(photos / name) as photo:
            scale = max(32 / photo.height, 24 / photo.width) / 0.8
            x, y = 12 / scale, 16 / scale
            window = (photo.width / 2 - x, photo.height / 2 - y, photo.width / 2 + x, photo.height / 2 + y)
            theirs = np.asarray(photo.convert("RGB").resize((24, 32), Image.Resampling.BILINEAR, window)) / 255
        # JPEG decoders differ where colours begin
        most = 1.01 / 255 if name.endswith(("png", "bmp", "webp")) else 20 / 255
        assert np.abs(image - theirs).max() < most, name


def test_files_of_one_object_stay_in_one_split(photos):
    options = {"validation": 0.2, "test": 0.2, "group_by": r"([0-9]+)\."}
    data = kc.datasets.image_folder(photos, (32, 32), **options)
    parts = data.train, data.validation, data.test
    # 20 numbers have a circle and a line, whose class is that of the first; 20 have a circle
    objects = [{name.split("/")[-1].split(".")[0] for name in part.names} for part in parts]
    assert not objects[0] & (objects[1] | objects[2])
    assert not objects[1] & objects[2]
    assert sum(map(len, parts)) == 60
    assert all(8 <= len(part) <= 12 for part in parts[1:])
    assert kc.datasets.image_folder(photos, (32, 32), **options).checksum() == data.checksum()
    with pytest.raises(
        UsageError, match=r"^group_by is '\(', which is no regular expression \(.*\); write one as \(\[\^"
    ):
        kc.datasets.image_folder(photos, (32, 32), group_by="(")
    with pytest.raises(
        UsageError, match="^group_by is 'disc', which is not found in circle/1.png; write one that every"
    ):
        kc.datasets.image_folder(photos, (32, 32), group_by="disc")
    with pytest.raises(UsageError, match="^test is 0.1, and no class has two of the 1 groups; give more examples, or"):
        kc.datasets.image_folder(photos, (32, 32), group_by=r"\.")
    with pytest.raises(UsageError, match=r"^group_by is '\(7\)\?', which is not found in circle/1.png; write one that"):
        kc.datasets.image_folder(photos, (32, 32), group_by="(7)?")


@pytest.mark.parametrize("seed", range(6))
def test_a_large_group_stays_where_its_split_would_be_too_large(tmp_path, seed):
    sizes = [200, *[5] * 19]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for group, size in enumerate(sizes):
            for number in range(size):
                (tmp_path / name / f"{group}_{number}.png").touch()
    data = kc.datasets.image_folder(tmp_path, (8, 8), seed=seed, group_by=r"([ab]/\d+)_")
    # of each class 30 of 295 photos at most, in groups of 5
    assert data.counts() == {"train": 470, "validation": 60, "test": 60}


def test_of_groups_that_all_are_too_large_the_smallest_is_taken():
    assert fitting(np.array([36, 4, 9]), 2).tolist() == [False, True, False]
    assert fitting(np.array([36, 4]), 50).tolist() == [True, False]
    assert fitting(np.array([3]), 50).tolist() == [False]
    assert fitting(np.array([3, 5, 2, 2]), 6).tolist() == [True, False, True, False]


def test_one_object_in_two_splits_that_are_given_is_an_error(photos, tmp_path):
    options = {"validation": 0, "test": photos, "group_by": r"([0-9]+)\."}
    words = r"^group_by is .*, which finds the same in (\S+) and \1, of train and of test; move them into one split$"
    with pytest.raises(UsageError, match=words):
        kc.datasets.image_folder(photos, (32, 32), **options)
    rows = [
        f"{path},{path.parent.name},{split}"
        for path, split in zip(sorted(photos.rglob("*.png"))[:2], ("", "test"), strict=True)
    ]
    other = next(path for path in photos.rglob("*.png") if path.parent.name != rows[0].split(",")[1])
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,split", *rows, f"{other},{other.parent.name},"]))
    with pytest.raises(UsageError, match=r"^group_by is '\(p\)ng', which finds the same in .* and of t"):
        kc.datasets.image_table(tmp_path / "labels.csv", (32, 32), group_by="(p)ng")


def test_what_is_not_read_or_not_anybodys_is_told_or_left_out(photos, tmp_path, caplog):
    shutil.copytree(photos, tmp_path / "photos")
    shutil.copytree(photos, tmp_path / "photos" / "__MACOSX")
    (tmp_path / "photos" / "circle" / "a.TIF").touch()
    (tmp_path / "photos" / "circle" / "b.gif").touch()
    data = kc.datasets.image_folder(tmp_path / "photos", (8, 8))
    assert "__MACOSX" not in data.class_names
    words = f"2 files of {tmp_path}/photos (.gif, .tif) are left out, the first is {tmp_path}/photos/circle/a.TIF; conv"
    assert words in caplog.text
    assert [Path(path).name for path in data.test.unread] == ["a.TIF", "b.gif"]


def test_the_name_of_a_class_that_cannot_be_printed_is_an_error(tmp_path):
    for name in (b"a", b"d\xe9lf"):
        os.mkdir(os.path.join(os.fsencode(tmp_path), name))
    with pytest.raises(
        InputError, match=r"^the name of the folder .*/d\\udce9lf cannot be printed; give it one in UTF-8"
    ):
        kc.datasets.image_folder(tmp_path, (8, 8))


@pytest.mark.long
def test_training_sees_larger_images_where_a_window_is_cut_out_of_them(photos):
    data = kc.datasets.image_folder(photos, (28, 28), crop_ratio=0.875, validation=0, test=0)
    larger = dataclasses.replace(data.train, training_resize=ResizeAndCrop((32, 32)))
    assert larger.image_shape == (28, 28, 3)
    ((images, *_),) = kc.batches(larger, 60)
    assert images.shape == (60, 32, 32, 3)
    # what evaluation sees is the middle of it
    (order,) = kc.batches(dataclasses.replace(larger, labels=np.arange(60, dtype=np.int32)), 60)
    evaluated = np.concatenate([images for images, *_ in evaluation_batches(larger)])[order[1]]
    np.testing.assert_allclose(images[:, 2:-2, 2:-2], evaluated, atol=1.01 / 255)
    cut = kc.augmentation.RandomCrop(size=(28, 28))
    ((images, *_),) = kc.batches(larger, 60, augmentations=[cut])
    assert images.shape == (60, 28, 28, 3)


def test_random_parts_are_cut_out_of_whole_photos_as_pillow_does_it(tmp_path):
    photos = []
    for name, sides in (("high", (130, 50)), ("wide", (40, 120))):
        (tmp_path / name).mkdir()
        photos.append(Image.fromarray(np.random.default_rng(0).integers(0, 256, (*sides, 3), np.uint8)))
        photos[-1].save(tmp_path / name / "a.png")
    (tmp_path / "wide" / "b.png").write_bytes(b"no image")
    data = kc.datasets.image_folder(tmp_path, (24, 24), interpolation="bicubic", validation=0, test=0)
    files = dataclasses.replace(data.train, training_resize=RandomPart((24, 24), 0.3, "bicubic")).in_training()
    step = tf.constant([3, 4], tf.int64)
    images, _, weights = files.loader()(tf.range(3), step)
    np.testing.assert_array_equal(weights, [1, 1, 0])
    seeds = seeds_of_images(step, tf.range(3))
    assert len(np.unique(seeds, axis=0)) == 3
    for photo, image, seed in zip(photos, images.numpy(), seeds, strict=False):
        top, left, rows, columns = random_boxes(1, photo.height, photo.width, 0.3, seed).numpy()[0]
        part = photo.crop((left, top, left + columns, top + rows))
        theirs = np.asarray(part.resize((24, 24), Image.Resampling.BICUBIC), int)
        assert np.abs(image.astype(int) - theirs).max() <= 2


def test_random_parts_are_others_in_every_epoch_and_the_same_in_every_run(photos):
    data = load_images(str(photos), 16, random_resized_crop=0.1, validation=False)
    numbered = dataclasses.replace(data.train, labels=np.arange(len(data.train), dtype=np.int32))
    runs = [list(kc.batches(numbered, len(numbered), epochs=2, seed=3)) for _ in range(2)]
    for (images, *_), (again, *_) in zip(*runs, strict=True):
        np.testing.assert_array_equal(images, again)
    first, second = (images.numpy()[np.argsort(numbers)] for images, numbers, *_ in runs[0])
    assert np.mean([np.abs(one - other).max() > 0.05 for one, other in zip(first, second, strict=True)]) > 0.9


def test_other_folders_are_taken_as_splits(photos):
    data = kc.datasets.image_folder(photos, (32, 32), validation=photos, test=0)
    assert (len(data.train), len(data.validation), data.test) == (60, 60, None)


def test_sizes_of_files_tell_data_apart(photos):
    data = kc.datasets.image_folder(photos, (32, 32))
    before, path = data.checksum(), photos / data.train.names[0]
    content = path.read_bytes()
    try:
        path.write_bytes(content + b"\0")
        assert data.checksum() != before
    finally:
        path.write_bytes(content)


@pytest.mark.slow
def test_a_run_on_streamed_files_goes_on_to_the_same_weights(photos, tmp_path):
    moved, changed = kc.augmentation.RandomCrop(padding=3), keras.layers.RandomContrast(0.3, (0, 1))
    mixed = [kc.augmentation.MixUp(alpha=1, num_classes=2), kc.augmentation.CutMix(alpha=1, num_classes=2)]
    recipe = kc.Recipe(
        epochs=3, batch_size=8, deterministic=True, balance="sampling", augmentations=[moved, changed, *mixed]
    )

    def run(folder, *callbacks):
        keras.utils.set_random_seed(0)
        model = kc.models.mlp((32, 32, 3), 2)
        data = kc.datasets.image_folder(photos, (32, 32))
        kc.fit(model, data, recipe, folder=folder, callbacks=callbacks, verbose=0)
        return model.get_weights()

    assert_stopped_ends_as_whole(run, tmp_path)


@pytest.fixture
def few(photos, tmp_path):
    """A folder of some of the photos, whose files may be changed."""
    for name in ("circle", "line"):
        (tmp_path / "few" / name).mkdir(parents=True)
        for path in sorted((photos / name).glob("*.png")):
            shutil.copy(path, tmp_path / "few" / name)
    return tmp_path / "few"


@pytest.mark.long
def test_files_that_do_not_decode_are_named_once_and_count_nothing(few, tmp_path, caplog):
    def trained(folder):
        keras.utils.set_random_seed(0)
        model = kc.models.mlp((32, 32, 3), 2)
        data = kc.datasets.image_folder(few, (32, 32), validation=0, test=0)
        before = keras.models.clone_model(model)
        before.set_weights(model.get_weights())
        run = kc.fit(model, data, kc.Recipe(epochs=1, batch_size=len(data.train)), folder=folder, verbose=0)
        return before, model, run.history["loss"][0]

    broken = few / "line" / "6.png"
    data = kc.datasets.image_folder(few, (32, 32), validation=0, test=0)
    images, labels, _ = next(iter(evaluation_batches(data.train)))
    (place,) = np.flatnonzero(data.train.names == "line/6.png")
    broken.write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    before, other, loss = trained(tmp_path / "broken")
    losses = keras.losses.sparse_categorical_crossentropy(labels, before(images), from_logits=True).numpy()
    # one batch of all files: the mean loss of all but one
    assert loss == pytest.approx(np.delete(losses, place).mean(), rel=1e-5)
    said = [record.getMessage() for record in caplog.records]
    words = "or it is too large, and it counts nothing; replace it before a training (1 so far)"
    assert said == [f"cannot decode {broken}, {words}"]
    images, labels, weights = next(iter(evaluation_batches(data.train)))
    assert np.flatnonzero(weights == 0).tolist() == [place]
    assert (labels[place], float(tf.reduce_max(images[place]))) == (1, 0)
    metrics = kc.evaluate(other, data.train)
    assert metrics["examples"] == len(data.train) - 1
    assert metrics["per_class"]["1"]["support"] == (data.train.labels == 1).sum() - 1


@pytest.mark.long
def test_a_file_that_vanishes_is_named(few, tmp_path):
    data = kc.datasets.image_folder(few, (32, 32), validation=0, test=0)
    (few / "line" / "6.png").unlink()
    with pytest.raises(InputError, match=rf"^cannot read {few}/line/6.png, which was there before; restore it and run"):
        kc.evaluate(kc.models.mlp((32, 32, 3), 2), data.train)
    with pytest.raises(
        InputError, match=rf"^cannot read {few}/line/6.png \(No such file or directory\); check the path$"
    ):
        kc.fit(kc.models.mlp((32, 32, 3), 2), data, kc.Recipe(batch_size=8), folder=tmp_path / "run", verbose=0)


def test_photos_of_rare_classes_weigh_more(photos):
    data = kc.datasets.image_folder(photos, (32, 32), validation=0, test=0)
    rare = np.flatnonzero(data.train.labels == 1)[:5]
    few = data.train.take(np.r_[np.flatnonzero(data.train.labels == 0), rare])
    feed = Feed((few, None), kc.Recipe(batch_size=len(few), balance="weights"))
    ((_, labels, weights),) = feed.training(0, []).take(1)
    common = len(few) - 5
    np.testing.assert_allclose(weights, np.where(labels == 1, len(few) / 10, len(few) / (2 * common)), rtol=1e-6)


def test_photos_for_validation_come_in_mixed_order(photos):
    """Broken files of one class would else fill batches of their own."""
    data = kc.datasets.image_folder(photos, (32, 32), validation=photos, test=0)
    feed = Feed((data.train, data.validation), kc.Recipe(batch_size=8))
    labels = np.concatenate([labels for _, labels, _ in feed.validating([])])
    assert np.bincount(labels).tolist() == np.bincount(data.validation.labels).tolist()
    assert 0 < labels[: len(labels) // 4].mean() < 1


def test_a_file_that_a_damaged_disk_holds_is_named(few, monkeypatch):
    """Such a disk cannot be had: TensorFlow's words are those of its file system."""
    split = kc.datasets.image_folder(few, (32, 32), validation=0, test=0).train
    words = rf"^cannot read {few}/line/6.png, which was there before; restore it and run"
    said = f"{{{{function_node __wrapped__ReadFile}}}} {few}/line/6.png; Input/output error [Op:ReadFile]"
    monkeypatch.chdir(few / "line")
    below = dataclasses.replace(split, root=Path(), names=np.array(["6.png"]))  # what the whole path ends with
    with pytest.raises(InputError, match=words), vanished_files_named(below, split):
        raise tf.errors.UnknownError(None, None, said)
    with pytest.raises(tf.errors.UnknownError), vanished_files_named(split):
        raise tf.errors.UnknownError(None, None, "something else")


@pytest.mark.long
def test_a_training_of_which_no_photo_decodes_does_not_begin(few, tmp_path):
    for path in few.rglob("*.png"):
        path.write_bytes(b"HEIC, in truth")
    data = kc.datasets.image_folder(few, (32, 32), validation=0, test=0)
    words = rf"^none of the {len(data.train)} images in {few} decodes; give PNG, JPEG, WebP or BMP files$"
    with pytest.raises(InputError, match=words):
        kc.fit(kc.models.mlp((32, 32, 3), 2), data, kc.Recipe(batch_size=8), folder=tmp_path / "run", verbose=0)


def test_folders_that_are_linked_are_looked_into_once(few, tmp_path):
    data = kc.datasets.image_folder(few, (32, 32), validation=0, test=0)
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(few / "circle" / "1.png", tmp_path / "elsewhere")
    (few / "circle" / "session").symlink_to(tmp_path / "elsewhere")
    (few / "circle" / "a_link_to_itself").symlink_to(few / "circle")
    (few / "circle" / "a_link_to_all").symlink_to(few)
    (few / "circle" / "last").symlink_to(few / "circle" / "more")
    (few / "circle" / "more").mkdir()
    shutil.copy(few / "circle" / "1.png", few / "circle" / "more" / "2.png")
    (few / "circle" / "@eaDir").mkdir()
    shutil.copy(few / "circle" / "1.png", few / "circle" / "@eaDir")
    linked = kc.datasets.image_folder(few, (32, 32), validation=0, test=0)
    assert sorted({*linked.train.names} - {*data.train.names}) == ["circle/more/2.png", "circle/session/1.png"]
    assert len(linked.train) == len(data.train) + 2


def test_classes_may_have_spaces_and_joiners_of_any_script(few):
    (few / "circle").rename(few / "می\u200cخواهم")
    (few / "line").rename(few / "猫\u3000犬")
    assert kc.datasets.image_folder(few, (8, 8)).class_names == ("می\u200cخواهم", "猫\u3000犬")


def test_a_folder_that_cannot_be_read_is_named(few, monkeypatch):
    (few / "circle" / "2019").mkdir()
    scandir = os.scandir

    def refused(place):
        # whoever runs this may be allowed to read all
        if str(place).endswith("2019"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refused)
    words = rf"^cannot read {few}/circle/2019 \(Permission denied\); make it readable, or move it away$"
    with pytest.raises(InputError, match=words):
        kc.datasets.image_folder(few, (8, 8))


def test_classes_that_lie_a_level_below_are_suspected(few, tmp_path, caplog):
    for name in ("colour", "grey"):
        shutil.copytree(few, tmp_path / "levels" / name)
    kc.datasets.image_folder(tmp_path / "levels", (32, 32))
    words = "the classes are colour, grey, and each has a folder circle; if that is the class, give a folder of such"
    assert caplog.messages == [f"{words} folders"]
    caplog.clear()
    for name in ("circle", "line"):  # each of them has the same folder alone
        shutil.copytree(few / name, tmp_path / "images" / name / "images")
    kc.datasets.image_folder(tmp_path / "images", (32, 32))
    assert caplog.messages == []


def test_formats_that_are_not_read_are_counted_with_the_way_on(few, caplog):
    for name in ("b.heic", "a.AVIF"):
        (few / "circle" / name).write_bytes(b"no matter what")
    kc.datasets.image_folder(few, (32, 32))
    words = f"2 files of {few} (.avif, .heic) are left out, the first is {few}/circle/a.AVIF; convert them to JPEG"
    assert [record.getMessage() for record in caplog.records] == [words]


@pytest.mark.slow
def test_an_export_resizes_as_the_photos_of_its_run_were(few, tmp_path):
    large = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    cv2.imwrite(str(few / "line" / "large.jpg"), large)
    data = kc.datasets.image_folder(few, (24, 24), crop_ratio=0.7, validation=0, test=0)
    keras.utils.set_random_seed(0)
    model = kc.models.mlp((24, 24, 3), 2)
    kc.fit(model, data, kc.Recipe(epochs=1, batch_size=4), folder=tmp_path / "run", verbose=0)
    logits = model.get_layer("logits")
    logits.kernel.assign(20 * logits.kernel)  # so that pixels that differ a little answer otherwise
    kc.export(model, tmp_path / "run", class_names=data.class_names)
    images = np.concatenate([images for images, *_ in evaluation_batches(data.train)])
    expected = keras.ops.log_softmax(model(images))
    predictor = kc.load_predictor(tmp_path / "run")
    answer = np.log(predictor.predict(data.train.files())["probabilities"])
    np.testing.assert_allclose(answer, expected, atol=1e-3)
    # a JPEG is decoded at an eighth of its size there, too: all of its pixels are resized to others
    (place,) = np.flatnonzero(data.train.names == "line/large.jpg")
    whole = decode_image((few / "line" / "large.jpg").read_bytes()).numpy()
    assert np.abs(np.log(predictor.predict(whole)["probabilities"][0]) - answer[place]).max() > 0.02


def test_a_folder_that_does_not_fit_is_an_error(photos, tmp_path):
    with pytest.raises(InputError, match=r"^cannot read .*/absent \(No such file or directory\); check the path$"):
        kc.datasets.image_folder(tmp_path / "absent", (32, 32))
    with pytest.raises(UsageError, match="^folder .* has no sub-folders; put the images of each class into one of its"):
        kc.datasets.image_folder(tmp_path, (32, 32))
    (tmp_path / "square").mkdir()
    with pytest.raises(
        UsageError, match="^folder .* has one class, square; put the images of each class into a sub-fol"
    ):
        kc.datasets.image_folder(tmp_path, (32, 32))
    (tmp_path / "round").mkdir()
    with pytest.raises(InputError, match="^no PNG, JPEG, WebP or BMP file in the sub-folders of .*; check the path$"):
        kc.datasets.image_folder(tmp_path, (32, 32))
    words = "has the class circle, which .* has not; give folders of the same classes, if need be an empty one$"
    with pytest.raises(UsageError, match=f"^test is {tmp_path}, and {photos} {words}"):
        kc.datasets.image_folder(photos, (32, 32), test=tmp_path)
    shutil.copytree(photos, tmp_path / "more")
    (tmp_path / "more" / "round").mkdir()
    with pytest.raises(UsageError, match=f"^test is .*/more, and .*/more has the class round, which {photos} has not;"):
        kc.datasets.image_folder(photos, (32, 32), test=tmp_path / "more")
    with pytest.raises(UsageError, match=r"^image_size is \(0, 3\); give \(height, width\) in pixels$"):
        kc.datasets.image_folder(photos, (0, 3))


@pytest.mark.slow
def test_a_killed_run_on_jpegs_goes_on_to_the_same_weights(photos, tmp_path):
    code = """
import sys
import keras
import kerascnn as kc
photos, folder = sys.argv[1:]
keras.utils.set_random_seed(0)
data, model = kc.datasets.image_folder(photos, (32, 32)), kc.models.five_layer_cnn((32, 32, 3), 2)
augmentations = [kc.augmentation.Distortion(rotation=10)]
recipe = kc.Recipe(epochs=6, batch_size=8, deterministic=True, augmentations=augmentations)
kc.fit(model, data, recipe, folder=folder, verbose=0)
"""
    run_whole_and_killed(code, tmp_path, photos)
    expected, found = (kc.load_model(tmp_path / name).get_weights() for name in ("whole", "killed"))
    for array, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(array, other)


def test_a_share_is_a_number(photos):
    assert len(kc.datasets.image_folder(photos, (8, 8), validation=np.float32(0.25), test=0).validation) == 15
    (photos.parent / "labels.csv").write_text("file,label\n" + "".join(f"{photos}/line/{n}.png,{n}\n" for n in (1, 6)))
    with pytest.raises(UsageError, match="^test is photos/test; give a share from 0 to below 1, or other examples$"):
        kc.datasets.image_table(photos.parent / "labels.csv", (8, 8), test="photos/test")


def test_labels_tell_folders_apart(photos):
    split = kc.datasets.image_folder(photos, (8, 8), validation=0, test=0).train
    digests = []
    for labels in (split.labels, 1 - split.labels):
        digests.append(hashlib.sha256())
        dataclasses.replace(split, labels=labels).update(digests[-1])
    assert digests[0].digest() != digests[1].digest()


def test_a_run_of_two_splits_alone_says_how_photos_are_resized(photos):
    data = kc.datasets.image_folder(photos, (16, 16), crop_ratio=0.875, interpolation="bicubic")
    feed = Feed((data.train, data.validation), kc.Recipe(batch_size=8))
    assert feed.metadata["data"]["resize"] == data.metadata()["resize"]
    others = Feed((data.train, None), kc.Recipe(batch_size=8)).metadata
    assert feed.metadata["data"]["sha256"] != others["data"]["sha256"]
    assert recorded_resize(feed.metadata) == data.resize


def test_no_photo_is_no_batch(photos):
    split = kc.datasets.image_folder(photos, (8, 8), validation=0, test=0).train
    assert list(evaluation_batches(split.take(np.zeros(0, int)))) == []
