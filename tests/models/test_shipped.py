"""The shipped networks, as a user of Keras alone loads them."""

import subprocess
import sys
from pathlib import Path

import pytest

SHIPPED = Path(__file__).parents[2] / "saved_models"

LOAD = """
import sys, keras
for file in sys.argv[1:]:
    model = keras.saving.load_model(file)
    print(model.name, model.compiled, model.input.name, model.layers[-1].name, model.layers[-1].compute_dtype)
print([name for name in sys.modules if name.startswith("kerascnn")])
"""


@pytest.mark.slow
def test_keras_loads_them_without_kerascnn(tmp_path):
    files = [str(SHIPPED / name / "model.keras") for name in ("digits", "tumors")]
    command = [sys.executable, "-c", LOAD, *files]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == [
        "lenet5 False image logits float32",
        "unet_buda False image logits float32",
        "[]",
    ]
