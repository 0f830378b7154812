"""The images app end to end, on a folder of drawn photos and on CIFAR-10's own files."""

import json
import shutil

import cv2
import numpy as np
import pytest

import kerascnn as kc
from apps.images import app  # noqa: F401, run by the fixtures `printed` and `command`
from tests.pretrained.test_conversion import torch_names


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """30 discs and 30 bars of many colours and sizes, as JPEG files of 60 to 120 pixels."""
    root, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name in ("bar", "disc"):
        (root / name).mkdir()
        for number in range(30):
            height, width = random.integers(60, 120, 2)
            image = np.full((height, width, 3), random.integers(0, 100, 3), np.uint8)
            middle, colour = (int(width) // 2, int(height) // 2), random.integers(150, 256, 3).tolist()
            if name == "disc":
                cv2.circle(image, middle, 18, colour, -1)
            else:
                cv2.rectangle(image, (0, middle[1] - 6), (int(width), middle[1] + 6), colour, -1)
            cv2.imwrite(str(root / name / f"{number}.jpg"), image)
    return root


@pytest.fixture(scope="module")
def folder(photos, tmp_path_factory, printed):
    """A run on the photos, evaluated and exported."""
    folder = tmp_path_factory.mktemp("images") / "model"
    flags = ("--model", "five_layer_cnn", "--image-size", 32, "--crop-ratio", 0.9, "--epochs", 12, "--batch-size", 16)
    flags = (*flags, "--optimizer", "adam", "--learning-rate", 3e-3, "--mixup", 0.2, "--cutmix", 1, "--cutout", 4)
    assert printed("train", "--data", photos, *flags, "--out", folder) == ""
    assert json.loads(printed("evaluate", "--out", folder))["examples"] == 6
    assert json.loads(printed("export", "--out", folder)) == {"saved_model": str(folder / "1")}
    return folder


@pytest.mark.long
def test_shapes_are_told_apart_and_the_export_answers_as_the_evaluation(folder, photos, command):
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["accuracy"] == 1
    record = json.loads((folder / "recipe.json").read_text())
    assert record["class_names"] == ["bar", "disc"]
    assert "temperature" not in record  # of six images
    assert record["data"]["resize"] == {"image_size": [32, 32], "crop_ratio": 0.9, "interpolation": "bilinear"}
    files = sorted(photos.rglob("*.jpg"))
    code, out, words = command("predict", *files, "--out", folder)
    assert (code, words) == (0, "")
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[0] for row in rows] == list(map(str, files))
    assert np.mean([row[1] == file.parent.name for row, file in zip(rows, files, strict=True)]) > 0.9
    code, out, _ = command("predict", files[0], "--out", folder, "--format", "json", "--reject", 1)
    said = json.loads(out)
    assert (code, said["class"], said["top"][0]["class"]) == (0, "unsure", rows[0][1])
    assert said["score"] == pytest.approx(float(rows[0][2]), abs=1e-4)


@pytest.mark.long
def test_the_test_images_are_those_of_the_training_whatever_comes_to_the_folder(folder, photos, tmp_path, command):
    shutil.copytree(folder, tmp_path / "model")
    record = json.loads((tmp_path / "model" / "recipe.json").read_text())
    assert sorted(map(len, record["split"].values())) == [6, 6]
    shutil.copytree(photos, tmp_path / "photos")
    for number in range(20):
        shutil.copy(photos / "bar" / "0.jpg", tmp_path / "photos" / "disc" / f"more{number}.jpg")
    moved = record | {"recipe": record["recipe"] | {"data": str(tmp_path / "photos")}}
    (tmp_path / "model" / "recipe.json").write_text(json.dumps(moved))
    code, out, words = command("evaluate", "--out", tmp_path / "model")
    assert (code, json.loads(out)["examples"], json.loads(out)["accuracy"]) == (0, 6, 1)
    assert "the data are not those that the model was trained on" in words
    gone = tmp_path / "photos" / record["split"]["test"][0]
    gone.unlink()
    code, _, words = command("evaluate", "--out", tmp_path / "model")
    assert code == 3
    assert words.splitlines()[-1].startswith(f"error: cannot read {gone}")
    shutil.rmtree(tmp_path / "photos")
    code, _, words = command("evaluate", "--out", tmp_path / "model")
    assert (code, words.splitlines()[-1].endswith("photos, which the model was trained on; put it back")) == (3, True)


@pytest.mark.slow
def test_photos_of_a_table_are_checked_and_trained_on(photos, tmp_path, command):
    files = sorted(photos.rglob("*.jpg"))
    rows = [f"{file},{file.parent.name},{'test' if number % 6 == 0 else ''}" for number, file in enumerate(files)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,split", *rows]))
    table = ("--data", tmp_path / "labels.csv", "--group-by", r"(\d+)\.jpg")
    code, out, words = command(
        "check", tmp_path / "labels.csv", "--out", tmp_path / "report", "--require", "readable=1"
    )
    summary = json.loads(out)
    assert (code, summary["files"], summary["readable"]) == (0, 60, 1)
    assert 0 < summary["trusted"] <= 1  # by the shipped network
    assert words.endswith(f"report: {tmp_path}/report/check.html\n")
    assert command("check", tmp_path / "labels.csv", "--out", tmp_path / "report", "--require", "regular=1.1")[0] == 4
    flags = (*table, "--model", "mlp", "--image-size", 16, "--epochs", 1, "--batch-size", 16, "--balance", "sampling")
    code, out, _ = command("train", *flags, "--out", tmp_path / "run", "--show-augmentations")
    assert (code, json.loads(out)) == (0, {"augmentations": str(tmp_path / "run" / "augmentations.png")})
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["augmentations.png"]
    assert command("train", *flags, "--train-size", 20, "--out", tmp_path / "run")[0] == 0
    code, out, words = command("evaluate", "--out", tmp_path / "run")
    assert (code, json.loads(out)["examples"]) == (0, 10)
    assert "not those" not in words
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,split", *rows[1:]]))
    code, _, words = command("evaluate", "--out", tmp_path / "run")
    assert (code, words.splitlines()[-1]) == (
        3, f"error: cannot read {files[0]}, which was there before; restore it and run again",
    )  # fmt: skip


@pytest.mark.long
def test_a_folder_that_is_called_as_a_data_set_is_checked(photos, tmp_path, command, monkeypatch):
    shutil.copytree(photos, tmp_path / "mnist")
    monkeypatch.chdir(tmp_path)
    code, out, _ = command("check", "mnist", "--out", tmp_path / "report")
    assert (code, json.loads(out)["files"]) == (0, 60)


@pytest.mark.long
def test_splits_of_their_own_are_taken_and_a_class_of_none_is_an_error(photos, tmp_path, command):
    for split in ("train", "val", "test"):
        shutil.copytree(photos, tmp_path / "data" / split)
    (tmp_path / "data" / "val" / "cross").mkdir()
    code, _, words = command("train", "--data", tmp_path / "data", "--model", "mlp", "--out", tmp_path / "run")
    assert code == 2
    expected = (
        f"validation is {tmp_path}/data/val, and {tmp_path}/data/val has the class cross, which {tmp_path}/data/tr"
    )
    assert words.splitlines()[-1].startswith(f"error: {expected}")
    (tmp_path / "data" / "val" / "cross").rmdir()
    (tmp_path / "data" / "valid").mkdir()
    code, _, words = command("train", "--data", tmp_path / "data", "--model", "mlp", "--out", tmp_path / "run")
    assert (code, "has two folders of one split; keep one of test, train, val, valid" in words) == (2, True)
    (tmp_path / "data" / "valid").rmdir()
    flags = ("--model", "mlp", "--image-size", 16, "--epochs", 1, "--batch-size", 16)
    assert command("train", "--data", tmp_path / "data", *flags, "--out", tmp_path / "run")[0] == 0
    record = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert record["data"]["examples"] == {"train": 60, "validation": 60, "test": 60}


@pytest.mark.slow
def test_tfrecord_files_are_trained_on_and_evaluated_with_the_split_of_the_training(photos, tmp_path, command):
    import tensorflow as tf

    (tmp_path / "records").mkdir()
    with tf.io.TFRecordWriter(str(tmp_path / "records" / "photos.tfrecord")) as writer:
        for file in sorted(photos.rglob("*.jpg")):
            parts = {"image/encoded": file.read_bytes(), "image/class/text": file.parent.name.encode()}
            features = {name: tf.train.Feature(bytes_list={"value": [part]}) for name, part in parts.items()}
            features["image/class/label"] = tf.train.Feature(int64_list={"value": [int(file.parent.name == "disc")]})
            writer.write(tf.train.Example(features={"feature": features}).SerializeToString())
    flags = ("--model", "mlp", "--image-size", 16, "--epochs", 1, "--batch-size", 16, "--out", tmp_path / "run")
    assert command("train", "--data", tmp_path / "records", *flags)[0] == 0
    record = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert (record["class_names"], record["recipe"]["data"]) == (["bar", "disc"], str(tmp_path / "records"))
    names = record["split"]["test"]
    assert len(names) == 6 == len({int(name.removeprefix("photos.tfrecord#")) for name in names})
    code, out, words = command("evaluate", "--out", tmp_path / "run")
    assert (code, json.loads(out)["examples"]) == (0, 6)
    assert "note:" not in words


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (
            ["train", "--data", "{tmp}/none"],
            2,
            "--data is '{tmp}/none', neither a folder nor a data set; choose one of",
        ),
        (
            ["train", "--data", "{tmp}/empty"],
            2,
            "folder {tmp}/empty has no sub-folders; put the images of each class into one of",
        ),
        (
            ["train", "--data", "synthetic", "--group-by", "a"],
            2,
            "--group-by is 'a', and synthetic has no files of its images; leave",
        ),
        (
            ["check", "cifar10"],
            2,
            "photos is 'cifar10', neither a folder nor a CSV file; name a folder with a sub-folder",
        ),
        (
            ["check", "{tmp}/empty"],
            2,
            "folder {tmp}/empty has no sub-folders; put the images of each class into one of",
        ),
        (
            ["check", "{tmp}"],
            2,
            "--out is {tmp}/new, which lies in {tmp}, where folders are classes; name one elsewhere",
        ),
        (
            ["train", "--data", "{tmp}"],
            2,
            "--out is {tmp}/new, which lies in {tmp}, where folders are classes; name one",
        ),
        (
            ["finetune", "--rotation", "15"],
            2,
            "--rotation is 15, and the head alone learns, on features that are computed once; give --blocks or --freez",
        ),
        (["train", "--model", "unet"], 2, "--model is 'unet', which segments images; choose a classifier"),
        (
            ["train", "--data", "synthetic", "--random-crop", "28"],
            2,
            "--random-crop is 28, and images are of 28x28; gi",
        ),
        (
            ["train", "--data", "no_such_set"],
            2,
            "--data is 'no_such_set', which is no data set; choose one of",
        ),
        (["train", "--model", "resnet21"], 2, "--model is 'resnet21', which is no network; choose one of resnet"),
        (["train", "--image-size", "0"], 2, "--image-size is 0; give a whole number from 1 to 4096"),
        (["train", "--mixup", "nan"], 2, "--mixup is nan; give a number from 0 to 100"),
        (["train", "--cutmix", "0.01"], 2, "--cutmix is 0.01; give 0, or a number from 0.05 to 100"),
        (
            ["train", "--data", "synthetic", "--image-size", "64"],
            2,
            "--image-size is 64, and images of synthetic are taken as they are; leave it out, or name a folder",
        ),
        (["train", "--image-size", "224"], 2, "--image-size is 224, and images of cifar10 are taken as they are; lea"),
        (["finetune", "--data", "mnist", "--image-size", "224"], 2, "--image-size is 224, and images of mnist are tak"),
        (["train", "--recipe", "alexnet"], 2, "--image-size is 227, and images of cifar10 are taken as they are; lea"),
        (
            ["train", "--size-schedule", "8,16", "--epochs", "1"],
            2,
            "--size-schedule is (8, 16), for 1 epochs of augmentations; give no more sizes than epochs",
        ),
        (["train", "--recipe", "resnet"], 2, "invalid value"),
        (
            ["finetune", "--model", "resnet18"],
            2,
            "--model is 'resnet18', and a backbone says itself which network it is",
        ),
        (
            ["finetune", "--backbone", "{tmp}"],
            3,
            "no trained model at {tmp}; train one first, or name another run with",
        ),
        (
            ["finetune", "--weights", "a.pth"],
            2,
            "--weights is a.pth, and model is not given; name the network that they",
        ),
        (["finetune", "--model", "resnet18", "--weights", "a.pth"], 3, "no file a.pth; check the path of --weights"),
        (
            ["finetune", "--layer-rates", "stage1"],
            2,
            "--layer-rates has 'stage1', which is no name and number; write NA",
        ),
        (["neighbors", "--out", "{tmp}"], 3, "no trained model at {tmp}/model.keras; train one first, or name another"),
        (["evaluate", "--out", "{tmp}"], 3, "no trained model at {tmp}/model.keras; train one first, or name another"),
        (["predict", "{tmp}/none.jpg"], 3, "cannot read {tmp}/none.jpg (No such file or directory); check the path"),
    ],
)
def test_bad_usage_is_one_line(arguments, code, words, tmp_path, command):
    (tmp_path / "empty").mkdir()
    named = [text.replace("{tmp}", str(tmp_path)) for text in arguments]
    ended, out, said = command(*named, *([] if "--out" in named else ["--out", tmp_path / "new"]))
    (line,) = [line for line in said.splitlines() if line.startswith("error")]
    assert line.startswith("error: " + words.replace("{tmp}", str(tmp_path)))
    assert (ended, out) == (code, "")
    assert not (tmp_path / "new").exists()


@pytest.mark.long
def test_a_trained_network_learns_other_classes_and_shows_what_it_sees(folder, photos, tmp_path, printed, command):
    flags = ("--data", photos, "--backbone", folder, "--epochs", 3, "--batch-size", 16)
    assert printed("finetune", *flags, "--out", tmp_path) == ""
    record = json.loads((tmp_path / "recipe.json").read_text())
    assert (record["recipe"]["model"], record["recipe"]["image_size"]) == ("five_layer_cnn", 32)
    assert (record["app"], record["recipe"]["backbone"], record["epochs_run"]) == ("images", str(folder), 3)
    assert record["data"]["resize"]["crop_ratio"] == 0.9  # as the backbone's run
    metrics = json.loads(printed("evaluate", "--out", tmp_path))
    assert (metrics["accuracy"], metrics["model"]) == (1, "five_layer_cnn")
    tuned = (*flags, "--regime", "medium", "--second-epochs", 1, "--random-resized-crop", 0.5)
    assert printed("finetune", *tuned, "--out", tmp_path / "tuned") == ""
    second = json.loads((tmp_path / "tuned" / "recipe.json").read_text())
    assert (second["recipe"]["blocks"], second["epochs_run"]) == (2, 1)
    backbone, head, ended = (
        kc.load_model(place) for place in (folder, tmp_path / "tuned" / "head", tmp_path / "tuned")
    )
    kernels = {
        name: [model.get_layer(name).kernel.numpy() for model in (backbone, head, ended)]
        for name in ("conv2", "conv3", "embedding")
    }
    assert all(np.array_equal(before, between) for before, between, _ in kernels.values())
    moved = {name: not np.array_equal(between, after) for name, (_, between, after) in kernels.items()}
    assert moved == {"conv2": False, "conv3": True, "embedding": True}
    answer = json.loads(printed("features", "--out", tmp_path, "--layer", "conv1", "--layer", "embedding"))
    assert answer["examples"] == 6
    stored = np.load(answer["features"])
    assert stored["embedding"].shape == (6, *answer["layers"]["embedding"])
    assert sorted(stored["labels"]) == [0, 0, 0, 1, 1, 1]
    assert [name.split("/")[0] for name in stored["names"]] == [record["class_names"][i] for i in stored["labels"]]
    assert (tmp_path / "features" / "test" / "projector_config.pbtxt").is_file()
    found = json.loads(printed("neighbors", "--out", tmp_path, "--count", 3))
    assert (found["queries"], found["gallery"], found["recall@1"]["embedding"]) == (6, 48, 1)
    rows = json.loads((tmp_path / "neighbors.json").read_text())["neighbors"]
    assert all((photos / name).is_file() for row in rows for name in (row["query"], *row["pixels"], *row["embedding"]))
    assert (tmp_path / "neighbors.png").is_file()
    code, _, words = command("features", "--out", tmp_path, "--layer", "conv9")
    assert code == 2
    assert words.splitlines()[-1].startswith("error: --layer is 'conv9', and five_layer_cnn has no layer of that name;")


@pytest.mark.slow
def test_published_weights_are_the_backbone_and_say_how_photos_are_resized(photos, tmp_path, printed, command):
    drawn = torch_names(kc.models.resnet18())
    arrays = {name: 1e-3 * array if array.ndim == 4 else np.ones_like(array) for name, array in drawn.items()}
    np.savez(tmp_path / "weights.npz", **arrays)
    flags = ("--model", "resnet18", "--weights", tmp_path / "weights.npz", "--image-size", 64, "--epochs", 2)
    assert printed("finetune", "--data", photos, *flags, "--batch-size", 16, "--out", tmp_path / "run") == ""
    record = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert record["data"]["resize"] == {"image_size": [64, 64], "crop_ratio": 0.875, "interpolation": "bilinear"}
    trained = kc.load_model(tmp_path / "run")
    np.testing.assert_array_equal(trained.get_layer("stem_conv").kernel, arrays["conv1.weight"].transpose(2, 3, 1, 0))
    assert trained.output_shape == (None, 2)
    flags = ("--data", photos, "--model", "googlenet", "--weights", "hub", "--image-size", 64)
    code, _, words = command("finetune", *flags, "--out", tmp_path / "hub")
    assert (code, "--model googlenet has no weights on the hub that are known; " in words) == (2, True)


@pytest.mark.long
def test_views_and_temperature_are_those_of_the_run_in_evaluation_and_export(tmp_path, printed):
    flags = ("--data", "synthetic", "--model", "mlp", "--epochs", 2, "--random-crop", 0, "--tta", "flip")
    assert printed("train", *flags, "--out", tmp_path) == ""
    record = json.loads((tmp_path / "recipe.json").read_text())
    metrics = json.loads(printed("evaluate", "--out", tmp_path))
    assert metrics["temperature"] == record["temperature"] != 1
    assert metrics["accuracy"] != metrics["accuracy_single_view"]  # numerals are no mirror images of themselves
    printed("export", "--out", tmp_path)
    test = kc.datasets.load("synthetic").test
    logits = np.stack([
        kc.load_model(tmp_path)(images / np.float32(255)) for images in (test.images, test.images[:, :, ::-1])
    ])  # fmt: skip
    calibrated = np.exp(logits.mean(0) / record["temperature"])
    calibrated /= calibrated.sum(-1, keepdims=True)
    answers = kc.load_predictor(tmp_path).predict(test.images)
    np.testing.assert_allclose(answers["probabilities"], calibrated, atol=1e-5)
    assert metrics["accuracy"] == np.mean(answers["class_id"] == test.labels)


@pytest.mark.long
def test_photos_of_one_pixel_and_panoramas_are_trained_on_and_answered(photos, tmp_path, command):
    shutil.copytree(photos, tmp_path / "photos")
    odd = [tmp_path / "photos" / "bar" / "pixel.png", tmp_path / "photos" / "disc" / "panorama.jpg"]
    cv2.imwrite(str(odd[0]), np.zeros((1, 1, 3), np.uint8))
    cv2.imwrite(str(odd[1]), np.full((10, 20_000, 3), 90, np.uint8))
    flags = ("--model", "mlp", "--image-size", 16, "--epochs", 1, "--batch-size", 16, "--out", tmp_path / "run")
    assert command("train", "--data", tmp_path / "photos", *flags)[0] == 0
    assert command("evaluate", "--out", tmp_path / "run")[0] == 0
    assert command("export", "--out", tmp_path / "run")[0] == 0
    code, out, words = command("predict", *odd, "--out", tmp_path / "run")
    assert (code, words) == (0, "")
    assert [line.split("\t")[0] for line in out.splitlines()] == list(map(str, odd))


@pytest.mark.long
@pytest.mark.parametrize(("flags", "said"), [((), True), (("--model", "resnet18"), False)])
def test_photos_without_a_model_are_said_to_be_too_large(flags, said, photos, tmp_path, command):
    sizes = ("--image-size", 72, "--show-augmentations", "--out", tmp_path / "sheet")
    code, _, words = command("train", "--data", photos, *flags, *sizes)
    assert code == 0
    assert ("note: resnet20 is made for images of 32 pixels; for photos name another --model" in words) == said


def test_a_folder_of_one_class_is_an_error(tmp_path, command):
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    for number in range(20):
        cv2.imwrite(str(tmp_path / "photos" / "cat" / f"{number}.png"), np.zeros((9, 9, 3), np.uint8))
    code, _, words = command("train", "--data", tmp_path / "photos", "--model", "mlp", "--out", tmp_path / "run")
    assert code == 2
    expected = f"error: folder {tmp_path}/photos has one class, cat; put the images of each class into a sub-folder"
    assert words.splitlines()[-1].startswith(expected)
