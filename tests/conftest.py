"""What all tests share: TensorFlow kept quiet and to few threads, and the way to real data."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest


@pytest.fixture(scope="session")
def mnist():
    """The MNIST Dataset, or a skip when TFDS_DATA_DIR holds none."""
    from kerascnn.datasets import mnist

    if not (mnist.folder() / "mnist").is_dir():
        pytest.skip("needs MNIST under TFDS_DATA_DIR")
    return mnist.load("mnist")
