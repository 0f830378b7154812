"""The tumors app end to end; where what a user sees counts, a process as a user starts it."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import nibabel
import numpy as np
import pytest
from PIL import Image

from apps.tumors import app  # noqa: F401, run by the fixtures `printed` and `command`
from kerascnn.training.run_folder import load_trained
from kerascnn.tumors.card import segmenter_card
from kerascnn.tumors.phantoms import drawn_patient
from kerascnn.tumors.recipes import RUNS
from kerascnn.tumors.scans import read_image
from tests.tumors.test_nifti import place

ROOT = Path(__file__).parents[2]
TINY = ("--data", "phantoms", "--image-size", 32, "--width", 2, "--batch-size", 8)


def tumors(*arguments, **options):
    """The finished process of `python -m apps.tumors` with these arguments."""
    command = [sys.executable, "-m", "apps.tumors", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, printed):
    """A model folder after train, evaluate and export on phantoms."""
    folder = tmp_path_factory.mktemp("tumors") / "model"
    with contextlib.redirect_stderr(io.StringIO()) as words:
        assert printed("train", "--smoke", "--out", folder) == ""
    assert words.getvalue().startswith("note: --smoke trains two epochs on drawn phantoms")
    assert json.loads(printed("evaluate", "--out", folder))["patients"] == 3
    assert json.loads(printed("export", "--out", folder)) == {"saved_model": str(folder / "1")}
    return folder


@pytest.mark.slow
def test_the_run_says_who_was_where_and_what_was_chosen(folder):
    record = json.loads((folder / "recipe.json").read_text())
    parts = record["split"]
    assert [len(parts[part]) for part in ("train", "validation", "test")] == [10, 2, 3]
    assert not set(parts["train"]) & set(parts["validation"]) | set(parts["train"] + parts["validation"]) & set(
        parts["test"]
    )
    assert record["settings"] in [
        {name: value for name, value in tried.items() if name != "dice"} for tried in record["settings_tried"]
    ]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert [row["patient"] for row in metrics["table"]] == parts["test"]
    assert {"overlays.png", "augmentation.png"} <= {path.name for path in folder.iterdir()}
    assert sorted(path.stem for path in (folder / "strips").iterdir()) == parts["test"]


@pytest.mark.slow
def test_several_networks_are_trained_one_after_the_other_and_averaged(folder, tmp_path, command):
    # what a stopped run leaves behind
    first = tmp_path / "network0"
    shutil.copytree(folder, first)
    code, _, words = command("train", "--smoke", "--ensemble", "2", "--out", tmp_path)
    assert (code, "unfinished run; resume it, or choose another folder" in words) == (2, True)
    code, _, words = command("train", "--smoke", "--out", tmp_path, "--resume")
    assert (code, "holds a run of another number of networks; give its number" in words) == (2, True)
    written = (first / "model.keras").stat().st_mtime_ns
    assert command("train", "--smoke", "--ensemble", "2", "--out", tmp_path, "--resume")[0] == 0
    assert (first / "model.keras").stat().st_mtime_ns == written

    record = json.loads((tmp_path / "recipe.json").read_text())
    models = [keras.saving.load_model(path / "model.keras") for path in (tmp_path, first, tmp_path / "network1")]
    images = np.random.default_rng(0).random((2, 64, 64, 3), dtype=np.float32)
    together, *logits = (model(images, training=False).numpy() for model in models)
    np.testing.assert_allclose(together, sum(logits) / 2, atol=1e-5)
    one, other = (set(each["split"]["validation"]) for each in record["networks"])
    assert not one & other
    assert one | other == set(record["split"]["validation"])
    assert len(record["split"]["train"]) + 4 + len(record["split"]["test"]) == 15
    card = segmenter_card(models[0], record, None)
    assert card["parameters"] == sum(model.count_params() for model in models[1:])
    assert [set(each["split"]["validation"]) for each in card["networks"]] == [one, other]
    assert "validation patients of the others" in card["choices"]


@pytest.mark.slow
def test_an_ensemble_killed_within_a_network_resumes_to_the_same_weights(tmp_path):
    flags = (*TINY, "--epochs", 8, "--deterministic")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-m", "apps.tumors", "train", *map(str, flags), "--ensemble", "2", "--out"]
    with subprocess.Popen([*command, killed], cwd=ROOT, stderr=subprocess.PIPE, text=True) as training:
        for line in training.stderr:
            if line.startswith("epoch 3/8") and (killed / "network0" / "recipe.json").exists():
                training.kill()
    assert training.returncode == -signal.SIGKILL
    assert (killed / "network1" / "checkpoint.npz").exists()
    for folder, *resume in ([killed, "--resume"], [whole]):
        ran = tumors("train", *flags, "--ensemble", 2, "--out", folder, *resume)
        assert ran.returncode == 0, ran.stderr
    images = np.random.default_rng(0).random((2, 32, 32, 3), dtype=np.float32)
    models, records = zip(*(load_trained(folder, RUNS) for folder in (whole, killed)), strict=True)
    one, other = (model(images, training=False) for model in models)
    np.testing.assert_array_equal(one, other)
    assert records[0]["settings_tried"] == records[1]["settings_tried"]


@pytest.mark.slow
def test_predict_segments_a_folder_of_slices_and_an_image(folder, tmp_path):
    patient = tmp_path / "patient"
    patient.mkdir()
    for i, image in enumerate(drawn_patient(30).images, 1):
        Image.fromarray(image).save(patient / f"patient_{i}.tif")
    image_file = tmp_path / "slice.png"
    Image.fromarray(drawn_patient(30).images[4]).save(image_file)
    ran = tumors(
        "predict", patient, image_file, tmp_path / "absent.png", "--out", folder, "--results", tmp_path / "out"
    )
    assert ran.returncode == 3
    # no line of TensorFlow among them
    assert len(ran.stderr.splitlines()) == 2
    assert "not a medical device" in ran.stderr
    assert ran.stderr.splitlines()[-1].startswith(f"error: cannot read {tmp_path / 'absent.png'} (No such file")
    whole, single = map(json.loads, ran.stdout.splitlines())
    assert (whole["slices"], single["slices"], whole["millilitres"]) == (8, 1, None)
    masks = sorted(Path(whole["mask"]).iterdir())
    assert len(masks) == 8
    assert [mask.name for mask in masks] == [f"patient_{i}_mask.png" for i in range(1, 9)]
    assert sum(int((read_image(mask)[..., 0] == 255).sum()) for mask in masks) == whole["tumor_voxels"]
    assert read_image(single["mask"]).shape == (64, 64, 3)
    page = Path(whole["report"]).read_text()
    assert "not a medical device" in page
    assert "8 slices" in page
    assert str(patient) in page
    assert f"Model: tumors, {folder / '1'}" in page
    assert read_image(whole["overlay"]).shape[1] > 64


@pytest.mark.slow
def test_predict_answers_a_volume_in_its_own_grid(folder, tmp_path, command):
    scan = place(tmp_path)
    code, out, words = command("predict", scan, "--out", folder, "--results", tmp_path / "out")
    assert code == 0, words
    answer = json.loads(out)
    mask, image = nibabel.load(answer["mask"]), nibabel.load(scan / "patient_1_flair.nii.gz")
    assert mask.shape == image.shape
    np.testing.assert_array_equal(mask.affine, image.affine)
    assert answer["millilitres"] == pytest.approx(answer["tumor_voxels"] * 0.012)
    assert "<th>mm²</th>" in Path(answer["report"]).read_text()
    # an image of the same name takes the volume's place
    image_file = tmp_path / "patient_1.png"
    Image.fromarray(drawn_patient(30).images[4]).save(image_file)
    code, out, words = command("predict", image_file, "--out", folder, "--results", tmp_path / "out")
    assert code == 0, words
    assert not Path(answer["mask"]).exists()
    assert "<th>mm²</th>" not in Path(answer["report"]).read_text()


@pytest.mark.slow
def test_a_scan_that_the_model_does_not_take_stops_no_other(folder, tmp_path, command):
    # 9,000² is more than the voxels of a volume; what follows is a name in Latin-1
    long, other = tmp_path / "long.png", Path(os.fsdecode(bytes(tmp_path) + b"/M\xfcller.png"))
    for path, pixels in ((long, np.zeros((1, 9000, 3), np.uint8)), (other, drawn_patient(30).images[4])):
        Image.fromarray(pixels).save(path)
    code, out, words = command("predict", long, other, "--out", folder, "--results", tmp_path / "out")
    assert code == 3
    assert json.loads(out)["file"] == str(other)
    expected = f"error: cannot segment {long}: {folder / '1'} does not take this input ("
    assert words.splitlines()[-1].startswith(expected)


@pytest.mark.slow
def test_an_evaluation_names_what_its_data_lack(folder, tmp_path, command):
    model = tmp_path / "model"
    shutil.copytree(folder, model)
    record = json.loads((model / "recipe.json").read_text())
    changed = {"name": "nifti"}, {"sha256": "0"}, {}
    tests = record["split"]["test"], record["split"]["test"], ["phantom_99"]
    said = []
    for data, test in zip(changed, tests, strict=True):
        other = {**record, "data": record["data"] | data, "split": {**record["split"], "test": test}}
        (model / "recipe.json").write_text(json.dumps(other))
        code, _, words = command("evaluate", "--out", model)
        said.append((code, words.splitlines()[-1]))
    assert said == [
        (2, "error: --data-dir is missing; name the folder of NIfTI volumes, a sub-folder per patient"),
        (0, "note: the data are not those that the model was trained on"),
        (3, "error: no data of the test patients phantom_99; choose another data_dir"),
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (
            ["train", "--model", "unet_dong", "--width", "8"],
            2,
            "--width is 8; unet_dong has none; leave it out, or choose unet",
        ),
        (["train", "--image-size", "100"], 2, "--image-size is 100; give a multiple of 16"),
        (["train", "--fold", "5"], 2, "--fold is 5; give a whole number from 0 to 4"),
        (["train", "--label-smoothing", "0.1"], 2, "--label-smoothing is 0.1; it is for classes, not for masks"),
        (
            ["train", "--model", "unet", "--depth", "5", "--image-size", "112"],
            2,
            "--image-size is 112; give a multiple of 32",
        ),
        (["train", "--elastic", "nan"], 2, "--elastic is nan; give a number from 0 to 10000"),
        (["train", "--ensemble", "8"], 2, "--ensemble is 8; give a whole number from 1 to 7"),
        (["train", "--modalities", "flair"], 2, "--modalities is ('flair',); it is for data nifti, leave it out"),
        (["train", "--out", "{saved}/tumors"], 2, "folder {saved}/tumors holds a finished run; choose another"),
        (["train", "--recipe", "unet"], 2, "invalid value"),
        (["evaluate", "--out", "{saved}/digits"], 3, "{saved}/digits holds a model of digits, not of tumors"),
        (["export", "--out", "{saved}/digits"], 3, "{saved}/digits holds a model of digits, not of tumors"),
        (["predict", "x.png", "--out", "{saved}/digits"], 3, "{saved}/digits holds a model of digits, not"),
        (["crossvalidate", "--fold", "2"], 2, "--fold is 2; leave it out, all folds are trained"),
        (["train", "--data", "nifti"], 2, "--data-dir is missing; name the folder of NIfTI volumes, a sub-folder per"),
        (["train", "--data-dir", "{tmp}"], 3, "no kaggle_3m/ in {tmp}/downloads/manual; unpack https://"),
        (["evaluate", "--out", "{tmp}"], 3, "no trained model at {tmp}/model.keras; train one first, or name"),
        (["predict", "x.png", "--out", "{tmp}"], 3, "cannot read x.png"),
    ],
)
def test_bad_usage_is_one_line(tmp_path, command, arguments, code, words):
    def whole(text):
        return text.replace("{tmp}", str(tmp_path)).replace("{saved}", str(ROOT / "saved_models"))

    named = [whole(text) for text in arguments]
    ended, out, words_said = command(*named, *([] if "--out" in named else ["--out", tmp_path / "new"]))
    (line,) = words_said.splitlines()
    assert line.startswith("error: " + whole(words))
    assert (ended, out) == (code, "")
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_requirements_that_are_not_met_end_with_4(folder, command):
    code, out, words = command("evaluate", "--out", folder, "--empty", "zero", "--require", "patient_dice=1.01")
    assert code == 4
    assert (json.loads(out)["patients"], json.loads(out)["empty_masks"]) == (3, "zero")
    assert words.splitlines()[-1].endswith("required 1.01; improve it, or require less")


@pytest.mark.slow
def test_a_place_that_cannot_be_written_to_is_named(folder, tmp_path, command):
    Image.fromarray(drawn_patient(30).images[4]).save(tmp_path / "slice.png")
    code, _, words = command("predict", tmp_path / "slice.png", "--out", folder, "--results", tmp_path / "slice.png")
    assert code == 3
    assert words.splitlines()[-1].startswith(f"error: cannot write to {tmp_path / 'slice.png'} (Not a directory)")


@pytest.mark.slow
def test_the_segmented_scan_is_never_overwritten(folder, tmp_path, command):
    code, _, words = command("predict", place(tmp_path), "--out", folder, "--results", tmp_path)
    assert code == 2
    assert words.splitlines()[-1].endswith("choose another folder with --results")


@pytest.mark.slow
def test_crossvalidation_tests_every_patient_once(tmp_path, command):
    code, _, words = command("crossvalidate", *TINY, "--epochs", 1, "--out", tmp_path, "--ensemble", 2)
    assert code == 0, words
    summary = json.loads((tmp_path / "crossvalidation.json").read_text())
    assert len(summary["table"]) == len({row["patient"] for row in summary["table"]}) == 15
    assert (tmp_path / "crossvalidation.png").is_file()
    version = tmp_path / "fold0" / "1"
    assert json.loads(command("export", "--out", tmp_path / "fold0")[1]) == {"saved_model": str(version)}


@pytest.mark.slow
def test_volumes_are_trained_on_and_scored_in_millimetres(tmp_path, command):
    scans, model = tmp_path / "scans", tmp_path / "model"
    for number in range(10):
        place(scans, f"patient_{number}")
    flags = ("--data", "nifti", "--data-dir", scans, "--image-size", 32, "--width", 2, "--epochs", 1, "--out", model)
    code, _, words = command("train", *flags)
    assert code == 0, words
    assert json.loads((model / "recipe.json").read_text())["data"]["channels"] == ["t1", "flair", "t1ce"]
    code, out, words = command("evaluate", "--data-dir", scans, "--out", model)
    assert code == 0, words
    assert (json.loads(out)["patients"], json.loads(out)["distances_in"]) == (2, "mm")


@pytest.mark.slow
def test_the_network_of_2015_trains_with_weighted_borders_and_is_exported(tmp_path, command):
    model = tmp_path / "model"
    recipe = ("--model", "unet_2015", "--loss", "border", "--data", "phantoms", "--image-size", 96)
    code, _, words = command(
        "train", *recipe, "--epochs", 1, "--batch-size", 4, "--foreground-oversampling", 1, "--out", model
    )
    assert code == 0, words
    code, out, words = command("export", "--out", model)
    assert code == 0, words
    image_file = tmp_path / "slice.png"
    Image.fromarray(drawn_patient(30).images[4]).save(image_file)
    code, out, words = command("predict", image_file, "--out", model, "--results", tmp_path / "out")
    assert code == 0, words
    assert read_image(json.loads(out)["mask"]).shape == (64, 64, 3)
