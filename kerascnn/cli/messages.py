"""What an app prints: results on stdout, words on stderr."""

import contextlib
import json
import logging
import sys

from kerascnn.errors import printable


def note(text):
    """One line of words for the user, on stderr; what names of files and of classes have in them moves no cursor.

    Where nobody listens any more, as behind `| head`, the work goes on.
    """
    with contextlib.suppress(BrokenPipeError):
        print(printable(text), file=sys.stderr, flush=True)


def result(value):
    """One result on stdout: a JSON object on one line."""
    print(json.dumps(value), flush=True)


def row(name, value):
    """One line of a table on stdout: name and value, separated by a tab."""
    print(f"{name:<14}\t{printable(str(value))}", flush=True)


class Words(logging.Formatter):
    def format(self, record):
        return f"{'note: ' * (record.levelno >= logging.WARNING)}{printable(record.getMessage())}"


@contextlib.contextmanager
def logged_to_stderr():
    """Show on stderr what the library logs: warnings as `note: …`, information as it is."""
    logger = logging.getLogger("kerascnn")
    handler = logging.StreamHandler()
    handler.setFormatter(Words())
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # TensorFlow gives the root logger a handler that would say it again
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
