"""What all tests share: TensorFlow kept quiet, and the way to real data."""

import contextlib
import io
import os
import socket
import subprocess
import sys
import urllib.request

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

import kerascnn  # noqa: F401 - before TensorFlow: it decides on oneDNN


@pytest.fixture(scope="session")
def mnist():
    """The MNIST Dataset, or a skip when TFDS_DATA_DIR holds none."""
    from kerascnn.datasets import load, tfds_builders

    root = tfds_builders.folder()
    # else it would be downloaded
    if not ((root / "mnist").is_dir() or (root / "downloads" / "manual" / "train-images-idx3-ubyte.gz").is_file()):
        pytest.skip("needs MNIST under TFDS_DATA_DIR")
    return load("mnist")


@pytest.fixture
def no_network(monkeypatch):
    """Every address through a proxy that does not answer: the port was just released."""
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{port.getsockname()[1]}"
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, address)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    # urllib keeps the proxies of its first call
    monkeypatch.setattr(urllib.request, "_opener", None)


@pytest.fixture
def disk_of(tmp_path):
    """disk_of(size) -> a folder on a disk of its own, which is so large; a skip where none can be made."""
    place = tmp_path / "disk"

    def mounted(size):
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
        if not sys.platform.startswith("linux") or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("needs the right to mount a disk")
        return place

    yield mounted
    if place.is_mount():
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture(autouse=True)
def _float32():
    """What a test has set for all of Keras does not reach the next one."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].config.set_dtype_policy("float32")


@pytest.fixture(scope="module")
def printed(request):
    """printed(*arguments) -> stdout of the test module's `app`, in this process, where it ends well."""
    from kerascnn.cli import app as cli

    def run(*arguments):
        with contextlib.redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit, match="^0$"):
            cli.run(request.module.app, [str(argument) for argument in arguments])
        return out.getvalue()

    return run


@pytest.fixture
def command(request, capfd):
    """command(*arguments) -> (exit code, stdout, stderr) of the test module's `app`, in this process."""
    from kerascnn.cli import app as cli

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.run(request.module.app, [str(argument) for argument in arguments])
        return ended.value.code, *capfd.readouterr()

    return run
