"""The filters app; where what a user sees or what is loaded counts, a process as a user starts it."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from apps.filters import app  # noqa: F401, run by the fixture `command`

ROOT = Path(__file__).parents[2]


def filters(*arguments, options=()):
    """The finished process of `python -m apps.filters` with these arguments."""
    command = [sys.executable, *options, "-m", "apps.filters", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "flower.png"
    cv2.imwrite(str(path), load_sample_image("flower.jpg")[..., ::-1])  # 427 x 640
    return path


@pytest.mark.slow
def test_the_sheet_holds_every_filter_and_the_paddings(photo, tmp_path):
    from kerascnn.layers.filters import FILTERS

    ran = filters(photo, "--out", tmp_path / "new" / "sheet.png")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    answer = json.loads(ran.stdout)
    assert answer["image"] == str(tmp_path / "new" / "sheet.png")
    shapes = answer["shapes"]
    assert shapes.keys() >= {"photo"} | {name.replace("_", " ") for name in FILTERS}
    assert shapes["photo"] == [240, 360, 3]
    assert shapes["sobel x"] == [240, 360]
    assert shapes["max pooling"] == [60, 90, 3]
    # 240 + 31 - 1 = 270, 240 - 31 + 1 = 210, and half of them.
    assert [shapes[f"mean 31 x 31, {padding}, stride 1"][0] for padding in ("full", "same", "valid")] == [270, 240, 210]
    assert [shapes[f"mean 31 x 31, {padding}, stride 2"][0] for padding in ("full", "same", "valid")] == [135, 120, 105]
    drawn = cv2.imread(answer["image"])
    assert min(drawn.shape[:2]) > 1000
    assert drawn.std() > 30


def test_one_kernel_is_drawn_in_the_padding_and_stride_asked_for(photo, tmp_path, command):
    sheet = tmp_path / "sheet.png"
    flags = ("--padding", "full", "--stride", 3, "--out", sheet)
    code, out, words = command(photo, "--kernel", "-1 -1 -1; -1 8 -1; -1 -1 -1", *flags)
    assert code == 0, words
    shapes = {"photo": [240, 360, 3], "full, stride 1": [242, 362], "full, stride 3": [81, 121]}
    assert json.loads(out) == {"image": str(sheet), "shapes": shapes}
    assert sheet.is_file()


def test_a_kernel_that_brightens_is_divided_by_its_sum_on_an_image_of_any_size(tmp_path, command):
    cv2.imwrite(str(tmp_path / "dot.png"), np.full((1, 2, 3), 100, np.uint8))
    flags = ("--padding", "same", "--out", tmp_path / "o.png")
    code, out, words = command(tmp_path / "dot.png", "--kernel", "1/2, 1/2; 1, 2", *flags)
    assert (code, words) == (0, "")
    assert json.loads(out)["shapes"]["same, stride 2, divided by 4"] == [1, 1, 3]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["{photo}", "--kernel", "1 2; 3"], 2, "error: --kernel '1 2; 3' has rows of 2, 1 numbers; give rows of"),
        (["{photo}", "--kernel", "1 two"], 2, "error: --kernel has 'two' among its numbers; give numbers as -1.5"),
        (["{photo}", "--kernel", "1/0"], 2, "error: --kernel has '1/0' among its numbers; give numbers as -1.5"),
        (["{photo}", "--kernel", " "], 2, "error: --kernel ' ' is empty; give rows of numbers"),
        (["{photo}", "--kernel", "1 " * 64], 2, "error: --kernel has 1 x 64 numbers; give at most 63 x 63"),
        (["{photo}", "--stride", "0"], 2, "error: --stride is 0; give a number from 1 to 32"),
        (["{photo}", "--padding", "some"], 2, 'invalid value "some" for --padding'),
        (["{photo}", "--out", "sheet.jpg"], 2, "error: --out sheet.jpg is no PNG file; give it a name that ends in"),
        (["{photo}", "--out", "{photo}"], 2, "is the photo and would be overwritten; choose another --out"),
        ([], 2, "PHOTO"),
        (["/nowhere.png"], 3, "error: cannot read /nowhere.png (No such file or directory); check the path"),
        ([__file__], 3, f"error: cannot decode {__file__}; give a PNG, JPEG, WebP or BMP file"),
        (["{dot}", "--kernel", "1 1"], 3, "error: the kernel has 1 x 2 numbers and the photo only 1 x 1 pixels"),
    ],
)
def test_bad_input_is_one_line_with_the_way_on(arguments, code, words, photo, command):
    dot = photo.with_name("dot.png")
    cv2.imwrite(str(dot), np.zeros((1, 1, 3), np.uint8))
    before = photo.read_bytes()
    ended, out, said = command(*(argument.format(photo=photo, dot=dot) for argument in arguments))
    assert (ended, out) == (code, "")
    assert words in said
    assert said.count("\n") == 1
    assert photo.read_bytes() == before


def test_help_loads_no_tensorflow():
    ran = filters("--help", options=["-X", "importtime"])
    assert ran.returncode == 0
    assert "--kernel" in ran.stdout
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in ran.stderr.splitlines()}
    assert not loaded & {"tensorflow", "keras", "cv2", "matplotlib", "sklearn"}
