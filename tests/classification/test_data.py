"""Folders of photos as the data of a run, and the same data when it is evaluated."""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from kerascnn.classification.data import check_outside, is_path, load_images, resolved, split_folders
from kerascnn.classification.recorded_data import below_source, load_tested, split_names
from kerascnn.cli.classification import check_classes
from kerascnn.errors import InputError, UsageError
from kerascnn.models import mlp


@pytest.fixture
def photos(tmp_path):
    """20 grey photos of each of two classes, the second of them brighter."""
    for label, name in enumerate(("dark", "light")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(20):
            image = np.full((32, 32, 3), 20 + 200 * label, np.uint8)
            image[number % 32] = 128
            cv2.imwrite(str(tmp_path / "photos" / name / f"{number}.png"), image)
    return tmp_path / "photos"


def folders(root, *names):
    """Folders with a photo in each, or in a folder cat in those whose name ends in a slash."""
    for name in names:
        place = root / name / ("cat" if name.endswith("/") else "")
        place.mkdir(parents=True)
        (place / "1.jpg").touch()


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train", "val", "test"], {"train": "train", "validation": "val", "test": "test"}),
        (["Training", "Testing"], {"train": "Training", "test": "Testing"}),
        (
            ["train", "test", "__MACOSX", ".git", "@eaDir", "System Volume Information"],
            {"train": "train", "test": "test"},
        ),
        (["train"], {"train": "train"}),
        (["training_set/", "test_set/"], {"train": "training_set", "test": "test_set"}),
        (["seg_train/", "seg_test/"], {"train": "seg_train", "test": "seg_test"}),
        (["bus", "car", "train"], {"train": ""}),
        (["bullet_train", "test_tube"], {"train": ""}),
        (["train_station/", "airport/"], {"train": ""}),
        (["a/", "b/"], {"train": ""}),
        (["a", "test"], {"train": ""}),
    ],
)
def test_folders_that_are_called_as_splits_are_these(tmp_path, names, splits):
    folders(tmp_path, *names)
    assert split_folders(tmp_path) == {split: tmp_path / name for split, name in splits.items()}


def test_a_folder_beside_those_of_splits_is_named(tmp_path):
    folders(tmp_path, "train/", "test/", "extra")
    words = "; move it elsewhere, or give test another name$"
    (tmp_path / "train" / "overview.png").touch()  # a photo beside classes makes no class of the folder
    with pytest.raises(UsageError, match=f"^folder {tmp_path} has extra beside test, train{words}"):
        split_folders(tmp_path)
    shutil.rmtree(tmp_path / "train")
    with pytest.raises(UsageError, match=f"^folder {tmp_path} has extra beside test{words}"):
        split_folders(tmp_path)


def test_folders_for_the_test_alone_are_no_classes(tmp_path):
    for name in ("val", "test"):
        (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match=f"^folder {tmp_path} has test and val and no folder train; add it$"):
        split_folders(tmp_path)


def test_a_photo_that_has_come_since_is_for_training_whatever_its_name(photos):
    options = {"data": str(photos), "image_size": 16, "group_by": r"(\d+)\.png"}
    data = load_images(**options)
    record = {"recipe": options, "split": split_names(data, options["data"])}
    shutil.copy(photos / "dark" / "0.png", photos / "dark" / "new.png")
    again = load_tested(record)
    assert again.test.names.tolist() == data.test.names.tolist()
    assert set(again.train.names) == {*data.train.names, "dark/new.png"}


def test_a_folder_for_the_test_that_has_come_since_is_not_what_the_run_was_tested_on(photos, tmp_path):
    shutil.copytree(photos, tmp_path / "data" / "train")
    options = {"data": str(tmp_path / "data"), "image_size": 16}
    data = load_images(**options)
    assert data.name == "data"
    record = {"recipe": options, "split": split_names(data, options["data"])}
    assert all(name.startswith("train/") for name in record["split"]["test"])
    shutil.copytree(photos, tmp_path / "data" / "test")
    again = load_tested(record)
    assert (again.test.root, again.test.names.tolist()) == (data.test.root, data.test.names.tolist())
    assert sorted(again.train.names) == sorted(data.train.names)
    own = {"recipe": options, "split": split_names(load_images(**options), options["data"])}
    assert len(load_tested(own).test) == 40
    shutil.rmtree(tmp_path / "data" / "test")
    with pytest.raises(
        InputError, match=rf"^cannot read {tmp_path}/data/test/dark/0\.png, which was there before; rest"
    ):
        load_tested(own)


def test_photos_of_the_same_name_in_two_splits_are_told_apart(photos, tmp_path):
    for split in ("train", "test"):
        shutil.copytree(photos, tmp_path / "sets" / split)
    data = load_images(str(tmp_path / "sets"), 8)
    for split in (data.train, data.validation, data.test):
        named = below_source(split, str(tmp_path / "sets"))
        assert [str(file) for file in named.files()] == [str(file) for file in split.files()]
        assert {name.split("/")[0] for name in named.names} == {"test" if split is data.test else "train"}


def test_a_path_through_a_link_is_where_the_system_finds_it(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sets" / "inner").mkdir(parents=True)
    (tmp_path / "sets" / "photos").symlink_to(photos)
    (tmp_path / "link").symlink_to(tmp_path / "sets" / "inner")
    assert Path(resolved("link/../photos")).samefile(photos)
    assert resolved("./sets/photos") == str(tmp_path / "sets" / "photos")
    assert resolved("sets/../photos") == str(photos)


def test_a_table_may_be_a_link_and_a_folder_may_be_called_as_a_data_set(photos, tmp_path, monkeypatch, caplog):
    rows = [f"{path.relative_to(photos)},{path.parent.name}" for path in photos.rglob("*.png")]
    (tmp_path / "elsewhere.txt").write_text("\n".join(["file,label", *rows]))
    (photos / "labels.csv").symlink_to(tmp_path / "elsewhere.txt")
    monkeypatch.chdir(photos)
    assert resolved("labels.csv") == str(photos / "labels.csv")
    assert sum(load_images(resolved("labels.csv"), 16).counts().values()) == 40
    (photos / "synthetic").mkdir()
    load_images("synthetic", None)
    assert caplog.messages[0] == "data is the data set synthetic; write ./synthetic for the folder here"


def test_other_classes_than_those_of_the_run_are_named(tmp_path):
    check_classes(mlp(), list("0123456789"), list("0123456789"), tmp_path)
    for names, words in (
        (list("0123456798"), "the data have their classes in another order, and the model in {} was trained on 0, 1"),
        (
            [*"012345678", "x"],
            "the data have a class x, and the model in {} was trained on 0, 1, 2, 3, 4, 5, 6, 7, 8, 9;",
        ),
        (
            list("012345678"),
            "the data have no class 9 any more, and the model in {} was trained on 0, 1, 2, 3, 4, 5, 6",
        ),
    ):
        with pytest.raises(InputError, match=f"^{re.escape(words.format(tmp_path))}"):
            check_classes(mlp(), list("0123456789"), names, tmp_path)
    with pytest.raises(
        InputError, match=r"model.keras has 10 logits, and .*recipe.json is of 2 classes; restore the two"
    ):
        check_classes(mlp(), ["a", "b"], ["a", "b"], tmp_path)


def test_a_folder_for_validation_that_has_come_since_changes_no_test(photos, tmp_path):
    shutil.copytree(photos, tmp_path / "data" / "train")
    options = {"data": str(tmp_path / "data"), "image_size": 16, "validation": False}
    data = load_images(**options)
    record = {"recipe": options, "split": split_names(data, options["data"])}
    shutil.copytree(photos, tmp_path / "data" / "val")
    again = load_tested(record)
    assert again.test.names.tolist() == data.test.names.tolist()
    assert sorted(again.train.names) == sorted(data.train.names)
    assert again.validation is None


def test_a_data_set_that_is_not_found_any_more_is_named(tmp_path):
    words = (
        f"^data_dir is {tmp_path}, and has no no_such_set, which the model was trained on; give the folder that it li"
    )
    with pytest.raises(UsageError, match=words):
        load_tested({"recipe": {"data": "no_such_set", "image_size": 16}}, tmp_path)


def test_results_among_photos_would_be_a_class(photos, monkeypatch):
    monkeypatch.chdir(photos)
    for data, out in ((".", "runs/images/run1"), (photos, photos / "dark" / "run"), (str(photos), photos)):
        with pytest.raises(
            UsageError, match=f"^out is {out}, which lies in {data}, where folders are classes; name one"
        ):
            check_outside(out, data)
    (photos / "cifar10").mkdir()  # a folder of the name of a data set is none
    for data, out in ((photos, "../run"), ("cifar10", "runs/images/run1"), ("cifar10", "cifar10")):
        check_outside(out, data)
    assert not is_path("")


def test_a_file_that_cannot_be_read_is_named_before_a_training(photos):
    (photos / "dark" / "gone.png").symlink_to(photos / "nowhere.png")
    words = f"^cannot read 1 of the files in {photos}, the first is {photos}/dark/gone.png; make them readable, or move"
    with pytest.raises(InputError, match=words):
        load_images(str(photos), 16)
