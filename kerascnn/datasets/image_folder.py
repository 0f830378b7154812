"""Photos in folders, one a class, streamed from their files as they are needed."""

import contextlib
import dataclasses
import os
from pathlib import Path

import numpy as np

from kerascnn.datasets.examples import Dataset, cut_share, warn_of_empty_classes
from kerascnn.errors import InputError, UsageError
from kerascnn.files import reading_from

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ImageFiles:
    """Examples that are read from files.

    root: the folder above them. names: their paths below it, text (N,). labels: int32 (N,). image_size: (H, W) that
    every image is resized to. weights: as those of Examples.
    """

    root: Path
    names: np.ndarray
    labels: np.ndarray
    image_size: tuple[int, int]
    weights: np.ndarray | None = None

    def __len__(self):
        return len(self.labels)

    def __repr__(self):
        return f"ImageFiles({len(self):,} in {str(self.root)!r})"

    @property
    def image_shape(self):
        return (*self.image_size, 3)

    def take(self, indices):
        weights = None if self.weights is None else self.weights[indices]
        return dataclasses.replace(self, names=self.names[indices], labels=self.labels[indices], weights=weights)

    def loader(self):
        """load(indices int (B,)) -> tensors (images uint8 (B, H, W, 3), labels), and weights where there are any."""
        import tensorflow as tf

        from kerascnn.decoding import decode_image, resized

        # as bytes: names need not be UTF-8
        paths = tf.constant([os.fsencode(os.path.join(self.root, name)) for name in self.names])
        rest = [tf.constant(part) for part in (self.labels, self.weights) if part is not None]

        def image(path):
            return resized(decode_image(tf.io.read_file(path))[tf.newaxis], self.image_size)[0]

        def load(indices):
            spec = tf.TensorSpec(self.image_shape, tf.uint8)
            images = tf.map_fn(image, tf.gather(paths, indices), fn_output_signature=spec)
            return [images, *(tf.gather(part, indices) for part in rest)]

        return load

    def update(self, digest):
        """Feed a hash with what tells these examples from others: names, sizes and labels."""
        for name, label in zip(self.names, self.labels, strict=True):
            with reading_from(self.root / name):
                size = os.path.getsize(self.root / name)
            digest.update(f"{name}\0{size}\0{label}\0".encode("utf-8", "surrogateescape"))

    def broken(self):
        """The paths of the files that are no image; it tries them all."""
        import tensorflow as tf

        load, found = self.loader(), []
        for number, name in enumerate(self.names):
            try:
                load(tf.constant([number]))
            except tf.errors.OpError:
                found.append(self.root / name)
        return found


@contextlib.contextmanager
def broken_files_named(*splits):
    """Turn an image file that cannot be read, which TensorFlow does not name, into InputError with its path.

    splits: ImageFiles, or anything else, which has no files.
    """
    import tensorflow as tf

    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError):
        files = [split for split in splits if isinstance(split, ImageFiles)]
        if not (broken := [path for split in files for path in split.broken()]):
            raise
        raise InputError(
            f"cannot decode {', '.join(map(str, broken))}; replace or delete what is no PNG, JPEG or BMP image"
        ) from None


def image_folder(folder, image_size, *, validation=0.1, test=0.1, seed=0):
    """A Dataset of the PNG, JPEG and BMP files in the sub-folders of `folder`, each of which is a class.

        data = kc.datasets.image_folder("photos", image_size=(224, 224))

    Files are listed at once and read when a batch needs them, so that any number of them fits; files may differ in
    size, a batch has image_size (H, W). Grey images become RGB. class_names are the names of the sub-folders in order.
    validation, test: the share of the files that is cut off, of each class alike, drawn with `seed`; 0 for none, or
    another folder with sub-folders of the same names. Raises InputError where a folder is not there, UsageError where
    it has no classes or another one than `folder`, or for an image_size that is none.
    """
    if not isinstance(image_size, tuple | list) or len(image_size) != 2 or min(image_size) < 1:
        raise UsageError(f"image_size is {image_size}; give (height, width) in pixels", argument="image_size")
    classes = class_folders(folder, "folder")
    rest = listed(folder, classes, image_size)
    count, splits = len(rest), {}
    for name, share in (("test", test), ("validation", validation)):
        if share is None or isinstance(share, int | float):
            rest, splits[name] = cut_share(rest, share, count, seed, name)
            continue
        if others := set(class_folders(share, name)) - set(classes):
            words = f"{share} has the class {min(others)}, which {folder} has not"
            raise UsageError(f"{name} {words}; give folders of the same classes", argument=name)
        splits[name] = listed(share, classes, image_size)
    warn_of_empty_classes(rest, classes)
    description = f"{count:,} image files in {len(classes)} classes, resized to {image_size[0]}x{image_size[1]}"
    name = Path(folder).resolve().name
    return Dataset(name, rest, **splits, class_names=tuple(classes), licence="not stated", description=description)


def class_folders(folder, argument):
    """The names of the folders in `folder`, in order.

    Raises InputError where it is none, UsageError where it is empty.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise InputError(f"cannot read {folder} ({error.strerror}); check the path") from None
    if not names:
        words = f"{argument} {folder} has no sub-folders; put the images of each class into one of its own"
        raise UsageError(words, argument=argument)
    return names


def listed(folder, classes, image_size):
    """The ImageFiles of a folder, class by class, each in the order of its names."""
    names, labels = [], []
    for label, name in enumerate(classes):
        found = []
        for place, folders, files in os.walk(os.path.join(folder, name)):
            folders[:] = [below for below in folders if not below.startswith(".")]
            found += [
                os.path.relpath(os.path.join(place, file), folder)
                for file in files
                if file.lower().endswith(SUFFIXES) and not file.startswith(".")
            ]
        found.sort()
        names += found
        labels += [label] * len(found)
    if not names:
        raise InputError(f"no PNG, JPEG or BMP file in the sub-folders of {folder}; check the path")
    return ImageFiles(Path(folder), np.array(names), np.array(labels, np.int32), tuple(image_size))
