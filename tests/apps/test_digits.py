"""The digits app end to end; where what a user sees counts, a process as a user starts it."""

import contextlib
import difflib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from apps.digits import app  # noqa: F401, run by the fixtures `printed` and `command`

ROOT = Path(__file__).parents[2]


def digits(*arguments, **options):
    """The finished process of `python -m apps.digits` with these arguments."""
    command = [sys.executable, "-m", "apps.digits", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, printed):
    """A model folder after train, evaluate and export on synthetic digits."""
    folder = tmp_path_factory.mktemp("digits") / "model"
    with contextlib.redirect_stderr(io.StringIO()) as words:
        assert printed("train", "--smoke", "--model", "mlp", "--out", folder, "--elastic", 0) == ""
    assert words.getvalue().startswith("note: --smoke trains two epochs on drawn numerals")
    assert json.loads(printed("evaluate", "--out", folder))["examples"] == 100
    assert json.loads(printed("export", "--out", folder)) == {"saved_model": str(folder / "1")}
    return folder


def drawn(path, text="4"):
    canvas = np.full((120, 90, 3), 255, np.uint8)
    cv2.putText(canvas, text, (18, 95), cv2.FONT_HERSHEY_SIMPLEX, 3, (90, 30, 30), 7)
    cv2.imwrite(str(path), canvas)
    return path


@pytest.mark.long
def test_a_model_of_another_app_is_an_error(folder, tmp_path, command):
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    record = json.loads((other / "recipe.json").read_text())
    (other / "recipe.json").write_text(json.dumps({**record, "app": "tumors"}))
    code, _, words = command("evaluate", "--out", other)
    assert code == 3
    assert words.splitlines()[-1] == (f"error: {other} holds a model of tumors, not of digits; name another folder")


def test_a_model_of_another_app_reads_no_digits(tmp_path, command):
    for name in ("predict", "read"):
        code, _, words = command(name, drawn(tmp_path / "4.png"), "--out", ROOT / "saved_models" / "tumors")
        assert code == 3
        assert "saved_models/tumors holds a model of tumors, not of digits; name another folder\n" in words


@pytest.mark.long
def test_predict_prints_file_digit_and_probability(folder, tmp_path):
    files = [drawn(tmp_path / f"{text}.png", text) for text in "47"]
    ran = digits("predict", *files, "--out", folder)
    assert ran.returncode == 0, ran.stderr
    rows = [line.split("\t") for line in ran.stdout.splitlines()]
    assert [row[0] for row in rows] == [str(file) for file in files]
    assert all(row[1] in "0123456789" and 0 < float(row[2]) <= 1 for row in rows)
    assert ran.stderr == ""


@pytest.mark.long
def test_predict_names_what_it_cannot_decode_and_still_prints_the_rest(folder, tmp_path, command):
    (tmp_path / "notes.txt").write_text("no image")
    files = [tmp_path / "absent.png", drawn(tmp_path / "4.png"), tmp_path / "notes.txt"]
    code, out, words = command("predict", *files, "--out", folder)
    assert code == 3
    assert [line.split("\t")[0] for line in out.splitlines()] == [str(tmp_path / "4.png")]
    (error,) = words.splitlines()
    assert (
        f"error: cannot read {files[0]} (No such file or directory); check the path; cannot decode {files[2]}; "
        in error
    )


@pytest.mark.long
def test_read_names_what_it_cannot_load_and_still_reads_the_rest(folder, tmp_path, command):
    (tmp_path / "notes.txt").write_text("no image")
    files = [tmp_path / "notes.txt", drawn(tmp_path / "4.png")]
    code, out, words = command("read", *files, "--out", folder, "--results", tmp_path / "read")
    assert code == 3
    assert [json.loads(line)["file"] for line in out.splitlines()] == [str(files[1])]
    (error,) = words.splitlines()
    assert error.startswith(f"error: cannot decode {files[0]}; give a PNG, JPEG, WebP or BMP file")


@pytest.mark.long
def test_a_requirement_decides_the_exit_code(folder, command):
    before = (folder / "metrics.json").stat().st_mtime_ns
    code, _, words = command("evaluate", "--out", folder, "--require", "accuracy=0", "--require", "ece=2")
    assert code == 4
    assert words.splitlines()[-1].startswith("error: ece is 0.")
    assert (folder / "metrics.json").stat().st_mtime_ns == before


@pytest.mark.long
def test_training_into_a_finished_folder_is_an_error(folder, command):
    code, _, words = command("train", "--smoke", "--out", folder)
    assert code == 2
    assert words.splitlines()[-1] == f"error: folder {folder} holds a finished run; choose another folder"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["train", "--model", "lenet6"], 2, "error: --model is 'lenet6', which is no network; choose one of lenet5"),
        (["train", "--optimizer", "sdg"], 2, 'Choose from: "sgd", "adam"'),
        (["train", "--epochs", "many"], 2, "--epochs"),
        (["train", "--batch-size", "0"], 2, "error: --batch-size is 0; give a whole number from 1 to 1000000"),
        (["train", "--elastic", "nan"], 2, "error: --elastic is nan; give a number from 0 to 1000"),
        (["train", "--shift", "nan"], 2, "error: --shift is nan; give a number from 0 to 28"),
        (["train", "--minutes", "nan"], 2, 'invalid value "nan" for --minutes. give a number above 0'),
        (["train", "--recipe", "lenet6"], 2, 'Choose from: "lenet5", "vgg_digits"'),
        (["train", "--zoom", "1.5"], 2, "error: --zoom is 1.5; give a number from 0 to 0.99"),
        (["trian"], 2, 'unknown command "trian"'),
        (["evaluate", "--out", "/nowhere"], 3, "error: no trained model at /nowhere/model.keras; train one first"),
        (["export", "--out", "/nowhere"], 3, "error: no trained model at /nowhere/model.keras; train one first"),
        (["predict", "/nowhere.png"], 3, "error: cannot read /nowhere.png (No such file or directory); check the path"),
        (["read", "/nowhere.png"], 3, "error: cannot read /nowhere.png (No such file or directory); check the path"),
        (
            ["predict", __file__, "--out", "/nowhere"],
            3,
            "error: no SavedModel under /nowhere; export a model into it first",
        ),
    ],
)
def test_bad_input_is_one_line_with_the_way_on(arguments, code, words, command):
    ended, out, said = command(*arguments)
    assert (ended, out) == (code, "")
    assert words in said
    assert said.count("\n") == 1


def test_a_network_for_larger_images_is_an_error_before_the_folder_is_made(tmp_path, command):
    code, _, words = command("train", "--smoke", "--model", "alexnet", "--out", tmp_path / "model")
    assert code == 2
    assert words.splitlines()[-1].startswith("error: input_shape is (28, 28, 1), which does not fit alexnet; use ")
    assert not (tmp_path / "model").exists()


def test_help_loads_no_tensorflow():
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "apps.digits", "train", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0
    assert ran.stdout.startswith("Usage: python -m apps.digits train [OPTIONS]\n")
    assert "--learning-rate" in ran.stdout
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in ran.stderr.splitlines()}
    assert not loaded & {"tensorflow", "keras", "cv2", "matplotlib", "sklearn"}


def test_the_app_runs_as_a_file_from_anywhere(tmp_path):
    ran = subprocess.run(
        [sys.executable, ROOT / "apps" / "digits.py", "--help"], cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 0
    assert ran.stdout.startswith("Usage: digits.py COMMAND\n")


@pytest.mark.long
def test_all_apps_are_listed_with_their_titles_and_run_by_their_names():
    def ran(*arguments):
        return subprocess.run([sys.executable, "-m", "apps", *arguments], cwd=ROOT, capture_output=True, text=True)

    listed = ran()
    assert listed.stdout.startswith("Usage: python -m apps COMMAND\n")
    assert "│ digits       Handwritten digits: from raw pixels to a served model." in listed.stdout
    assert ran("digits", "--help").stdout.startswith("Usage: python -m apps digits COMMAND\n")
    unknown = ran("digit")
    assert unknown.returncode == 2
    words = 'error: unknown command "digit". Did you mean "digits"? Available commands: digits, filters, images, '
    assert unknown.stderr.startswith(words)


@pytest.mark.long
def test_read_prints_lines_boxes_and_confidence_and_draws_them(folder, tmp_path, command):
    page = np.full((260, 420), 240, np.uint8)
    for row, text in enumerate(("1047", "28")):
        cv2.putText(page, text, (40, 100 + 110 * row), cv2.FONT_HERSHEY_SIMPLEX, 2.2, 20, 5, cv2.LINE_AA)
    cv2.imwrite(str(tmp_path / "page.png"), page)
    code, out, words = command("read", tmp_path / "page.png", "--out", folder, "--results", tmp_path / "read")
    assert (code, words) == (0, "")
    answer = json.loads(out)
    assert answer["file"] == str(tmp_path / "page.png")
    assert [len(line) for line in answer["lines"]] == [4, 2]
    assert answer["lines"] == ["".join(digit["digit"] for digit in line) for line in answer["digits"]]
    for digit in (digit for line in answer["digits"] for digit in line):
        assert 0 < digit["confidence"] <= 1
        x, y, width, height = digit["box"]
        assert page[y : y + height, x : x + width].min() < 100
    drawn = cv2.imread(answer["image"])
    assert drawn.shape == (260, 420, 3)
    assert (drawn != page[..., None]).any()


@pytest.mark.slow
def test_the_demo_goes_the_whole_way_on_scikit_learns_digits_where_there_are_no_others(tmp_path):
    nowhere = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "TFDS_DATA_DIR": str(tmp_path)}
    environment = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    ran = digits("demo", "--out", tmp_path / "model", env={**environment, **nowhere})
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.startswith("note: no data in ")
    assert "data: the digits shipped with scikit-learn, 1,797 scans of 8x8" in ran.stderr
    table = dict(line.split("\t") for line in ran.stdout.splitlines() if "\t" in line)
    table = {name.strip(): value for name, value in table.items()}
    assert table["data"] == "the digits shipped with scikit-learn, 1,797 scans of 8x8"
    assert float(table["test error"].split()[0]) < 10
    assert table["SavedModel"] == str(tmp_path / "model" / "1")
    written, read = table["written"], table["read"]
    assert difflib.SequenceMatcher(None, written, read, autojunk=False).ratio() > 0.9
    assert Path(table["annotated"]).is_file()


@pytest.mark.long
def test_pages_of_one_name_get_files_of_their_own_and_no_page_is_overwritten(folder, tmp_path, command):
    pages = [tmp_path / name / "page.png" for name in ("a", "b")]
    for page in pages:
        page.parent.mkdir()
        drawn(page)
    code, out, words = command("read", *pages, "--out", folder, "--results", tmp_path / "read")
    assert code == 0, words
    assert [Path(json.loads(line)["image"]).name for line in out.splitlines()] == ["page.png", "page-2.png"]
    before = pages[0].read_bytes()
    code, _, words = command("read", pages[0], "--out", folder, "--results", pages[0].parent)
    assert code == 2
    assert f"error: {pages[0]} is read and would be written over, at {pages[0]}; choose another" in words
    assert pages[0].read_bytes() == before


@pytest.mark.long
def test_an_evaluation_that_cannot_write_says_so_in_one_line(folder, tmp_path, command):
    shutil.copytree(folder, tmp_path / "model", ignore=shutil.ignore_patterns("confusion.png"))
    (tmp_path / "model" / "confusion.png").mkdir()
    code, _, words = command("evaluate", "--out", tmp_path / "model")
    assert code == 3
    assert words.splitlines()[-1].startswith(f"error: cannot write to {tmp_path / 'model'} (Is a directory")
