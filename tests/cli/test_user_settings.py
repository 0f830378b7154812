"""Apps do not depend on the user's keras.json, and leave it alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from apps.digits import app  # noqa: F401, run by the fixture `printed`

ROOT = Path(__file__).parents[2]
DEFAULT = {"backend": "tensorflow", "image_data_format": "channels_last", "floatx": "float32", "epsilon": 1e-7}
PROGRAM = """
import sys
from apps.digits import app
from kerascnn.cli.app import run

for command in sys.argv[1:]:
    try:
        run(app, command.split())
    except SystemExit as ended:
        assert ended.code == 0
"""
TRAIN, EVALUATE = "train --smoke --deterministic --model five_layer_cnn --out {0}", "evaluate --out {0}"


def metrics(home, settings, *commands):
    """What the commands print with this keras.json, in a process of their own."""
    (home / "keras.json").write_text(json.dumps(DEFAULT | settings))
    before = (home / "keras.json").read_bytes()
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *commands],
        cwd=ROOT,
        env={**environment, "KERAS_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert (home / "keras.json").read_bytes() == before
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def usual(tmp_path_factory, printed):
    """(run folder, metrics) of a network that is trained in this process, with the settings that tests run under."""
    folder = tmp_path_factory.mktemp("usual") / "run"
    assert printed(*TRAIN.format(folder).split()) == ""
    return folder, json.loads(printed(*EVALUATE.format(folder).split()))


@pytest.mark.slow
def test_training_is_the_same_under_any_settings(usual, tmp_path):
    settings = {"backend": "theano", "image_data_format": "channels_first", "floatx": "float16"}
    commands = (command.format(tmp_path / "run") for command in (TRAIN, EVALUATE))
    assert metrics(tmp_path, settings, *commands) == usual[1]


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"backend": "torch", "image_data_format": "channels_first"}, marks=pytest.mark.slow),
        pytest.param({"backend": "jax", "floatx": "float16"}, marks=pytest.mark.slow),
    ],
)
def test_evaluation_is_the_same_under_any_settings(settings, usual, tmp_path):
    assert metrics(tmp_path, settings, EVALUATE.format(usual[0])) == usual[1]
