"""Whole commands over damaged files: done, or one line that begins with error: and exit code 3."""

import os
import shutil
from importlib import import_module

import cv2
import nibabel
import numpy as np
import pytest

from kerascnn.cli import app as cli
from kerascnn.cli.folders import SHIPPED
from kerascnn.datasets.synthetic import drawn
from tests.mutations import KINDS

COMMANDS = {  # what is damaged: the command
    "run/recipe.json": ("digits", "evaluate", "--out", "run"),
    "run/model.keras": ("digits", "evaluate", "--out", "run"),
    "exported/recipe.json": ("digits", "export", "--out", "exported"),
    "run/1/saved_model.pb": ("digits", "predict", "digit.png", "--out", "run"),
    "run/1/variables/variables.data-00000-of-00001": ("digits", "predict", "digit.png", "--out", "run"),
    "stopped/checkpoint.npz": ("digits", "train", "--smoke", "--resume", "--out", "stopped"),
    "digit.png": ("digits", "predict", "digit.png", "--out", "run"),
    "page.jpg": ("digits", "read", "page.jpg", "--out", "run", "--results", "read"),
    "scan.nii.gz": ("tumors", "predict", "scan.nii.gz", "--out", "tumors", "--results", "results"),
    "slice.tif": ("tumors", "predict", "slice.tif", "--out", "tumors", "--results", "results"),
    "tumors/recipe.json": ("tumors", "predict", "slice.tif", "--out", "tumors", "--results", "results"),
}


def run(arguments):
    """The exit code of a command, in this process."""
    with pytest.raises(SystemExit) as ended:
        cli.run(import_module(f"apps.{arguments[0]}").app, list(arguments[1:]))
    return ended.value.code


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with all that the commands read."""
    from kerascnn.training.run import Run

    folder = tmp_path_factory.mktemp("damaged")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(("digits", "train", "--smoke", "--out", "run")) == 0
        assert run(("digits", "export", "--out", "run")) == 0
        patch.setattr(Run, "finish", lambda *arguments: None)
        assert run(("digits", "train", "--smoke", "--out", "stopped")) == 0
    shutil.copytree(folder / "run", folder / "exported", ignore=shutil.ignore_patterns("1"))
    shutil.copytree(SHIPPED / "tumors", folder / "tumors")
    image = drawn(1, 0).images[0]
    cv2.imwrite(str(folder / "digit.png"), image)
    cv2.imwrite(str(folder / "page.jpg"), cv2.copyMakeBorder(255 - image, *[40] * 4, cv2.BORDER_CONSTANT, value=255))
    cv2.imwrite(str(folder / "slice.tif"), np.repeat(image, 3, -1))
    volume = np.random.default_rng(0).integers(0, 3000, (24, 24, 3)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), folder / "scan.nii.gz")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("file", COMMANDS)
def test_a_command_over_a_damaged_file_is_done_or_ends_in_one_line(file, place, monkeypatch, capfd):
    monkeypatch.chdir(place)
    whole = (place / file).read_bytes()
    for number in range(int(os.environ.get("MUTATIONS", "20"))):
        (place / file).write_bytes(KINDS[number % len(KINDS)](whole, np.random.default_rng((1, number))))
        code = run(COMMANDS[file])
        words = capfd.readouterr().err
        assert code in (0, 3), (number, words)
        assert "Traceback" not in words
        if code:
            assert words.splitlines()[-1].startswith("error: "), (number, words)
            assert file.split("/")[0] in words.splitlines()[-1]
        elif file == "stopped/checkpoint.npz":  # the training is finished now
            (place / "stopped" / "recipe.json").unlink()
    (place / file).write_bytes(whole)
