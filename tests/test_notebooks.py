"""The notebooks of docs/ run from the first cell to the last, and hold what a reader is to see of a run."""

import json
import re
from pathlib import Path

import nbformat
import pytest

from docs.notebooks.run import executed

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
README = (FOLDER.parents[1] / "README.md").read_text(encoding="utf-8")

# the least that each can do, on data that need no file
SETTINGS = {
    "digits": 'DATA = "synthetic"\nEPOCHS = 1',
    "own_arrays": "import kerascnn as kc\n\nNETWORK = kc.models.resnet20\nEPOCHS = 2\nINTERRUPTED_AT = 1",
    "transfer": """
import tempfile, cv2, numpy as np, kerascnn as kc
from pathlib import Path
PHOTOS, BACKBONE, EPOCHS = tempfile.mkdtemp(), "saved_models/cifar10_fast", 1
for name, grey in {"dark": 60, "light": 180}.items():
    Path(PHOTOS, name).mkdir()
    for number in range(60):
        photo = np.random.default_rng(number).normal(grey, 30, (40, 60, 3)).clip(0, 255)
        cv2.imwrite(f"{PHOTOS}/{name}/{number:02}.jpg", photo)
""",
    "tumors": 'import kerascnn as kc\n\nDATA = "phantoms"\nNETWORK = kc.models.unet_buda\nIMAGE_SIZE = 32\nEPOCHS = 1',
}
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(autouse=True)
def _files_of_kernels(tmp_path, monkeypatch):
    """What a kernel writes goes where pytest removes it, and it finds no data."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def pictures(notebook):
    return [output for output in outputs(notebook) if {"image/png", "image/jpeg"} & set(output.get("data", ()))]


def text(notebook):
    return "".join(output.get("text", "") for output in outputs(notebook))


@pytest.mark.slow
@every_notebook
def test_a_notebook_runs_with_nothing_at_hand(path):
    notebook = executed(path, SETTINGS[path.stem])
    assert len(pictures(notebook)) == len(pictures(nbformat.read(path, as_version=4)))


def test_a_training_that_was_interrupted_goes_on_in_its_notebook():
    small = SETTINGS["own_arrays"].replace("resnet20", "mlp")
    said = text(executed(FOLDER / "own_arrays.ipynb", small))
    assert re.findall(r"^(Epoch ./2|interrupted)$", said, re.MULTILINE) == ["Epoch 1/2", "interrupted", "Epoch 2/2"]
    assert "2 recalls, of all epochs" in said


@every_notebook
def test_a_notebook_is_kept_with_the_output_of_one_whole_run(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert len(pictures(notebook)) >= 2
    assert text(notebook)


@every_notebook
def test_the_output_of_a_notebook_holds_no_error_no_warning_and_no_place_of_a_machine(path):
    notebook = nbformat.read(path, as_version=4)
    assert {output.output_type for output in outputs(notebook)} <= {"stream", "display_data", "execute_result"}
    assert {output.name for output in outputs(notebook) if output.output_type == "stream"} == {"stdout"}
    words = json.dumps([output for output in outputs(notebook) if output not in pictures(notebook)])
    assert not re.search(r"/(tmp|home|root|work|usr|var|Users)/", words)


@every_notebook
def test_a_notebook_is_short_and_says_what_each_cell_is_about(path):
    notebook = nbformat.read(path, as_version=4)
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds == ["markdown", "code"] * (len(kinds) // 2)
    assert len(kinds) <= 2 * 12
    assert path.stat().st_size < 150 * 1024


def test_the_first_page_leads_to_every_notebook():
    assert {path.name for path in NOTEBOOKS} == set(re.findall(r"\(docs/notebooks/(\w+\.ipynb)\)", README))
    assert set(SETTINGS) == {path.stem for path in NOTEBOOKS}
