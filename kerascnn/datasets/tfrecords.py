"""TFRecord files of tf.train.Example: where each record lies, and its label.

A TFRecord file is a sequence of records: the length of the data (8 bytes), its checksum (4), the data, and their
checksum (4); tensorflow.org/tutorials/load_data/tfrecord. TensorFlow goes through a file once and checks both.
"""

import contextlib
import os
import re

import numpy as np

from kerascnn.errors import InputError
from kerascnn.files import reading_from

HEADER, FOOTER = 12, 4  # bytes around the data of a record
IMAGES, LABELS, TEXT = ("image/encoded", "image"), ("image/class/label", "label"), "image/class/text"
MOST_CLASSES = 100_000  # a larger label is none
NO_LABEL = np.iinfo(np.int64).min


def keys_of(paths):
    """The features (image, label, text or None) of the first record in TFRecord files.

    Raises InputError where they have no record, or it has no image and label.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    for path in paths:
        with damage_named(path):
            first = next(tf.data.TFRecordDataset(os.fsencode(path)).as_numpy_iterator(), None)
        if first is None:
            continue
        try:
            features = tf.train.Example.FromString(first).features.feature
        except DecodeError:
            raise InputError(f"{path} has records that are no tf.train.Example; write it again") from None
        image, label = (next((key for key in keys if key in features), None) for keys in (IMAGES, LABELS))
        if not (image and label):
            wanted = " or ".join(LABELS if image else IMAGES)
            words = f"{path} has records without {wanted}, but with {', '.join(sorted(features)) or 'nothing'}"
            raise InputError(f"{words}; write an image and a label into each")
        if len(features[image].bytes_list.value) != 1:
            words = f"{path} has records whose {image} is no single PNG, JPEG, WebP or BMP file"
            raise InputError(f"{words}; write its bytes into each")
        return image, label, TEXT if TEXT in features else None
    raise InputError(f"no record in {paths[0]}; write at least one for each class")


def indexed(path, label, text):
    """(starts int64 (N + 1,) of the records of a TFRecord file, labels int32 (N,), {(label, its text)}).

    label, text: the features; text may be None. A label may be -1, which says that there is none. Raises InputError
    for a file that is damaged, or has a record without a label.
    """
    import tensorflow as tf

    from kerascnn.datasets.batches import not_autotuned

    features = {label: tf.io.FixedLenFeature([], tf.int64, NO_LABEL)}
    features |= {text: tf.io.FixedLenFeature([], tf.string, "")} if text else {}

    def looked_at(records):
        found = tf.io.parse_example(records, features)
        return tf.strings.length(records), found[label], found.get(text, tf.fill(tf.shape(records), ""))

    lengths, labels, texts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], set()
    content = tf.data.TFRecordDataset(os.fsencode(path), buffer_size=2**22).batch(64).map(looked_at)
    with damage_named(path, label):
        for length, own, said in not_autotuned(content.prefetch(2)).as_numpy_iterator():
            lengths.append(length)
            labels.append(own)
            texts |= set(zip(own.tolist(), said.tolist(), strict=True))
    labels = np.concatenate(labels)
    out_of_range = (labels < -1) | (labels >= MOST_CLASSES)
    if out_of_range.any():
        first = np.flatnonzero(out_of_range)[0]
        said = f"no {label}" if labels[first] == NO_LABEL else f"the {label} {labels[first]}"
        raise InputError(f"{path}#{first} has {said}; write a whole number from 0, one a class, into each record")
    starts = np.cumsum([0, *(np.concatenate(lengths).astype(np.int64) + HEADER + FOOTER)])
    return starts, labels.astype(np.int32), {(number, name.decode(errors="replace")) for number, name in texts if name}


@contextlib.contextmanager
def damage_named(path, label=None):
    """Turn what TensorFlow says of a TFRecord file that it cannot read into InputError with its path.

    label: the feature that is looked for.
    """
    import tensorflow as tf

    try:
        with reading_from(path):
            open(path, "rb").close()
        yield
    except tf.errors.DataLossError as error:
        kind, byte = re.search(r"(truncated|corrupted) record at (\d+)", str(error)).groups()
        if byte == "0":
            words = f"{path} is no TFRecord file, a compressed one, or damaged from its beginning"
            raise InputError(f"{words}; give TFRecord files without compression") from None
        kind = "cut short in the record" if kind == "truncated" else "damaged, by its checksum,"
        raise InputError(f"{path} is {kind} at byte {byte}; restore it and run again") from None
    except tf.errors.InvalidArgumentError:
        words = f"{path} has a record that is no tf.train.Example with one whole number as {label}"
        raise InputError(f"{words}; write it again") from None
