import numpy as np
import pytest

from kerascnn.datasets import from_arrays
from kerascnn.errors import UsageError

X = np.arange(200, dtype=np.uint8).reshape(200, 1, 1, 1).repeat(4, 1)
Y = np.repeat([0, 1], [150, 50])


def test_shares_are_cut_off_of_each_class_alike():
    data = from_arrays(X, Y, class_names=("cat", "dog"), validation=0.1, test=0.2)
    parts = data.test, data.validation, data.train
    assert [np.bincount(part.labels).tolist() for part in parts] == [[30, 10], [15, 5], [105, 35]]
    together = np.concatenate([part.images[:, 0, 0, 0] for part in parts])
    assert sorted(together) == list(range(200))
    assert data.class_names == ("cat", "dog")
    assert data.metadata()["examples"] == {"train": 140, "validation": 20, "test": 40}


def test_a_seed_decides_what_is_cut_off():
    first, again, other = (from_arrays(X, Y, seed=seed).checksum() for seed in (0, 0, 1))
    assert first == again != other


def test_other_arrays_are_taken_as_they_are_and_a_split_may_be_left_out():
    data = from_arrays(X, Y, validation=(X[:7], Y[:7]), test=0)
    assert (len(data.train), len(data.validation), data.test) == (200, 7, None)
    np.testing.assert_array_equal(data.validation.images, X[:7])
    assert data.metadata()["examples"] == {"train": 200, "validation": 7, "test": 0}


def test_grey_images_without_channels_floats_and_masks_are_taken():
    images = np.linspace(0, 1, 20 * 16).reshape(20, 4, 4)
    data = from_arrays(images, images > 0.5, validation=0.25, test=0)
    assert (data.train.images.shape, data.train.images.dtype) == ((15, 4, 4, 1), "float32")
    assert (data.train.labels.shape, data.train.labels.dtype) == ((15, 4, 4, 1), "uint8")
    assert data.class_names == ("0", "1")


@pytest.mark.parametrize(
    ("x", "y", "options", "words"),
    [
        (X[0], Y, {}, r"^x has the shape \(4, 1, 1\); |^y has 200 entries for 4 images; give one for each$"),
        (X[:, 0, 0, 0], Y, {}, r"^x has the shape \(200,\); give images \(N, H, W, C\) or \(N, H, W\)$"),
        (X * 1.0, Y, {}, "^x has values from 0 to 199; give floats from 0 to 1, or uint8$"),
        (X / np.nan, Y, {}, "^x has values from nan to nan; give floats from 0 to 1, or uint8$"),
        (X.astype(int), Y, {}, "^x is of int64; give uint8, or floats from 0 to 1$"),
        (X, Y[:9], {}, "^y has 9 entries for 200 images; give one for each$"),
        (X, Y - 1, {}, "^y holds int64 from -1; give whole numbers from 0, one a class$"),
        (X, Y / 2, {}, "^y holds float64 from 0.0; give whole numbers from 0, one a class$"),
        (X, np.eye(2)[Y], {}, r"^y has the shape \(200, 2\) and values from 0.0 to 1.0; give labels \(N,\), or masks"),
        (X, X, {}, r"^y has the shape \(200, 4, 1, 1\) and values from 0 to 199; give labels \(N,\), or masks"),
        (X, Y, {"class_names": ("cat",)}, "^class_names has 1 names and y reaches 1; name each label, from 0$"),
        (X, Y, {"validation": 1}, "^validation is 1; give a share from 0 to below 1, or other examples$"),
        (
            X[:2],
            Y[149:151],
            {"test": 0.1},
            "^test is 0.1, and no class has two of the 2 examples; give more",
        ),
        (X, Y.astype(str), {}, "^y holds <U21; give whole numbers from 0, one a class$"),
        ([X[0], X[0, :2]], Y[:2], {}, r"^x or y is no array \(.*\); give images of one shape, and a label for each$"),
        (X, Y, {"validation": X}, r"^validation is ndarray; give a share from 0 to 1, or a pair of arrays \(x, y\)$"),
        (X, Y, {"test": (X[:2], Y)}, r"^test\[1\] has 200 entries for 2 images; give one for each$"),
    ],
)
def test_arrays_that_do_not_fit_are_an_error(x, y, options, words):
    with pytest.raises(UsageError, match=words), np.errstate(all="ignore"):
        from_arrays(x, y, **options)


def test_two_classes_of_one_name_are_an_error():
    x = np.zeros((20, 8, 8, 3), np.uint8)
    with pytest.raises(UsageError, match="^class_names has 'crane' twice; name each class once$"):
        from_arrays(x, np.arange(20) % 3, class_names=["crane", "heron", "crane"])


def test_small_classes_are_in_every_split():
    data = from_arrays(X[:20], np.arange(20) % 4)
    assert [np.bincount(part.labels).tolist() for part in (data.test, data.validation, data.train)] == [
        [1] * 4,
        [1] * 4,
        [3] * 4,
    ]


def test_labels_may_be_a_column_and_classes_without_examples_are_told(caplog):
    data = from_arrays(X, Y[:, np.newaxis] + 1, class_names=["none", "cat", "dog"])
    assert np.bincount(data.train.labels).tolist() == [0, 120, 40]
    assert caplog.messages == ["no example of the classes none for train"]
    assert repr(data) == "Dataset('arrays', train 160, validation 20, test 20, images 4x1x1, 3 classes)"


def test_classes_are_those_of_all_splits_and_their_names_are_texts():
    x, y = np.zeros((20, 4, 4, 1), np.uint8), np.arange(20) % 2
    data = from_arrays(x, y, validation=(x, y + 1), test=0)
    assert data.class_names == ("0", "1", "2")
    assert from_arrays(x, 2 * y, class_names=range(3)).class_names == ("0", "1", "2")
