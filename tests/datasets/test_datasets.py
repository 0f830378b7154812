import dataclasses

import numpy as np
import pytest
from sklearn.datasets import load_digits

from kerascnn import datasets
from kerascnn.datasets.examples import Examples, cut
from kerascnn.digits import data as digits_data
from kerascnn.errors import UsageError


def test_unknown_data_set_lists_the_names():
    with pytest.raises(UsageError, match="name is 'minst', which is no data set; choose one of mnist, fashion_mnist"):
        datasets.load("minst")


def test_a_cut_takes_each_example_once_and_is_always_the_same():
    examples = Examples(np.zeros((50, 1, 1, 1), np.uint8), np.arange(50))
    rest, taken = cut(examples, 10)
    assert sorted([*rest.labels, *taken.labels]) == list(range(50))
    assert len(taken) == 10
    np.testing.assert_array_equal(cut(examples, 10)[1].labels, taken.labels)


def test_scikit_learn_digits_are_all_there_in_three_splits():
    data = digits_data.load("sklearn_digits")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [1257, 180, 360]
    labels = np.concatenate([part.labels for part in (data.train, data.validation, data.test)])
    np.testing.assert_array_equal(np.bincount(labels), np.bincount(load_digits().target))
    assert data.train.images.shape[1:] == (28, 28, 1)
    assert data.train.images.dtype == np.uint8


def test_scikit_learn_digits_are_normalized_as_mnist_is():
    images = digits_data.load("sklearn_digits").test.images[..., 0].astype(float)
    weights = images.sum((1, 2))
    rows = (images.sum(2) * np.arange(28)).sum(1) / weights
    columns = (images.sum(1) * np.arange(28)).sum(1) / weights
    # the mean over MNIST's own test digits is 14.0 on both axes, counted from 0
    assert np.abs(rows - 14).max() <= 0.55
    assert np.abs(columns - 14).max() <= 0.55


def test_synthetic_numerals_are_deterministic_and_hold_every_class():
    data, again = datasets.load("synthetic"), datasets.load("synthetic")
    assert data.checksum() == again.checksum()
    assert set(data.train.labels) == set(range(10))
    assert data.train.images.reshape(640, -1).max(1).min() > 200


def test_checksum_changes_with_one_pixel():
    data = datasets.load("synthetic")
    before = data.checksum()
    data.test.images[5, 3, 3, 0] ^= 1
    assert data.checksum() != before


def test_checksum_changes_with_a_weight():
    data = datasets.load("synthetic")
    weights = np.ones(len(data.train), np.float32)
    sums = {data.checksum()}
    for weights[0] in (1, 2):
        sums.add(dataclasses.replace(data, train=dataclasses.replace(data.train, weights=weights)).checksum())
    assert len(sums) == 3
