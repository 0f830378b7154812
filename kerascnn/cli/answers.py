"""How the answers of a classifier are printed: lines for people, JSON or CSV for programs."""

import csv
import json
import sys

from kerascnn.errors import UsageError, printable

UNSURE = "unsure"


def check_reject(reject):
    """Raise UsageError unless `reject` is a probability."""
    if not 0 <= reject <= 1:
        words = f"reject is {reject:g}; give a probability from 0 to 1, 0 to take every answer"
        raise UsageError(words, argument="reject")


def print_answers(answers, form, reject, invalid):
    """Print each of the (file, {output name: value of its image}) as it comes; `invalid` gets the files that are none.

    form: lines, json or csv. reject: below this probability the class is unsure. invalid: a list.
    """
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if form == "csv":
        writer.writerow(("file", "class", "score"))
    for file, answer in answers:
        named = UNSURE if answer["score"] < reject else str(answer["class_name"])
        cells = [as_line(file), printable(named), f"{answer['score']:.4f}"]
        if not answer["valid"]:
            invalid.append(str(file))
            cells[1:] = "", ""
        if form == "json":
            print(json.dumps(as_object(file, named, answer)))
        elif form == "csv":
            writer.writerow(cells)
        elif answer["valid"]:
            print(*cells, sep="\t")
        sys.stdout.flush()


def as_line(file):
    """A file's name without control characters; bytes that are no UTF-8 stay, for programs that look for the file."""
    return "".join(part if "\udc80" <= part <= "\udcff" else printable(part) for part in str(file))


def as_object(file, named, answer):
    """What JSON says of a file: of one that is no image that it is not valid. The best guess is the first of `top`."""
    if not answer["valid"]:
        return {"file": str(file), "class": None, "score": None, "top": [], "valid": False}
    pairs = zip(answer["top_names"], answer["top_scores"], strict=True)
    top = [{"class": str(name), "score": rounded(score)} for name, score in pairs]
    return {"file": str(file), "class": named, "score": rounded(answer["score"]), "top": top, "valid": True}


def rounded(score):
    """With as many digits as a float32 below 1 has."""
    return round(float(score), 6)
