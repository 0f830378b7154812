"""The command that reads scanned pages of digits, and the page that the demo reads.

TensorFlow is imported inside the functions, after everything that can be checked without it.
"""

import dataclasses
import functools

from kerascnn.cli.messages import result
from kerascnn.cli.prediction import loaded, places_of, possible, predictor_of
from kerascnn.errors import InputError
from kerascnn.saved_model.signatures import Tensor

DIGITS = {"probabilities": Tensor("float32", (None, 10))}


def read(files, app, out, server, results):
    """Print a JSON object for each scanned page of digits: the lines read, and each digit's box and confidence.

    The page with boxes drawn goes into the folder `results`. Raises InputError, after all others are read, naming the
    files that are no image.
    """
    from kerascnn.digits.pages import annotate, read_page
    from kerascnn.images import load_image, save_image

    places = places_of([(file, file.stem) for file in files], results, ".png")
    errors = []
    # made for the first page that can be read
    predictor = functools.cache(lambda: predictor_of(app, out, server, "serving_default", DIGITS))
    for (file, place), page in loaded(zip(files, places, strict=True), lambda pair: load_image(pair[0]), errors):
        lines = read_page(page, lambda crops: possible(predictor(), predictor().predict(crops))["probabilities"])
        save_image(place, annotate(page, lines))
        text = ["".join(digit.digit for digit in line) for line in lines]
        digits = [[dataclasses.asdict(digit) for digit in line] for line in lines]
        result({"file": str(file), "lines": text, "image": str(place), "digits": digits})
    if errors:
        raise InputError("; ".join(errors))


def compose_sample(test, out):
    """(the lines written on it, the path) of a page composed of test digits; one digit alone is kept beside it."""
    from kerascnn.digits.composed_pages import compose_page
    from kerascnn.images import save_image

    page, lines = compose_page(test.images, test.labels, seed=0)
    save_image(out / "sheet.png", page)
    save_image(out / "digit.png", test.images[0])
    return ["".join(str(digit) for digit, _ in line) for line in lines], out / "sheet.png"
