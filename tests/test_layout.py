"""Where things may lie and what they may be called; what may import what stands in pyproject.toml."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [path.relative_to(ROOT) for top in ("kerascnn", "apps") for path in (ROOT / top).rglob("*.py")]


def test_no_file_is_named_for_nothing_in_particular():
    empty_names = {"utils", "helpers", "common", "misc", "base", "core", "manager", "factory"}
    assert not [path for path in FILES if empty_names & set(path.with_suffix("").parts)]


def test_few_modules_lie_directly_under_the_package():
    assert len(list((ROOT / "kerascnn").glob("*.py"))) <= 9


@pytest.mark.long
def test_every_public_name_is_found_and_nothing_heavy_is_loaded_before():
    code = "import sys, kerascnn as kc; print({'keras', 'tensorflow', 'numpy'} & set(sys.modules)); "
    code += "print([name for name in kc.LAZY if not hasattr(kc, name)], kc.models.mlp().count_params())"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n[] 238510\n"
