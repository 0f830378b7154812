"""Numerals drawn with plotter fonts: tiny, deterministic, no files. For smoke tests; proves only wiring."""

import cv2
import numpy as np

from kerascnn.datasets.examples import Dataset, Examples

FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_COMPLEX)


def drawn(count, seed):
    """`count` Examples of 28×28×1, classes in turn; size, place and font vary with `seed`."""
    random = np.random.default_rng(seed)
    images = np.zeros((count, 28, 28, 1), np.uint8)
    labels = np.arange(count, dtype=np.int32) % 10
    for image, label in zip(images, labels, strict=True):
        scale = random.uniform(0.7, 0.85)
        left, bottom = random.integers(5, 9), random.integers(21, 25)
        canvas = np.zeros((28, 28), np.uint8)
        font = FONTS[random.integers(len(FONTS))]
        cv2.putText(canvas, str(label), (int(left), int(bottom)), font, scale, 255, 2, cv2.LINE_AA)
        image[..., 0] = canvas
    return Examples(images, labels)


def load(name, data_dir):
    """640 training, 100 validation and 100 test examples; data_dir is not looked at."""
    return Dataset(
        name=name,
        train=drawn(640, 0),
        validation=drawn(100, 1),
        test=drawn(100, 2),
        class_names=tuple("0123456789"),
        licence="Apache-2.0",
        description="840 drawn numerals, synthetic: a figure from them says nothing about handwriting",
    )
