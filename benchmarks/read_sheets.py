"""How well composed sheets of handwritten digits are read through an exported model.

    python benchmarks/read_sheets.py [--model saved_models/digits] [--sheets 20] [--split test]

Sheets are composed of MNIST's test digits with fixed seeds (--split validation: of the validation digits, to try
changes on). digit_accuracy is 1 - edits / digits, where edits are the insertions, deletions and substitutions that turn
what was read into what was written, the page's lines joined. One JSON line on stdout; --results keeps the annotated
pages.
"""

import difflib
import sys
import time
from pathlib import Path
from typing import Literal

import numpy as np
from cyclopts import App

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kerascnn import datasets
from kerascnn.cli.app import run
from kerascnn.cli.messages import result
from kerascnn.digits.composed_pages import compose_page
from kerascnn.digits.pages import annotate, read_page
from kerascnn.images import save_image
from kerascnn.saved_model.versions import latest_version
from kerascnn.serving.predictor import load_predictor
from kerascnn.tensorflow_setup import load_tensorflow


def edits(read, written):
    """Levenshtein distance between two texts."""
    row = list(range(len(written) + 1))
    for i, letter in enumerate(read, 1):
        before, row = row, [i]
        for j, other in enumerate(written, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != other)))
    return row[-1]


app = App(help=__doc__, result_action="return_value")


@app.default
def main(
    *,
    model: Path = ROOT / "saved_models" / "digits",
    sheets: int = 20,
    split: Literal["test", "validation"] = "test",
    results: Path | None = None,
):
    load_tensorflow()
    from machine import machine

    version = latest_version(model)
    predictor = load_predictor(version)
    examples = getattr(datasets.load("mnist"), split)
    figures = {}
    for hard in (False, True):
        wrong, digits, right, lines, seconds = 0, 0, 0, 0, []
        for seed in range(sheets):
            page, truth = compose_page(examples.images, examples.labels, seed, hard)
            start = time.perf_counter()
            found = read_page(page, lambda crops: predictor.predict(crops)["probabilities"])
            seconds.append(time.perf_counter() - start)
            written = ["".join(str(digit) for digit, _ in line) for line in truth]
            read = ["".join(digit.digit for digit in line) for line in found]
            wrong += edits("\n".join(read), "\n".join(written))
            digits += sum(map(len, written))
            right += sum(block.size for block in difflib.SequenceMatcher(None, read, written).get_matching_blocks())
            lines += len(written)
            if results:
                save_image(results / f"{'hard' if hard else 'clean'}-{seed}.png", annotate(page, found))
        figures["hard" if hard else "clean"] = {
            "digit_accuracy": round(1 - wrong / digits, 4),
            "digits": digits,
            "lines_right": f"{right} of {lines}",
            "seconds_per_sheet": round(float(np.median(seconds)), 3),
        }
    result({"model": f"{model.name}/{version.name}", "sheets": sheets, "split": split, **figures, **machine()})


if __name__ == "__main__":
    run(app)
