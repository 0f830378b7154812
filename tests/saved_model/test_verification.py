"""Verification with stubs in place of the three programs; the programs themselves are run by the tests of exports."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from kerascnn.saved_model import verification
from kerascnn.saved_model.verification import verify_answers

ROOT = Path(__file__).parents[2]
INPUTS = {"probabilities": np.zeros((1, 4), np.float32)}
OUTPUTS = {"probabilities": "probabilities"}


@pytest.fixture
def verify(tmp_path, monkeypatch):
    """verify(program=the line of its stub that sets `answer`) -> differences; without a line it answers 0.1."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(verification, "CONSUMERS", {"saved_model": "stub_saved_model", "session": "stub_session"})
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(10)])

    def run(**lines):
        for name in ("keras", "saved_model", "session"):
            line = lines.get(name, "answer = 0.1")
            stub = (
                f"import sys\nimport numpy as np\n{line}\nnp.savez(sys.argv[1], probabilities=np.full((1, 10), answer))"
            )
            (tmp_path / f"stub_{name}.py").write_text(stub)
        return verify_answers("stub_keras", network, tmp_path / "1", tmp_path, INPUTS, OUTPUTS)

    return run


def test_the_largest_difference_of_each_consumer_is_given(verify):
    differences = verify(session="answer = [0.1] * 9 + [0.1 + 5e-6]")
    assert differences == {"saved_model": 0, "session": pytest.approx(5e-6)}


@pytest.mark.parametrize("answer", ["0.10002", "float('nan')"])
def test_a_consumer_that_differs_raises(verify, answer):
    with pytest.raises(RuntimeError, match=r"^session differs from Keras by (nan|.*e-05) in a probability"):
        verify(session=f"answer = {answer}")


def test_a_consumer_that_fails_is_quoted(verify):
    with pytest.raises(RuntimeError, match="saved_model cannot answer the exported model:\nvariable not found"):
        verify(saved_model="raise SystemExit('variable not found')")


def test_the_consumers_import_none_of_our_model_code():
    names = ", ".join(verification.CONSUMERS.values())
    code = f"import sys, {names}; print(*sorted(name for name in sys.modules if name.startswith('kerascnn')), sep=', ')"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert set(ran.stdout.strip().split(", ")) == {"kerascnn", "kerascnn.saved_model", *verification.CONSUMERS.values()}
