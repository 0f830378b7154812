"""Classic data sets of small images through TensorFlow Datasets: MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100.

MNIST (LeCun, Cortes & Burges, 1998) and Fashion-MNIST (Xiao, Rasul & Vollgraf, 2017) are 60,000 training and 10,000
test images of 28×28 grey pixels in ten classes, in four files of the same names; CIFAR-10 and CIFAR-100 (Krizhevsky,
"Learning Multiple Layers of Features from Tiny Images", 2009) 50,000 and 10,000 of 32×32 pixels in colour. They are
taken from the first of: what TFDS has prepared under the data folder; the original files placed by hand in TFDS's
manual folder (`downloads/manual/`, for Fashion-MNIST `downloads/manual/fashion_mnist/`), which touches no network;
a download. 5,000 training images become the validation split.
"""

import functools
import hashlib
import queue
import threading
import urllib.request
from pathlib import Path

import numpy as np

from kerascnn.datasets.examples import Dataset, Examples, cut
from kerascnn.datasets.tfds_builders import arrays, folder, prepared_builder
from kerascnn.errors import DataAbsent, InputError

TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
LICENCES = {"mnist": "CC BY-SA 3.0", "fashion_mnist": "MIT"}
UNLICENSED = "not stated; cite Krizhevsky, 2009"
FASHION = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")


def check_originals(manual, url_infos):
    """True when all four originals lie in `manual` and have their published checksums; False when one is absent.

    Raises InputError for a file that is there but damaged, even when another is absent.
    """
    expected = {Path(url).name: info.checksum for url, info in url_infos.items()}
    present = {name: checksum for name, checksum in expected.items() if (manual / name).is_file()}
    for name, checksum in present.items():
        found = hashlib.sha256((manual / name).read_bytes()).hexdigest()
        if found != checksum:
            raise InputError(
                f"{manual / name} is damaged: its sha256 is {found}, expected {checksum}; replace the file"
            )
    return len(present) == len(expected)


def check_reachable(root, manual, url_infos):
    """Raise DataAbsent unless the first original answers: TFDS itself gives up only after minutes of retries."""
    url = next(iter(url_infos))
    answer = queue.SimpleQueue()

    def ask():
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=3).close()
            answer.put(None)
        except Exception as error:  # of the network, and of an address or a proxy that is none
            # a host that answers with an HTTP status is there
            answer.put(None if hasattr(error, "code") else error)

    # In a thread that nothing waits for: silent name servers take 20 seconds, whatever the timeout of urlopen.
    threading.Thread(target=ask, daemon=True).start()
    try:
        error = answer.get(timeout=4)
    except queue.Empty:
        error = "no answer within 4 s"
    if error:
        files = ", ".join(f"{Path(url).name} (sha256 {info.checksum})" for url, info in url_infos.items())
        source = url.rsplit("/", 1)[0]
        raise DataAbsent(
            f"no data in {root} and no network ({error}); place {files} from {source} in {manual}"
        ) from None


def load(name, data_dir=None):
    """The Dataset called `name`, a key of TITLES; 5,000 of its training examples are cut off for validation.

    Raises InputError naming the file and its checksum when an original is damaged, or all files and the folder they
    belong in when there are neither files nor network.
    """
    import tensorflow_datasets as tfds

    root = folder(data_dir)
    manual = root / "downloads" / "manual"
    manual = manual / name if name == "fashion_mnist" else manual

    def check(builder):
        if not check_originals(manual, builder.url_infos):
            check_reachable(root, manual, builder.url_infos)

    builder = prepared_builder(name, functools.partial(tfds.builder, name), root, manual, check)
    train, test = (examples(builder, split) for split in ("train", "test"))
    train, validation = cut(train, 5000)
    size = "x".join(map(str, train.image_shape[:2]))
    return Dataset(
        name=name,
        train=train,
        validation=validation,
        test=test,
        class_names=FASHION if name == "fashion_mnist" else tuple(builder.info.features["label"].names),
        licence=LICENCES.get(name, UNLICENSED),
        description=f"{TITLES[name]}, {len(train) + len(validation):,} + {len(test):,} images of {size}",
    )


def examples(builder, split):
    """All examples of one split in file order."""
    found = arrays(builder, split)
    return Examples(found["image"], found["label"].astype(np.int32))
