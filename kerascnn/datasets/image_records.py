"""Images in TFRecord files of tf.train.Example, of which batches read the records that they need."""

import dataclasses
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np

from kerascnn.datasets.examples import Dataset, cut_missing
from kerascnn.datasets.image_files import ImageFiles
from kerascnn.datasets.image_table import split_in
from kerascnn.datasets.resizing import ResizeAndCrop
from kerascnn.datasets.tfrecords import FOOTER, HEADER, MOST_CLASSES, indexed, keys_of
from kerascnn.errors import InputError, UsageError
from kerascnn.files import reading_from

NAMED = re.compile(r"\.tfrecords?\b|-\d{5}-of-\d{5}$")  # what TFRecord files are called
SHARD = re.compile(r"-(\d{5})-of-(\d{5})")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ImageRecords(ImageFiles):
    """Examples that are read from TFRecord files.

    names: the file of each below root and its number there from 0, as train.tfrecord#17. starts: {file: the byte at
    which each of its records begins, and the last one ends, int64 (N + 1,)}. key: the feature that is the image.
    """

    starts: dict = dataclasses.field(default_factory=dict)
    key: str = "image"

    def files(self):
        return [self.root / file for file in self.starts]

    def place(self, name):
        """(file, the byte at which a record begins, that at which it ends)."""
        file, _, number = name.rpartition("#")
        return file, *self.starts[file][int(number) : int(number) + 2].tolist()

    def sizes(self):
        for _, start, end in map(self.place, self.names):
            yield end - start

    def encoded(self, indices, paths):
        import tensorflow as tf

        def read(name):
            file, start, end = self.place(name)
            with open(self.root / file, "rb") as content:
                content.seek(start + HEADER)
                return content.read(end - start - HEADER - FOOTER)

        def read_all(indices):
            return np.array([read(name) for name in self.names[indices]], object)

        records = tf.ensure_shape(tf.numpy_function(read_all, [indices], tf.string, stateful=False), paths.shape)
        # with no image, or several, a record does not decode, either
        images = tf.io.parse_example(records, {self.key: tf.io.RaggedFeature(tf.string)})[self.key]
        return tf.where(images.row_lengths() == 1, images.to_tensor("", shape=[None, 1])[:, 0], "")


def image_records(
    folder, image_size, *, crop_ratio=1.0, interpolation="bilinear", class_names=None, validation=0.1, test=0.1, seed=0
):  # fmt: skip
    """A Dataset of the images in the TFRecord files of `folder`, whose records are tf.train.Examples.

        data = kc.datasets.image_records("records", image_size=(224, 224))

    A record has the features `image/encoded` or `image`, a PNG, JPEG, WebP or BMP file, and `image/class/label` or
    `label`, a whole number from 0. The name of a file says its split, as train-00000-of-00010.tfrecord, validation-…
    and test-… do; files that name none are for training. A split that has no file is cut off those for training, as
    image_folder does it, which says the other arguments, too; validation=0 leaves the files for validation among these.
    All files are read once, which checks them; records are read again when a batch needs them. One without an
    image that decodes keeps its place with the weight 0, and a warning names it. class_names: one text per label;
    default: the lines of `labels.txt` in the folder, else what `image/class/text` says, else the numbers themselves.
    Raises InputError where the folder or a file is not there, damaged or cut short, is no TFRecord file, or has a
    record without these features, UsageError where labels and class_names do not fit or there is one class.
    """
    resize, root = ResizeAndCrop(image_size, crop_ratio, interpolation), Path(folder)
    files = record_files(folder)
    if "train" not in files:
        words = f"no TFRecord file for training in {folder}"
        raise InputError(f"{words}; check the path, and call files as train-00000-of-00010.tfrecord")
    check_shards(root, sum(files.values(), []))
    keys = keys_of([root / file for file in sum(files.values(), [])])
    splits, texts = {}, set()
    for split, own in files.items():
        splits[split], found = records(root, own, keys, resize)
        texts |= found
    of_folder = class_names is None
    if of_folder:
        class_names = listed_names(root / "labels.txt")
    largest = check_labels(splits, MOST_CLASSES if class_names is None else len(class_names))
    if class_names is None:
        class_names = names_by_text(texts, largest + 1, folder)
    if of_folder and (twice := [name for name, count in Counter(class_names).items() if count > 1]):
        words = f"two labels of the records in {folder} are called {twice[0]}"
        raise InputError(f"{words}; write labels.txt there, a line for each label with a name of its own")
    if len(class_names) == 1:
        words = f"the records in {folder} have one class, {class_names[0]}"
        raise UsageError(f"{words}; write those of other classes, too, with labels from 0")
    count = sum(map(len, splits.values()))
    words = f"{count:,} images in TFRecord files, {len(class_names)} classes"
    return split_up(splits, {"test": test, "validation": validation}, seed, {
        "name": root.resolve().name, "class_names": tuple(class_names), "licence": "not stated", "description": words,
    })  # fmt: skip


def split_up(splits, shares, seed, words):
    """The Dataset of ImageRecords {split: …}; shares as cut_missing takes them, `words` what else a Dataset says."""
    # a record that has come since may be asked for as one of another split, see as_split
    starts = {file: places for part in splits.values() for file, places in part.starts.items()}
    splits = {name: dataclasses.replace(part, starts=starts) for name, part in splits.items()}
    if not shares["validation"] and "validation" in splits:
        train, more = splits["train"], splits.pop("validation")
        names, labels = np.concatenate([train.names, more.names]), np.concatenate([train.labels, more.labels])
        splits["train"] = dataclasses.replace(train, names=names, labels=labels)
    resize, splits = splits["train"].resize, cut_missing(splits, shares, seed, words["class_names"])
    height, width = resize.image_size
    words = words | {"description": f"{words['description']}, resized to {height}x{width}"}
    return Dataset(**splits, **words, resize=resize)


def record_files(folder):
    """{split: the names of its files in order} of the TFRecord files in a folder, by what they are called.

    Raises InputError where the folder is not there, UsageError where some name a split and others do not.
    """
    with reading_from(folder):
        entries = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    found = {}
    for name in entries:
        if NAMED.search(name) and not name.startswith("."):
            found.setdefault(split_in(name) or "", []).append(name)
    if "" in found and len(found) > 1:
        words = f"folder {folder} has {found[''][0]}, which names no split, beside files that do"
        raise UsageError(f"{words}; call it as train-00000-of-00010.tfrecord, or move it away")
    return {split or "train": names for split, names in found.items()}


def check_shards(root, files):
    """Raise InputError where of files that are called …-00003-of-00010… some are not there."""
    present = set(files)
    for file in files:
        if shard := SHARD.search(file):
            every = (file.replace(shard[0], f"-{number:05}-of-{shard[2]}") for number in range(int(shard[2])))
            if gone := next((name for name in every if name not in present), None):
                raise InputError(f"no file {root / gone}, which {file} belongs to; restore it and run again")


def records(root, files, keys, resize):
    """(the ImageRecords in TFRecord files below `root`, {(label, its text)}); keys as keys_of gives them."""
    starts, names, labels, texts = {}, [], [], set()
    for file in files:
        starts[file], own, found = indexed(root / file, *keys[1:])
        names += [f"{file}#{number}" for number in range(len(own))]
        labels.append(own)
        texts |= found
    if not names:
        raise InputError(f"no record in {root / files[0]}; write at least one for each class")
    return ImageRecords(root, np.array(names), np.concatenate(labels), resize, starts=starts, key=keys[0]), texts


def check_labels(splits, count):
    """The largest label of ImageRecords {split: …}.

    Raises InputError for a label below 0, UsageError for one of `count` or more.
    """
    for part in splits.values():
        if (part.labels < 0).any():
            first = part.root / part.names[np.argmax(part.labels < 0)]
            raise InputError(f"{first} has the label -1; write a whole number from 0, one a class, into each record")
        if part.labels.max() >= count:
            words = f"class_names has {count} names and labels reach {part.labels.max()}"
            raise UsageError(f"{words}; name each label, from 0, in the argument or in labels.txt")
    return max(int(part.labels.max()) for part in splits.values())


def names_by_text(texts, count, folder):
    """What {(label, its text)} calls `count` labels, numbers where it does not. Raises InputError for two of one."""
    names = list(map(str, range(count)))
    for label, text in sorted(texts):
        if names[label] not in (str(label), text):
            words = f"records in {folder} call the label {label} {names[label]!r} and {text!r}"
            raise InputError(f"{words}; write one text for each label")
        names[label] = text
    return names


def listed_names(file):
    """The lines of a text file, None where there is no such file."""
    if not file.is_file():
        return None
    try:
        with reading_from(file):
            lines = file.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is no text in UTF-8 ({error}); write it again") from None
    if "" in lines:
        raise InputError(f"{file} names no class in line {lines.index('') + 1}; name one in each")
    numbered = dict(line.split(":", 1) for line in lines if ":" in line)
    in_order = [numbered.get(str(number), "").strip() for number in range(len(lines))]
    return in_order if all(in_order) else lines  # 0:daisy, as TF-Slim writes it
