"""Time of `apps.images check` for 10,000 files, and how many of 300 swapped labels are among those that it doubts.

    python benchmarks/doubtful_labels.py

The files are the test images of CIFAR-10, which the shipped network has not seen, as PNGs in class folders; 300 drawn
ones lie in a class that is drawn, too. `seconds` are those of all that `check` looks at, its report apart. `found` is
the share of the swapped ones that are doubted, and the share for which the likelier class is theirs; `doubted` counts
all doubted labels, of which the others are ones that no linear head on this network's features tells right. stdout: one
JSON object.
"""

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cyclopts import App
from machine import machine

from kerascnn.cli.app import run
from kerascnn.cli.folders import shipped
from kerascnn.cli.messages import result
from kerascnn.tensorflow_setup import load_tensorflow

SWAPPED = 300
app = App(help=__doc__, result_action="return_value")


@app.default
def main():
    load_tensorflow()
    import cv2
    import numpy as np

    from kerascnn.classification.data import load_images
    from kerascnn.classification.data_check import check_images
    from kerascnn.training.run_folder import load_model, main_head

    data = load_images("cifar10", None)
    test, draw = data.test, np.random.default_rng(0)
    given, swapped = test.labels.copy(), draw.permutation(len(test))[:SWAPPED]
    given[swapped] = (given[swapped] + draw.integers(1, 10, SWAPPED)) % 10
    with tempfile.TemporaryDirectory() as folder:
        for name in data.class_names:
            (Path(folder) / name).mkdir()
        for number, (image, label) in enumerate(zip(test.images, given, strict=True)):
            cv2.imwrite(f"{folder}/{data.class_names[label]}/{number}.png", image[..., ::-1])
        photos = load_images(folder, 32)
        started = time.perf_counter()
        findings = check_images(photos, main_head(load_model(shipped("images"))))
        seconds = time.perf_counter() - started
    likelier = {int(Path(each["file"]).stem): each["likelier"] for each in findings["doubtful"]}
    found = [number for number in swapped.tolist() if number in likelier]
    right = [number for number in found if likelier[number] == data.class_names[test.labels[number]]]
    shares = {"found": round(len(found) / SWAPPED, 3), "found_with_their_class": round(len(right) / SWAPPED, 3)}
    counts = {"files": len(test), "swapped": SWAPPED, "doubted": len(likelier)}
    result({**counts, **shares, "seconds": round(seconds, 1), **machine()})


if __name__ == "__main__":
    run(app)
