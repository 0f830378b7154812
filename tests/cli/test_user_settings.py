"""Apps do not depend on the user's keras.json, and leave it alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEFAULT = {"backend": "tensorflow", "image_data_format": "channels_last", "floatx": "float32", "epsilon": 1e-7}
PROGRAM = """
import sys
from apps.digits import app
from kerascnn.cli.app import run

train, evaluate = (command.split() for command in sys.argv[1:])
try:
    run(app, train)
except SystemExit as ended:
    assert ended.code == 0
run(app, evaluate)
"""


def metrics(folder, settings):
    """What training and evaluating for seconds prints with this keras.json, in a process of its own."""
    (folder / "keras.json").write_text(json.dumps(settings))
    before = (folder / "keras.json").read_bytes()
    commands = [
        f"train --smoke --deterministic --model five_layer_cnn --out {folder}/run",
        f"evaluate --out {folder}/run",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *commands],
        cwd=ROOT,
        env={**environment, "KERAS_HOME": str(folder)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert (folder / "keras.json").read_bytes() == before
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return metrics(tmp_path_factory.mktemp("usual"), DEFAULT)


@pytest.mark.parametrize(
    "settings",
    [
        {"backend": "torch", "image_data_format": "channels_first"},
        {"backend": "jax", "floatx": "float16"},
        {"backend": "theano", "image_data_format": "channels_first", "floatx": "float16"},
    ],
    ids=lambda settings: settings["backend"],
)
def test_training_and_evaluation_give_the_same_under_any_settings(settings, usual, tmp_path):
    assert metrics(tmp_path, DEFAULT | settings) == usual
