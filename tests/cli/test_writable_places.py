"""Every command that writes tries its place before it loads TensorFlow, data and networks."""

from importlib import import_module

import cv2
import numpy as np
import pytest

from kerascnn.cli import app as cli

COMMANDS = [
    ("digits", "train", "--out"),
    ("digits", "evaluate", "--out"),
    ("digits", "export", "--out"),
    ("digits", "read", "image.png", "--results"),
    ("digits", "demo", "--out"),
    ("images", "train", "--out"),
    ("images", "train", "--show-augmentations", "--out"),
    ("images", "finetune", "--weights", "weights.npz", "--model", "resnet20", "--out"),
    ("images", "check", "photos", "--out"),
    ("images", "evaluate", "--out"),
    ("images", "export", "--out"),
    ("images", "features", "--out"),
    ("images", "neighbors", "--out"),
    ("tumors", "train", "--data", "phantoms", "--out"),
    ("tumors", "evaluate", "--out"),
    ("tumors", "crossvalidate", "--data", "phantoms", "--out"),
    ("tumors", "export", "--out"),
    ("tumors", "predict", "image.png", "--results"),
    ("filters", "image.png", "--out"),
    ("networks", "show", "lenet5", "--diagram"),
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_place_that_cannot_be_written_to_is_told_first(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("image.png", np.zeros((30, 30, 3), np.uint8))
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "file").touch()
    app = import_module(f"apps.{arguments[0]}")
    modules = [import_module(f"kerascnn.cli.{name}") for name in ("prediction", "tumors", "transfer")]
    for module in (app, *modules):
        # whatever a command does once it has looked at its place begins with this
        monkeypatch.setattr(module, "load_tensorflow", lambda: pytest.fail("work was begun"), raising=False)
    place = tmp_path / "file" / "below" / ("it.png" if arguments[0] in ("filters", "networks") else "run")
    with pytest.raises(SystemExit, match="^3$"):
        cli.run(app.app, [*arguments[1:], str(place)])
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"error: cannot write to {tmp_path}/file/below")
    assert said.endswith(" (Not a directory); choose another folder")
