"""Photos with faults, which more than one module looks for."""

import shutil

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twelve photos of each of two classes, smooth noise, besides a copy and others with a fault."""
    root, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name in ("cat", "dog"):
        (root / name).mkdir()
        for number in range(12):
            image = cv2.resize(random.integers(0, 256, (6, 6, 3), np.uint8), (90, 70), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(root / name / f"{number}.png"), image)
    shutil.copy(root / "cat" / "0.png", root / "dog" / "copy.png")
    image = cv2.imread(str(root / "dog" / "3.png"))
    cv2.imwrite(str(root / "dog" / "smaller.jpg"), cv2.resize(image, (60, 47), interpolation=cv2.INTER_AREA))
    (root / "cat" / "broken.png").write_bytes((root / "cat" / "1.png").read_bytes()[:100])
    for name, shape in (("pixel", (1, 1, 3)), ("line", (10, 2000, 3)), ("long", (40, 400, 3)), ("blank", (50, 50, 3))):
        cv2.imwrite(str(root / "cat" / f"{name}.png"), np.full(shape, 77, np.uint8))
    # Pillow does not read a PNG with a text of a wrong checksum, TensorFlow does
    image = cv2.resize(random.integers(0, 256, (6, 6, 3), np.uint8), (90, 70), interpolation=cv2.INTER_CUBIC)
    stored = cv2.imencode(".png", image)[1].tobytes()
    (root / "dog" / "text.png").write_bytes(stored[:33] + b"\0\0\0\3tEXta\0b\0\0\0\0" + stored[33:])
    (root / "dog" / "moving.gif").write_bytes(b"GIF89a")
    return root
