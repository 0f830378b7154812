"""What a user can fix. Anything else that escapes is a bug.

A message reads `<what, with the value>; <what to do next>`: lower case, one line, in the words of the Python call.
"""

from unicodedata import category


class UsageError(ValueError):
    """A call that makes no sense: an unknown name, a value that does not fit.

    The message names the argument of the call. argument: its name where the message begins with it, which the command
    line writes as its flag; None where it begins otherwise, or no flag is called so.
    """

    def __init__(self, message, argument=None):
        super().__init__(message)
        self.argument = argument


class InputError(Exception):
    """An input or a place is missing, broken, unwritable or unreachable."""


class DataAbsent(InputError):
    """The files of a data set are not there and cannot be fetched; there may be another set to fall back on."""


class InputRejected(InputError):
    """A model does not take one of several inputs; it may take the others."""


class TrainingStopped(Exception):
    """Training cannot go on: loss not finite, out of memory, disk full."""


def printable(text):
    """Text from elsewhere as one line for a terminal: what cannot be printed is escaped as Python does it.

    Wide and narrow spaces stay, and what joins letters, as in Persian, and parts of emoji.
    """
    return "".join(
        letter if letter.isprintable() or letter in "\u200c\u200d" or category(letter) == "Zs" else ascii(letter)[1:-1]
        for letter in text
    )


def shortened(text, most=500):
    """Text from elsewhere as one line of at most so many characters."""
    return printable(text[:most])[:most]


def reason_of(error):
    """The first line of what somebody else's error says; its name where it says nothing."""
    return (str(error) or type(error).__name__).splitlines()[0]
