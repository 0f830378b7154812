"""The wheel, installed beside nothing but its dependencies and run away from the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_bytes
from pathlib import Path

import numpy as np
import pytest

from kerascnn.images import save_image

ROOT = Path(__file__).parents[1]
SOURCES = ("kerascnn", "apps", "setup.py", "pyproject.toml", "requirements.txt", "README.md", "LICENSE")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def ran(*command, cwd):
    """(exit code, stdout, stderr) of a command."""
    command = [str(word) for word in command]
    done = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def pip(*arguments, cwd):
    code, _, words = ran(sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, cwd=cwd)
    assert code == 0, words


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The path of the wheel, built offline from a copy of what it is made of."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    pip("wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", source / "dist", ".", cwd=source)
    (path,) = (source / "dist").iterdir()
    return path


@pytest.fixture(scope="module")
def bin_folder(wheel, tmp_path_factory):
    """Where the programs lie of a new environment with the wheel, which finds its dependencies in this one."""
    folder = tmp_path_factory.mktemp("environment")
    assert ran(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)[0] == 0
    python = folder / "bin" / "python"
    _, packages, _ = ran(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    Path(packages.strip(), "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    pip("--python", python, "install", "--no-index", "--no-deps", "--force-reinstall", wheel, cwd=folder)
    return folder / "bin"


def test_the_wheel_carries_every_module_and_nothing_else(wheel):
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "kerascnn").rglob("*.py")}
    modules |= {f"kerascnn/{path.relative_to(ROOT)}" for path in (ROOT / "apps").rglob("*.py")}
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == modules


def test_the_wheel_depends_on_what_runs_it_and_offers_what_develops_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("METADATA")]
        needed = message_from_bytes(archive.read(name)).get_all("Requires-Dist")
    names = {"tensorflow", "keras", "tensorflow-datasets", "opencv-python-headless", "cyclopts"}
    tools = {"pytest", "ruff", "import-linter"}
    always = {word.split("<")[0] for word in needed if "extra ==" not in word}
    assert names < always
    assert not always & tools
    assert tools < {word.split("<")[0] for word in needed if word.endswith('extra == "dev"')}


def test_the_installed_command_is_called_by_its_name_and_lists_the_apps(bin_folder, tmp_path):
    code, words, errors = ran(bin_folder / "kerascnn", "--help", cwd=tmp_path)
    assert (code, errors) == (0, "")
    assert words.startswith("Usage: kerascnn COMMAND\n")
    for app in ("digits", "filters", "images", "networks", "tumors"):
        assert f"│ {app} " in words
    version = ran(bin_folder / "python", "-c", "import kerascnn; print(kerascnn.__version__)", cwd=tmp_path)
    assert ran(bin_folder / "kerascnn", "--version", cwd=tmp_path) == version
    assert version[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["digits train", "filters", "networks show", "tumors predict"])
def test_the_help_of_the_installed_command_is_that_of_the_app_under_its_own_name(arguments, bin_folder, tmp_path):
    arguments = arguments.split()
    code, words, errors = ran(bin_folder / "kerascnn", *arguments, "--help", cwd=tmp_path)
    usage, *others = words.splitlines()
    assert (code, errors) == (0, "")
    _, words, _ = ran(sys.executable, "-m", "apps", *arguments, "--help", cwd=ROOT)
    assert usage == words.splitlines()[0].replace("python -m apps", "kerascnn")
    assert others == words.splitlines()[1:]


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", ["networks list --json", "networks show lenet5", "digits predict", "digits tarin"]
)
def test_the_installed_command_answers_as_the_app_does(arguments, bin_folder, tmp_path):
    app, *others = arguments.split()
    expected = ran(sys.executable, "-m", f"apps.{app}", *others, cwd=ROOT)
    code, out, words = ran(bin_folder / "kerascnn", app, *others, cwd=tmp_path)
    assert (code, out, words.replace(f'"{app} ', '"')) == expected


@pytest.mark.slow
def test_models_are_trained_and_asked_where_nothing_but_the_wheel_is(bin_folder, tmp_path):
    save_image(tmp_path / "digit.png", np.full((28, 28, 1), 255, np.uint8))
    kerascnn = bin_folder / "kerascnn"
    code, _, words = ran(kerascnn, "digits", "predict", "digit.png", cwd=tmp_path)
    assert code == 3
    assert words.endswith("take saved_models/digits of kerascnn's repository and name it with --out\n")
    shipped = ("predict", tmp_path / "digit.png", "--out", ROOT / "saved_models" / "digits")
    expected = ran(sys.executable, "-m", "apps.digits", *shipped, cwd=ROOT)
    assert ran(kerascnn, "digits", *shipped, cwd=tmp_path) == expected
    assert expected[0] == 0
    for command in (("train", "--smoke"), ("export",)):
        code, _, words = ran(kerascnn, "digits", *command, "--out", "run", cwd=tmp_path)
        assert code == 0, words
    code, answer, words = ran(kerascnn, "digits", "predict", "digit.png", "--out", "run", cwd=tmp_path)
    assert (code, answer.split("\t")[0]) == (0, "digit.png"), words


@pytest.mark.slow
def test_the_library_is_imported_from_the_wheel_alone(bin_folder, tmp_path):
    program = "import importlib.util as u, kerascnn as kc; print(u.find_spec('apps'), kc.models.mlp().count_params())"
    code, out, words = ran(bin_folder / "python", "-c", program, cwd=tmp_path)
    assert (code, out) == (0, "None 238510\n"), words
