import cv2
import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from kerascnn import models
from kerascnn.classification.neighbors import Neighbors, compare_spaces, pixel_vectors, plot_neighbors, recall_at
from kerascnn.datasets.examples import Examples
from kerascnn.datasets.synthetic import drawn
from kerascnn.errors import UsageError


@pytest.mark.parametrize(("offset", "apart"), [(0, 0), (3000, 0), (0, 3000)])
def test_neighbors_are_those_of_scikit_learn(offset, apart, monkeypatch):
    """Of clusters far apart the matrix product alone cannot tell distances: |v|² has all the digits of float32."""
    monkeypatch.setattr("kerascnn.classification.neighbors.BLOCK", 9_000)  # several blocks of queries
    random = np.random.default_rng(0)
    vectors, queries = (offset + random.normal(size=(count, 16)).astype(np.float32) for count in (3000, 40))
    vectors[::2] += apart
    queries[::2] += apart
    brute = NearestNeighbors(n_neighbors=7, algorithm="brute").fit(vectors.astype(np.float64))
    distances, indices = brute.kneighbors(queries.astype(np.float64))
    found, measured = Neighbors(vectors).nearest(queries, 7)
    np.testing.assert_array_equal(found, indices)
    np.testing.assert_allclose(measured, distances, rtol=1e-5)


def test_of_equal_vectors_the_first_comes_first_and_all_can_be_asked_for():
    assert Neighbors(np.ones((100, 4))).nearest(np.zeros((2, 4)), 2)[0].tolist() == [[0, 1], [0, 1]]
    found, distances = Neighbors([[0, 1], [3, 4], [0, 1]]).nearest([[0, 1], [0, 0]], 3)
    assert found.tolist() == [[0, 2, 1], [0, 2, 1]]
    np.testing.assert_allclose(distances, [[0, 0, 18**0.5], [1, 1, 5]], rtol=1e-6)


@pytest.mark.parametrize(
    ("queries", "count", "words"),
    [
        ([[1.0, 2.0, 3.0]], 1, "queries has 3 features, and the vectors have 2; give features of the same layer"),
        ([[1.0, 2.0]], 4, "count is 4; give a whole number from 1 to 3"),
        ([[1.0, 2.0]], 0, "count is 0; give a whole number from 1 to 3"),
    ],
)
def test_what_cannot_be_found_is_an_error(queries, count, words):
    with pytest.raises(UsageError, match=f"^{words}$"):
        Neighbors(np.zeros((3, 2))).nearest(queries, count)


def test_no_query_has_no_neighbour_and_among_no_vectors_there_is_none():
    found, distances = Neighbors(np.zeros((3, 4, 4))).nearest(np.zeros((0, 4, 4)), 2)
    assert found.shape == distances.shape == (0, 2)
    with pytest.raises(UsageError, match="^vectors has no row; give at least one$"):
        Neighbors(np.zeros((0, 4)))
    with pytest.raises(UsageError, match="^vectors has numbers that are not finite; leave these rows out$"):
        Neighbors([[0, 1], [np.nan, 0]])


def test_vectors_may_be_changed_afterwards():
    vectors = np.array([[0, 1], [3, 4]], np.float32)
    neighbors = Neighbors(vectors)
    vectors[:] = 9
    assert neighbors.nearest([[3, 4]], 2)[1].tolist() == [[0, pytest.approx(18**0.5)]]


def test_recall_is_the_share_of_queries_with_one_of_their_class_among_k():
    near = np.array([[0, 1, 2], [0, 1, 2], [2, 2, 2], [3, 3, 0]])
    labels = np.array([0, 2, 1, 0])
    assert [recall_at(near, labels, k) for k in (1, 2, 3)] == [0.25, 0.25, 0.75]


def test_pixels_are_averages_of_large_images_and_small_ones_themselves():
    small = drawn(3, 0)
    np.testing.assert_allclose(pixel_vectors(small), small.images.reshape(3, -1) / 255, atol=1e-6)
    image = np.arange(64 * 64 * 3, dtype=np.float32).reshape(1, 64, 64, 3) / (64 * 64 * 3)
    averages = image.reshape(1, 32, 2, 32, 2, 3).mean((2, 4))
    np.testing.assert_allclose(pixel_vectors(Examples(image, np.zeros(1, int))), averages.reshape(1, -1), atol=1e-5)


def test_both_spaces_are_compared_and_drawn(tmp_path):
    """Each query lies in the gallery, too, and is its own nearest neighbour in every space."""
    model, gallery = models.five_layer_cnn((28, 28, 1), 10), drawn(40, 0)
    weights = np.ones(40, np.float32)
    weights[0] = 0  # as a file that does not decode
    queries = gallery.take(np.array([0, 5, 9]))
    gallery = Examples(gallery.images, gallery.labels, weights)
    report, queries, gallery, found = compare_spaces(model, queries, gallery, count=3)
    assert (report["queries"], report["gallery"]) == (3, 39)
    nearest = {space: np.mean(gallery.labels[near[:, 0]] == queries.labels) for space, near in found.items()}
    assert report["recall@1"] == nearest
    assert [row["pixels"][0] for row in report["neighbors"][1:]] == [4, 8]
    assert [row["embedding"][0] for row in report["neighbors"][1:]] == [4, 8]
    names = [str(digit) for digit in range(10)]
    plot_neighbors(queries, found, gallery, names, tmp_path / "neighbors.png")
    plotted = cv2.imread(str(tmp_path / "neighbors.png")).astype(int)
    height, width = plotted.shape[:2]
    # a green frame around each of the query's class, a red one around the others; in BGR
    green, red = ((np.abs(plotted - colour).max(-1) < 40).sum() for colour in ((44, 160, 44), (40, 39, 214)))
    right = np.mean([gallery.labels[indices] == queries.labels[:, None] for indices in found.values()])
    assert green / (green + red) == pytest.approx(right, abs=0.05)
    assert width > height  # seven images in a row, three rows
    many = {"pixels": np.tile(np.arange(30), (3, 1))}
    plot_neighbors(queries, many, gallery, names, tmp_path / "many.png")
    assert cv2.imread(str(tmp_path / "many.png")).shape[1] < 2 * width  # ten of thirty are drawn
