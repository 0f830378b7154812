"""What the embedded server takes at most: each limit is a flag, and whoever passes it is told which."""

from dataclasses import dataclass
from typing import Annotated, get_origin

from cyclopts import Parameter, convert
from cyclopts.validators import Number


def whole(kind, tokens):
    """What Cyclopts makes of the text of a flag, whole numbers as they are: by itself it would round 1.5 to 2.

    Several numbers may have commas between them.
    """
    if get_origin(kind) is tuple:
        tokens = [token.evolve(value=part) for token in tokens for part in token.value.split(",") if part]
    for token in tokens:
        if "." in token.value:
            raise ValueError(f"{token.value} is no whole number")
    return convert(kind, tokens)


def limit(text, most):
    """The type of a flag: a whole number from 1 to `most`."""
    return Annotated[int, Parameter(help=text, converter=whole, validator=Number(gte=1, lte=most))]


@dataclass(frozen=True)
class Limits:
    """Sizes in MiB and in millions of pixels, times in seconds."""

    max_request_mib: limit("Largest body, inflated where it is compressed; 413 for more.", 4096) = 16
    max_images: limit("Most images, or other rows, of one request; 413 for more.", 1_000_000) = 1024
    max_image_megapixels: limit("Most pixels of an image, by its header; 413 for more.", 1000) = 25
    max_megapixels: limit("Most pixels of all images of a request, by their headers; 413 for more.", 100_000) = 100
    max_answer_megapixels: limit("Most pixels of an output in JSON; 413 for more.", 1000) = 4
    max_heavy: limit("Heavy requests that are answered at a time; Starlette has 40 threads for all.", 32) = 1
    max_waiting: limit("Requests that are received, wait or are answered at a time; 503 for more.", 100_000) = 128
    send_timeout: limit("Seconds in which a request must have been sent; 408 for longer.", 86_400) = 30
    deadline: limit("Seconds in which the answering must have begun; 504 for longer.", 86_400) = 60


def flag(name):
    """How the command line writes the limit of this name."""
    return f"--{name.replace('_', '-')}"
