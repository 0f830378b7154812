"""What a user can mend, each with the exit code an app ends with.

A message reads `<what, with the value>; <what to do next>`: lower case, one line. cli.py prints it after "error: ".
Anything else that escapes is a bug and keeps its traceback (exit code 1).
"""


class UsageError(Exception):
    """The command does not make sense: an unknown name, a flag that does not fit (exit code 2)."""

    exit_code = 2


class InputError(Exception):
    """An input or a place is missing, broken, unwritable or unreachable (exit code 3)."""

    exit_code = 3


class DataAbsent(InputError):
    """The files of a data set are not there and cannot be fetched; an app may have another set to fall back on."""


class InputRefused(InputError):
    """A model does not take one of several inputs; it may take the others."""


class RequirementError(Exception):
    """A figure asked for with --require was not reached (exit code 4)."""

    exit_code = 4


class TrainingStopped(Exception):
    """Training cannot go on: loss not finite, out of memory, disk full (exit code 5)."""

    exit_code = 5
