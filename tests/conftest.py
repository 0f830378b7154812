"""What all tests share: TensorFlow kept quiet, and the way to real data."""

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
