"""The images most like an image: exact nearest neighbours of vectors, whether of pixels or of an embedding."""

import math

import cv2
import numpy as np

from kerascnn.classification.features import extract_features
from kerascnn.classification.inference import check_counted
from kerascnn.classification.plots import images_of
from kerascnn.errors import UsageError
from kerascnn.plotting import drawable, figure, plain_text, save_figure

PIXELS = 32  # along a side
BLOCK = 2**24  # distances that are held at once
MOST_DRAWN = 10  # neighbours of an image


def as_rows(vectors):
    """Vectors (N, ...) as float32 (N, F); N may be 0."""
    vectors = np.asarray(vectors, np.float32)
    return vectors.reshape(len(vectors), math.prod(vectors.shape[1:]))


class Neighbors:
    """Vectors among which the nearest ones are found, by Euclidean distance and exactly.

        indices, distances = Neighbors(gallery).nearest(queries, 5)

    vectors: float (N, F), or (N, …), which is flattened; copied as float32. Raises UsageError where there is none,
    or a number is not finite.
    """

    def __init__(self, vectors):
        self.vectors = np.array(as_rows(vectors), order="C")  # a copy, which stays as it is
        if not len(self.vectors):
            raise UsageError("vectors has no row; give at least one", argument="vectors")
        if not np.isfinite(self.vectors).all():
            raise UsageError("vectors has numbers that are not finite; leave these rows out", argument="vectors")
        self.norms = np.einsum("ij,ij->i", self.vectors, self.vectors)

    def nearest(self, queries, count):
        """(indices int (Q, count), distances float32 (Q, count)) of the nearest vectors of each query, nearest first.

        queries: float (Q, F). All distances come from one matrix product, |v|² - 2 qv. Rounding there may swap vectors
        of almost one distance, so those that it may have swapped are measured once more, directly. Raises UsageError
        where there are not so many vectors, or queries are of another size.
        """
        queries = as_rows(queries)
        if queries.shape[1] != self.vectors.shape[1]:
            words = f"queries has {queries.shape[1]} features, and the vectors have {self.vectors.shape[1]}"
            raise UsageError(f"{words}; give features of the same layer", argument="queries")
        if not 1 <= count <= len(self.vectors):
            raise UsageError(f"count is {count}; give a whole number from 1 to {len(self.vectors)}", argument="count")
        rows = max(1, BLOCK // len(self.vectors))
        parts = [self.nearest_of_block(queries[i : i + rows], count) for i in range(0, len(queries), rows)]
        parts.append((np.empty((0, count), int), np.empty((0, count), np.float32)))
        indices, distances = (np.concatenate(part) for part in zip(*parts, strict=True))
        return indices, distances

    def nearest_of_block(self, queries, count):
        far = queries @ self.vectors.T
        far *= -2
        far += self.norms
        # what rounding may make of the sum of so many products, each at most as large as these
        largest = self.norms.max() + 2 * np.sqrt(self.norms.max() * np.einsum("ij,ij->i", queries, queries))
        slack = 2 * queries.shape[1] * np.finfo(np.float32).eps * largest
        parts = [self.measured(query, row, count, more) for query, row, more in zip(queries, far, slack, strict=True)]
        return tuple(map(np.stack, zip(*parts, strict=True)))

    def measured(self, query, far, count, slack):
        """What nearest gives of one query. far: |v|² - 2 qv of every vector, which rounding changes by slack / 2."""
        near = np.flatnonzero(far <= np.partition(far, count - 1)[count - 1] + slack)
        distances = np.linalg.norm(self.vectors[near] - query, axis=1)
        order = np.argsort(distances, kind="stable")[:count]  # of equal distances the first vector
        return near[order], distances[order]


def compare_spaces(model, queries, gallery, layer="embedding", count=5):
    """(report, queries, gallery, {space: indices int (Q, count)}): the nearest images by pixels and by features.

    model: as extract_features takes it; queries, gallery: Examples or ImageFiles, returned without those of weight 0,
    which the indices count without. The report, JSON types, has recall@1 and recall@count of both spaces, pixels and
    the layer, and for every query its name or number, its label, and the names or numbers of its neighbours.
    """
    features, examples = [], []
    for part in (queries, gallery):
        found, _, counted = extract_features(model, part, [layer])
        check_counted(counted, part)
        features.append(found[layer][counted])
        examples.append(part.take(counted))
    queries, gallery = examples
    spaces = {"pixels": [pixel_vectors(part) for part in examples], layer: features}
    found = {space: Neighbors(known).nearest(asked, count)[0] for space, (asked, known) in spaces.items()}
    recalls = {
        f"recall@{k}": {space: recall_at(gallery.labels[near], queries.labels, k) for space, near in found.items()}
        for k in sorted({1, count})
    }
    called = [getattr(part, "names", np.arange(len(part))) for part in examples]
    rows = [
        {
            "query": called[0][i].item(),
            "label": int(queries.labels[i]),
            **{space: called[1][near[i]].tolist() for space, near in found.items()},
        }
        for i in range(len(queries))
    ]
    report = {"queries": len(queries), "gallery": len(gallery), **recalls, "neighbors": rows}
    return report, queries, gallery, found


def recall_at(neighbor_labels, labels, k):
    """Recall@k: the share of queries among whose k nearest neighbours at least one is of their class.

    neighbor_labels: int (Q, K), nearest first, K at least k; labels: int (Q,). As in Oh Song et al., 2015,
    arXiv:1511.06452, section 6; a query must not be its own neighbour.
    """
    return float(np.mean((neighbor_labels[:, :k] == np.asarray(labels)[:, None]).any(1)))


def pixel_vectors(examples):
    """float32 (N, h * w * C) in [0, 1]: images averaged to at most 32 x 32 pixels.

    Torralba, Fergus & Freeman, "80 million tiny images", 2008, compare scenes at this size; it bounds memory, too.
    """
    height, width = (min(PIXELS, side) for side in examples.image_shape[:2])
    small = [cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).ravel() for image in images_of(examples)]
    return np.array(small, np.float32)


def plot_neighbors(queries, found, gallery, class_names, path):
    """Draw queries and their neighbours in several spaces side by side, a row a query, to an image file.

    queries: Q Examples or ImageFiles; found: {what a space is called: indices int (Q, k) into gallery}, of which the
    first ten are drawn. Neighbours of the query's class have a green frame, others a red one.
    """
    found = {space: indices[:, :MOST_DRAWN] for space, indices in found.items()}
    k = next(iter(found.values())).shape[1]
    shown = np.unique(np.concatenate([indices.ravel() for indices in found.values()]))
    images = dict(zip(shown.tolist(), images_of(gallery.take(shown)), strict=True))
    height, width = 0.93 * np.array(queries.image_shape[:2]) / max(queries.image_shape[:2])
    columns = 1 + len(found) * (k + 0.4)
    pitch = height + 0.35
    plot = figure(1.1 * columns, 0.5 + 1.1 * pitch * len(queries))
    axes = plot.subplots()
    axes.axis("off")

    def draw(image, label, left, row, colour):
        top = row * pitch
        axes.imshow(drawable(image), cmap="gray", vmin=0, vmax=1, extent=(left, left + width, top + height, top))
        axes.text(left + width / 2, top - 0.05, plain_text(class_names[label]), ha="center", fontsize=8)
        right, bottom = left + width, top + height
        axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=colour, linewidth=2.5)

    for row, (image, label) in enumerate(zip(images_of(queries), queries.labels, strict=True)):
        draw(image, label, 0, row, "black")
        for space, indices in enumerate(found.values()):
            for place, index in enumerate(indices[row].tolist()):
                near = gallery.labels[index]
                left = 1.4 + space * (k + 0.4) + place
                draw(images[index], near, left, row, "tab:green" if near == label else "tab:red")
    for left, words in ((0, "query"), *((1.4 + i * (k + 0.4), f"nearest in {name}") for i, name in enumerate(found))):
        axes.text(left, -0.4, plain_text(words), fontsize=11)
    axes.set(xlim=(-0.05, columns + 0.05), ylim=(pitch * len(queries), -0.6), aspect="equal")
    save_figure(plot, path)
