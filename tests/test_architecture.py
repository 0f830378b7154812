"""The rules of the code as a whole: what may import what, what a builder's file says, what a file may be called."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(path for top in ("kerascnn", "apps") for path in (ROOT / top).rglob("*.py"))
BUILDERS = [
    path
    for path in FILES
    if path.parent.name == "models" and path.stem not in ("__init__", "layers", "lenet_layers", "batch_renormalization")
]

# A module imports only from those before it.
ORDER = (
    *(
        "errors",
        "limits",
        "sizes",
        "files",
        "recipe",
        "decoding",
        "preparation",
        "volume_preparation",
        "datasets",
        "variables",
        "models",
        "folding",
        "filters",
        "weight_files",
        "weight_names",
        "pretrained",
        "receptive_field",
        "summary",
        "memory",
    ),
    *(
        "optimizers",
        "losses",
        "metrics",
        "postprocessing",
        "segmentation",
        "mask_metrics",
        "pictures",
        "overlays",
        "batch_statistics",
        "network_picture",
        "run",
        "training",
        "evaluation",
        "patient_evaluation",
    ),
    *(
        "touching_digits",
        "sheets",
        "saved_model",
        "parity",
        "export",
        "export_masks",
        "scans",
        "patient_report",
        "mask_card",
        "cli",
        "filter_sheet",
        "network_tables",
        "serving",
        "verbs",
        "mask_training",
        "mask_ensemble",
        "mask_verbs",
        "crossvalidation",
        "outlines",
    ),
)


def relative(path):
    return str(path.relative_to(ROOT))


def imports(path):
    """The modules that a file imports anywhere, as dotted names; `from a import b` counts as a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively; write the whole name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rank(dotted):
    """Where `kerascnn.<module>` stands in ORDER; what is no module (kerascnn.__version__) stands first."""
    part = dotted.split(".")[1]
    assert part.startswith("__") or part in ORDER, f"kerascnn.{part} has no place in ORDER yet"
    return ORDER.index(part) if part in ORDER else -1


@pytest.mark.parametrize("path", [path for path in FILES if path.is_relative_to(ROOT / "kerascnn")], ids=relative)
def test_a_module_imports_only_from_those_before_it(path):
    own = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for name in imports(path):
        assert name.split(".")[0] not in ("apps", "tests", "benchmarks"), f"{own} imports {name}"
        if name.startswith("kerascnn."):
            assert rank(name) <= rank(own), f"{own} imports {name}, which comes after it in {ORDER}"


def test_models_import_only_keras():
    # variables asks which backend it is before it imports TensorFlow
    allowed = re.compile(r"keras\b|kerascnn\.(errors|models|variables)\b")
    for path in (ROOT / "kerascnn" / "models").glob("*.py"):
        others = [name for name in imports(path) if not allowed.match(name)]
        assert {name.split(".")[0] for name in others} <= sys.stdlib_module_names, f"{path.name} imports {others}"


def test_names_and_flags_are_known_without_tensorflow():
    apps = [f"apps.{path.stem}" for path in (ROOT / "apps").glob("*.py") if not path.stem.startswith("__")]
    modules = ", ".join(["kerascnn", "kerascnn.errors", "kerascnn.models", "kerascnn.datasets", "apps", *apps])
    heavy = f"import sys, {modules}; print(sorted({{'tensorflow', 'keras', 'torch', 'jax'}} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", heavy], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout == "[]\n"


@pytest.mark.parametrize("path", BUILDERS, ids=lambda path: path.stem)
def test_a_builder_file_tells_its_story_in_order(path):
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert re.match(r"[^\n]+\.\n\n", text), "the first line is the title"
    parts = [re.search(rf"(?:^|  ){part} +\S", text, re.MULTILINE) for part in ("Paper", "Idea", "Input", "Output")]
    parts.append(re.search(r"^Differs from the paper$", text, re.MULTILINE))
    assert None not in parts
    assert [part.start() for part in parts] == sorted(part.start() for part in parts)


def test_no_file_is_named_for_nothing_in_particular():
    empty_names = {"utils", "helpers", "common", "misc", "base", "core", "manager", "factory"}
    assert not [path for path in FILES if empty_names & set(path.relative_to(ROOT).with_suffix("").parts)]
