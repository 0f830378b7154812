"""Verification with a stub in place of the other program, which itself is run by the tests of exports."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kerascnn.saved_model import verification
from kerascnn.saved_model.verification import CONSUMER, verify_answers

ROOT = Path(__file__).parents[2]


@pytest.fixture
def verify(tmp_path, monkeypatch):
    """verify(the stub's line that sets `answer`) -> differences; Keras answers 0.1 ten times."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(verification, "CONSUMER", "stub_consumer")

    def run(line):
        stub = f"""
import numpy as np
for way in ("saved_model", "session"):
    answer = 0.1
    {line}
    np.savez(way, probabilities=np.full((1, 10), answer))
"""
        (tmp_path / "stub_consumer.py").write_text(stub)
        inputs, expected = {"probabilities": np.zeros((1, 4))}, {"probabilities": np.full((1, 10), 0.1)}
        return verify_answers(tmp_path / "1", tmp_path, inputs, {"probabilities": "probabilities"}, expected)

    return run


def test_the_largest_difference_of_each_way_is_given(verify):
    differences = verify("answer = [0.1] * 9 + [0.1 + 5e-6] if way == 'session' else 0.1")
    assert differences == {"saved_model": 0, "session": pytest.approx(5e-6)}


@pytest.mark.parametrize("answer", ["0.10002", "float('nan')"])
def test_a_way_that_differs_raises(verify, answer):
    with pytest.raises(RuntimeError, match=r"^session differs from Keras by (nan|.*e-05) in a probability"):
        verify(f"answer = {answer} if way == 'session' else 0.1")


def test_a_program_that_fails_is_quoted(verify):
    with pytest.raises(
        RuntimeError, match="a program without Keras cannot answer the exported model:\nvariable not found"
    ):
        verify("raise SystemExit('variable not found')")


@pytest.mark.long
def test_the_consumer_imports_neither_keras_nor_our_model_code():
    code = f"import sys, {CONSUMER}; print(*(name for name, module in sys.modules.items() if module))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    packages = {name for name in ran.stdout.split() if name.startswith(("kerascnn", "keras."))}
    assert packages == {"kerascnn", "kerascnn.saved_model", CONSUMER}
