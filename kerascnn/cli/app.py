"""What all apps share: the command line and its exit codes."""

import contextlib
import errno
import io
import math
import os
import sys
import traceback
from pathlib import Path

from cyclopts import App, CycloptsError

from kerascnn import __version__
from kerascnn.cli.messages import logged_to_stderr, note
from kerascnn.errors import InputError, TrainingStopped, UsageError
from kerascnn.files import FULL, open_closed_streams


class RequirementError(Exception):
    """A metric asked for with --require was not reached."""


EXIT_CODES = {UsageError: 2, InputError: 3, RequirementError: 4, TrainingStopped: 5}


def create_app(text):
    """A Cyclopts App, called as its user calls this program; `text` is its help."""
    return App(
        name=program(),
        help=text,
        version=__version__,
        result_action="return_value",
        suppress_keyboard_interrupt=False,  # else it ends the process without a word
    )


def program():
    """What the user calls this program: `kerascnn`, the name of a file, or `python -m apps.digits`."""
    module = sys.modules["__main__"].__spec__
    return f"python -m {module.name.removesuffix('.__main__')}" if module else Path(sys.argv[0]).name


def run(app, arguments=None):
    """Run `app` on `arguments` (default: the command line) and end the process with its exit code."""
    open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # in every locale names of files and classes, which need not even be UTF-8
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        with logged_to_stderr():
            app(arguments, exit_on_error=False, print_error=False)
        sys.stdout.flush()  # what it cannot write is told below
    except CycloptsError as error:
        words = " ".join(str(error).split()).removesuffix(".")
        fail(f"{words[:1].lower()}{words[1:]}; --help lists what is taken", EXIT_CODES[UsageError])
    except tuple(EXIT_CODES) as error:
        fail(with_flag(error), next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind)))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        fail("interrupted; give the same command again (a training goes on with --resume)", 130)
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:  # as of a name that is too long
            fail(f"cannot use {error.filename} ({error.strerror}); correct the path", EXIT_CODES[InputError])
        if isinstance(error, OSError) and error.errno in (*FULL, errno.EIO):  # of stdout
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            words = f"cannot write what is answered ({error.strerror}); make room, or choose another place"
            fail(words, EXIT_CODES[InputError])
        traceback.print_exc()
        sys.exit(1)
    sys.exit(0)


def with_flag(error):
    """The message of an error, which names an argument of the library as the flag that sets it."""
    argument = getattr(error, "argument", None)
    message = str(error)
    return f"--{argument.replace('_', '-')}{message.removeprefix(argument)}" if argument else message


def fail(message, exit_code):
    with contextlib.suppress(OSError):  # a full disk behind stderr leaves the exit code
        note(f"error: {message}")
    sys.exit(exit_code)


def parse_requirements(texts):
    """{metric: minimum} from texts NAME=MIN. Raises UsageError for one that is no name and number."""
    parsed = {}
    for text in texts:
        name, _, minimum = text.partition("=")
        try:
            parsed[name] = float(minimum)
            if not math.isfinite(parsed[name]):
                raise ValueError
        except ValueError:
            raise UsageError(f"--require {text!r} has no number; write {name or 'accuracy'}=0.99") from None
    return parsed


def check_named(requirements, metrics):
    """Raise UsageError unless the metrics are among the names `metrics`."""
    for name in requirements:
        if name not in metrics:
            raise UsageError(f"--require names no metric {name!r}; choose one of {', '.join(metrics)}")


def require(metrics, requirements):
    """Raise RequirementError unless each metric reaches its minimum in `requirements`, as parse_requirements gives it.

    metrics: dict; what is no number in it is no metric. Raises UsageError for a metric that is not there.
    """
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    check_named(requirements, numbers)
    for name, minimum in requirements.items():
        if not numbers[name] >= minimum:
            shown = f"{numbers[name]:.4f}"
            shown = shown if float(shown) < minimum else repr(numbers[name])
            raise RequirementError(f"{name} is {shown}, required {minimum:g}; improve it, or require less")
