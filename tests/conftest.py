"""What all tests share: TensorFlow kept quiet, and the way to real data."""

import contextlib
import io
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest


@pytest.fixture(scope="session")
def mnist():
    """The MNIST Dataset, or a skip when TFDS_DATA_DIR holds none."""
    from kerascnn.datasets import mnist
    from kerascnn.errors import DataAbsent

    try:
        return mnist.load("mnist")
    except DataAbsent:
        pytest.skip("needs MNIST under TFDS_DATA_DIR")


@pytest.fixture(scope="module")
def printed(request):
    """printed(*arguments) -> stdout of the test module's `app`, in this process, where it ends well."""
    from kerascnn import cli

    def run(*arguments):
        with contextlib.redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit, match="^0$"):
            cli.run(request.module.app, [str(argument) for argument in arguments])
        return out.getvalue()

    return run


@pytest.fixture
def verb(request, capfd):
    """verb(*arguments) -> (exit code, stdout, stderr) of the test module's `app`, in this process."""
    from kerascnn import cli

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.run(request.module.app, [str(argument) for argument in arguments])
        return ended.value.code, *capfd.readouterr()

    return run
