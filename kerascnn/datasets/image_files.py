"""Images that are read from files, batch by batch, as they are needed."""

import contextlib
import dataclasses
import itertools
import logging
import os
import re
from pathlib import Path

import numpy as np

from kerascnn.datasets.resizing import ResizeAndCrop
from kerascnn.errors import InputError
from kerascnn.files import reading_from

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ImageFiles:
    """Examples that are read from files.

    root: the folder above them. names: their paths below it, text (N,). labels: int32 (N,). resize: what every image
    goes through. weights: as those of Examples. training_resize: what every image of batches for training goes through
    instead: one of larger images, of which an augmentation cuts out a part, or a RandomPart. groups: int (N,), equal
    for files that no split may part. unread: paths of files in these folders that hold images of other formats, text.
    said: broken files that were warned of, by all splits of a folder.
    """

    root: Path
    names: np.ndarray
    labels: np.ndarray
    resize: ResizeAndCrop
    weights: np.ndarray | None = None
    training_resize: object = None
    groups: np.ndarray | None = None
    unread: tuple[str, ...] = ()
    said: set = dataclasses.field(default_factory=set)

    def __len__(self):
        return len(self.labels)

    def __repr__(self):
        return f"{type(self).__name__}({len(self):,} in {str(self.root)!r})"

    @property
    def image_shape(self):
        return (*self.resize.image_size, 3)

    def in_training(self):
        """The same files, resized as for training."""
        return dataclasses.replace(self, resize=self.training_resize or self.resize)

    def take(self, indices):
        weights, groups = (None if part is None else part[indices] for part in (self.weights, self.groups))
        parts = {"names": self.names[indices], "labels": self.labels[indices]}
        return dataclasses.replace(self, **parts, weights=weights, groups=groups)

    def files(self):
        """The paths of the files that are read."""
        return [self.root / name for name in self.names]

    def sizes(self):
        """The bytes of each example, in order. Raises InputError where a file is gone."""
        for path in self.files():
            with reading_from(path):
                yield os.path.getsize(path)

    def encoded(self, indices, paths):
        """The images as they are stored, string (B,), of examples int (B,), whose names below root are string (B,)."""
        import tensorflow as tf

        return tf.map_fn(tf.io.read_file, paths)

    def loader(self):
        """load(indices int (B,), seed) -> tensors (images uint8 (B, H, W, 3), labels, weights).

        seed: int (2,), by which a RandomPart draws; without one none may. A file that does not decode is black and has
        the weight 0, so that the others keep their places; a warning names it.
        """
        import tensorflow as tf

        from kerascnn.datasets.augmentation.resized_crop import RandomPart
        from kerascnn.decoding import decode_each

        # as bytes: names need not be UTF-8
        paths = tf.constant([os.fsencode(os.path.join(self.root, name)) for name in self.names], tf.string)
        labels = tf.constant(self.labels)
        weights = tf.constant(np.ones(len(self), np.float32) if self.weights is None else self.weights)

        def resized(image, *drawn):
            return self.resize(image[tf.newaxis], *drawn)[0]

        def warn(broken):
            for path in map(os.fsdecode, broken):
                if path not in self.said:
                    self.said.add(path)
                    words = "cannot decode %s, or it is too large, and it counts nothing; replace it before a training"
                    logger.warning(f"{words} (%d so far)", path, len(self.said))
            return np.float32(0)

        def load(indices, seed=None):
            chosen = tf.gather(paths, indices)
            spec = tf.TensorSpec(self.image_shape, tf.uint8)
            drawn = (seeds_of_images(seed, indices),) if isinstance(self.resize, RandomPart) else ()
            images, valid = decode_each(self.encoded(indices, chosen), resized, spec, self.resize.shortest, *drawn)
            # what it returns is used, and it is said to be stateless: else tf.data would leave it out, or load one
            # batch at a time where operations are deterministic
            nothing = tf.cond(
                tf.reduce_all(valid),
                lambda: 0.0,
                lambda: tf.numpy_function(warn, [tf.boolean_mask(chosen, ~valid)], tf.float32, stateful=False),
            )
            weighed = tf.where(valid, tf.gather(weights, indices), tf.ensure_shape(nothing, []))
            return [images, tf.gather(labels, indices), weighed]

        return load

    def update(self, digest):
        """Feed a hash with what tells these examples from others: names, sizes, labels and weights."""
        for name, size, label in zip(self.names, self.sizes(), self.labels, strict=True):
            digest.update(f"{name}\0{size}\0{label}\0".encode("utf-8", "surrogateescape"))
        if self.weights is not None:
            digest.update(np.ascontiguousarray(self.weights))


def seeds_of_images(seed, indices):
    """Seeds int32 (B, 2) of images int (B,), of a seed int (2,); no augmentation draws by the same."""
    import tensorflow as tf

    own = tf.random.experimental.stateless_fold_in(tf.cast(seed, tf.int64), -1)
    return tf.random.split(tf.cast(own, tf.int32), tf.size(indices))


@contextlib.contextmanager
def vanished_files_named(*splits):
    """Turn an image file that cannot be read, which TensorFlow does not name, into InputError with its path.

    splits: ImageFiles, or anything else, which has no files.
    """
    import tensorflow as tf

    try:
        yield
    except (tf.errors.NotFoundError, tf.errors.PermissionDeniedError, tf.errors.UnknownError) as error:
        paths = [path for split in splits if isinstance(split, ImageFiles) for path in split.files()]
        gone = (path for path in paths if not os.access(path, os.R_OK))
        # as of a disk that is damaged
        failing = (path for path in paths if re.search(rf"(^|\s){re.escape(str(path))}; ", error.message))
        if not (unread := next(itertools.chain(gone, failing), None)):
            raise
        raise InputError(f"cannot read {unread}, which was there before; restore it and run again") from None
