"""The handwritten digits that scikit-learn ships: what is left when there are neither MNIST files nor a network.

1,797 real digits of 8×8 pixels and 17 intensities, the test set of "Optical Recognition of Handwritten Digits"
(Alpaydin & Kaynak, UCI, 1998). They are enlarged to 20×20 and normalised as MNIST is, so that models and
preprocessing are the same. The source has no split: 360 test and 180 validation examples are drawn with a fixed seed.
"""

import cv2
import numpy as np

from kerascnn.datasets.examples import Dataset, Examples, cut
from kerascnn.digits.preprocessing import preprocess_digits


def load():
    """1,257 training, 180 validation and 360 test examples of 28×28×1."""
    from sklearn.datasets import load_digits

    source = load_digits()
    scans = np.round(source.images * (255 / 16)).astype(np.uint8)
    large = np.stack([cv2.resize(scan, (20, 20), interpolation=cv2.INTER_CUBIC) for scan in scans])
    framed = np.pad(large, ((0, 0), (4, 4), (4, 4)))[..., None]
    images = np.round(np.asarray(preprocess_digits(framed)) * 255).astype(np.uint8)
    rest, test = cut(Examples(images, source.target.astype(np.int32)), 360)
    train, validation = cut(rest, 180)
    return Dataset(
        name="sklearn_digits",
        train=train,
        validation=validation,
        test=test,
        class_names=tuple("0123456789"),
        licence="CC BY 4.0",
        description="the digits shipped with scikit-learn, 1,797 scans of 8x8",
    )
