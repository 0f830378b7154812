"""What is wrong with a collection of photos before anything is trained on it: broken, odd and repeated files."""

import dataclasses
import hashlib
import os
from collections import Counter

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kerascnn.classification.doubtful_labels import doubtful_labels
from kerascnn.datasets.batches import evaluation_batches, told
from kerascnn.datasets.image_files import ImageFiles, vanished_files_named
from kerascnn.datasets.resizing import ResizeAndCrop
from kerascnn.errors import UsageError
from kerascnn.files import reading_from
from kerascnn.image_headers import claimed_sides

SEEN = ResizeAndCrop((64, 64))  # what files are compared at
NEAREST_BITS = 6  # of 64 that two near duplicates may differ in
DISTANCES = 2**24  # that are held at once
LEAST_SIDE, MOST_RATIO, LEAST_CONTRAST = 32, 4, 0.02


def check_images(data, backbone=None, **resize):
    """What is found in the files of all splits of a Dataset of photos, as a dict of JSON types.

    summary: number of files and of classes, files of the smallest class, and shares from 0 to 1 of files, where 1 is
    good: readable (of a format that is read, and they decode), regular (not odd), unique (not a copy of another one),
    separate (without a copy in another split), consistent (without a copy of another class). counts: {split: {class:
    files}}. broken, unread: names of files. odd: [{file, why}]. duplicates: [{kind (exact or near), files, splits,
    classes}], those of several splits or classes first. Near duplicates are those whose perceptual hashes differ in 6
    bits of 64 at most; these, and whether a file is blank, are of the square in its middle. Images that change along
    one axis alone, as flags of bars, have no such hash and are compared as files. With a backbone, which
    doubtful_labels takes as it takes resize, also doubtful: [{file, class, likelier}], the most doubtful first, and
    trusted in the summary, the share of those that decode whose labels were judged and not doubted. Raises InputError
    for a file that vanishes, and what doubtful_labels raises.
    """
    if type(data.train) is not ImageFiles:
        words = f"data is {data.name}, whose images are no files of their own"
        raise UsageError(f"{words}; give what image_folder or image_table returns", argument="data")
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    splits = {name: split for name, split in splits.items() if split is not None}
    # first, as the backbone may not fit
    doubtful = None if backbone is None else doubtful_labels(backbone, splits.values(), **resize)
    files = [file for split in splits.values() for file in map(str, split.files())]
    of_split = [name for name, split in splits.items() for _ in split.labels]
    of_class = [data.class_names[label] for split in splits.values() for label in split.labels]
    hashes, telling, contrast, readable = map(np.concatenate, zip(*map(looked_at, splits.values()), strict=True))
    odd = [
        {"file": file, "why": why}
        for file, good, own in zip(files, readable, contrast, strict=True)
        if good and (why := oddity(file, own))
    ]
    groups = duplicates(files, hashes, readable & telling & (contrast >= LEAST_CONTRAST))
    for group in groups:
        places = group["files"]
        kinds = {"files": files, "splits": of_split, "classes": of_class}
        group |= {name: [values[place] for place in places] for name, values in kinds.items()}
    groups.sort(key=lambda group: (-len(set(group["splits"])) - len(set(group["classes"])), group["files"]))
    counts = {
        name: dict(
            zip(
                data.class_names,
                np.bincount(split.labels, minlength=len(data.class_names)).tolist(),
                strict=True,
            )
        )
        for name, split in splits.items()
    }
    broken = [file for file, good in zip(files, readable, strict=True) if not good]
    unread = sorted({file for split in splits.values() for file in split.unread})
    summary = summarized(len(files), counts, broken, unread, odd, groups)
    findings = {
        "summary": summary, "counts": counts, "broken": broken, "unread": unread, "odd": odd, "duplicates": groups,
    }  # fmt: skip
    if doubtful:
        places, likelier, judged = doubtful
        findings["doubtful"] = [
            {"file": files[place], "class": of_class[place], "likelier": data.class_names[label]}
            for place, label in zip(places, likelier, strict=True)
        ]
        summary["trusted"] = (judged - len(places)) / np.count_nonzero(readable)
    return findings


def summarized(total, counts, broken, unread, odd, groups):
    def without(places):
        return 1 - places / total

    smallest = np.sum([list(of_class.values()) for of_class in counts.values()], 0).min()
    return {
        "files": total,
        "classes": len(counts["train"]),
        "smallest_class": int(smallest),
        "readable": 1 - (len(broken) + len(unread)) / (total + len(unread)),
        "regular": without(len(odd)),
        "unique": without(sum(len(group["files"]) - 1 for group in groups)),
        "separate": without(sum(len(group["files"]) for group in groups if len(set(group["splits"])) > 1)),
        "consistent": without(sum(len(group["files"]) for group in groups if len(set(group["classes"])) > 1)),
    }


def looked_at(split):
    """What perceptual_hash gives of ImageFiles, the standard deviation of luma (N,), whether they decode, bool (N,)."""
    small = dataclasses.replace(split, resize=SEEN, weights=None)
    weight = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601-2
    with vanished_files_named(small):
        batches = told(evaluation_batches(small), len(small))
        seen = ((images.numpy() @ weight, weights.numpy() > 0) for images, _, weights in batches)
        batches = [(*perceptual_hash(luma), luma.std((1, 2)), readable) for luma, readable in seen]
    return tuple(map(np.concatenate, zip(*batches, strict=True)))


def oddity(file, contrast):
    """Why a file that decodes is odd, or an empty text."""
    with reading_from(file), open(file, "rb") as content:
        start = content.read(2**18)
        # the size of a JPEG stands behind its metadata
        height, width = claimed_sides(start) or claimed_sides(start + content.read()) or (0, 0)
    short, long = sorted((height, width))
    if 0 < short < LEAST_SIDE:
        return f"{width}x{height}: small"
    if long > MOST_RATIO * short:
        return f"{width}x{height}: long"
    return "all of one intensity" if contrast < LEAST_CONTRAST else ""


def duplicates(files, hashes, hashed):
    """[{"kind": exact or near, "files": places}] of files that are the same, or look so; two at least.

    hashes: as perceptual_hash gives them; hashed: bool (N,), those that have anything by which they could look alike.
    """
    sizes, digests = [], []
    for file in files:
        with reading_from(file):
            sizes.append(os.path.getsize(file))
    files_of_size = Counter(sizes)
    for file, size in zip(files, sizes, strict=True):
        with reading_from(file), open(file, "rb") as content:
            of_content = hashlib.file_digest(content, "sha256").hexdigest() if files_of_size[size] > 1 else ""
        digests.append(f"{size} {of_content}")
    _, exact = np.unique(digests, return_inverse=True)
    first = np.unique(exact, return_index=True)[1][exact]
    places, group = np.flatnonzero(hashed), first
    for near in filter(np.size, near_pairs(hashes[places])):
        rows, columns = group[places[near]]
        links = coo_array((np.ones(len(rows), bool), (rows, columns)), (len(files), len(files)))
        group = connected_components(links, directed=False)[1][group]
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    return [
        {"kind": "exact" if len(set(exact[part])) == 1 else "near", "files": part.tolist()}
        for part in parts
        if len(part) > 1
    ]


def perceptual_hash(seen):
    """float32 (N, 64, 64) in [0, 1] -> (64 bits of each as -1 and 1, float32 (N, 64); whether they tell, bool (N,)).

    Whether each of the 8 x 8 lowest frequencies of a discrete cosine transform of 32 x 32 pixels is above their median
    (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1). They tell
    nothing of images that change along one axis alone, as flags of bars.
    """
    small = [cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA) for image in seen]
    low = np.array([cv2.dct(image)[1:9, 1:9].ravel() for image in small], np.float32).reshape(-1, 64)
    bits = np.where(low > np.median(low, 1, keepdims=True), 1, -1).astype(np.float32)
    return bits, low.std(1) >= LEAST_CONTRAST


def near_pairs(hashes):
    """The pairs of hashes that differ in few bits, int (2, pairs), block after block, as all may be alike."""
    block = max(1, DISTANCES // max(1, len(hashes)))
    for start in range(0, len(hashes), block):
        differing = (hashes.shape[1] - hashes[start : start + block] @ hashes[start:].T) / 2
        rows, columns = np.nonzero(np.triu(differing <= NEAREST_BITS, 1))
        yield np.stack([rows, columns]) + start
