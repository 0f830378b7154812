"""What a predict request asks a model for, read and measured before anything is decoded or computed.

All of it is done without TensorFlow, so that another process can do it; see json_process.py.
"""

import math
from typing import NamedTuple

import numpy as np

from kerascnn.image_headers import MOST_JPEG_PIXELS, pixels_of
from kerascnn.serving import json_tensors
from kerascnn.serving.json_tensors import RequestError
from kerascnn.serving.limits import flag

# A request of more than this is answered in the line of the heavy ones. Small ones take a tenth of a second or so.
SMALL_VALUES = 2**16  # of its JSON, by its commas
SMALL_ROWS = 16
SMALL_PIXELS = 2**20
SMALL_ANSWER = 2**16  # pixels
# Sides of an image whose header says none that is understood: the largest JPEG that is decoded, if to an eighth.
UNREAD = (math.isqrt(MOST_JPEG_PIXELS) + 1,) * 2


class PredictRequest(NamedTuple):
    """signature: its name. arrays: {input name: array}. row: is it in row form? outputs: the names to answer."""

    signature: str
    arrays: dict[str, np.ndarray]
    row: bool
    outputs: tuple[str, ...]
    heavy: bool


class RequestSize(NamedTuple):
    """rows; pixels of all images and of the largest one; and filled, each as large as the largest one's sides."""

    rows: int
    pixels: int
    largest: int
    filled: int


def predict_request(content, signatures, limits):
    """The PredictRequest in the bytes of a request to a model.

    signatures: {name: ({input name: Tensor}, {output name: Tensor})}. Raises RequestError, with status 413 where a
    limit is passed.
    """
    request = json_tensors.parse_request(content)
    name = json_tensors.signature_name(request)
    if name not in signatures:
        raise RequestError(f'Serving signature name: "{name[:100]}" not found in signature def')
    inputs, outputs = signatures[name]
    arrays, row = json_tensors.input_arrays(request, inputs)
    wanted = output_names(request, outputs)
    size = size_of(arrays)
    check(size, limits)
    # all outputs are computed, whichever are answered
    filled = size.filled if any(output.is_of_pixels() for output in outputs.values()) else 0
    if any(outputs[each].is_of_pixels() for each in wanted):
        check_answer(filled, limits)
    check_computed(filled, limits)
    heavy = size.rows > SMALL_ROWS or size.pixels > SMALL_PIXELS or filled > SMALL_ANSWER
    return PredictRequest(name, arrays, row, wanted, heavy)


def output_names(request, outputs):
    """The outputs that a request asks for: all, or those in `output_filter`, as gRPC's PredictRequest calls it."""
    wanted = request.get("output_filter", []) or list(outputs)
    if not isinstance(wanted, list) or not set(map(type, wanted)) <= {str}:
        raise RequestError("'output_filter' key must be a list of strings")
    if unknown := [name for name in wanted if name not in outputs]:
        raise RequestError(f"output tensor alias not found in signature: {unknown[0][:100]}")
    return tuple(dict.fromkeys(wanted))


def size_of(arrays):
    """The RequestSize of a request for arrays, {input name: array}."""
    sizes = [size_of_images(array) if array.dtype == object else size_of_values(array) for array in arrays.values()]
    return RequestSize(
        max(size.rows for size in sizes),
        sum(size.pixels for size in sizes),
        max(size.largest for size in sizes),
        max(size.filled for size in sizes),
    )


def size_of_images(array):
    """The RequestSize of encoded images, bytes objects."""
    each, filled = pixels_of(array.ravel(), UNREAD)
    return RequestSize(array.size, sum(each), max(each, default=0), filled)


def size_of_values(array):
    """The RequestSize of pixels (N, …, H, W, C), or of other values."""
    values = math.prod(array.shape[:-1]) if array.ndim > 3 else array.size
    rows = len(array) if array.ndim else 1
    return RequestSize(rows, values, values // max(rows, 1), values)


def check(size, limits):
    """Raise RequestError for the first limit that the images of a RequestSize pass."""
    if size.rows > limits.max_images:
        raise too_much(f"the request has {size.rows:,} images", f"{limits.max_images:,}", "max_images")
    million, one, whole = 10**6, limits.max_image_megapixels, limits.max_megapixels
    if size.largest > one * million:
        raise too_much(f"an image has {size.largest:,} pixels", f"{one} million", "max_image_megapixels")
    if size.pixels > whole * million:
        raise too_much(f"the images have {size.pixels:,} pixels", f"{whole} million", "max_megapixels")


def check_computed(pixels, limits):
    """Raise RequestError for more pixels of an output than are computed, whether or not they are answered."""
    if pixels > limits.max_megapixels * 10**6:
        most = f"{limits.max_megapixels} million"
        raise too_much(f"the images have {pixels:,} pixels, each as large as the largest", most, "max_megapixels")


def check_answer(pixels, limits):
    """Raise RequestError for more pixels of an output than are written as JSON."""
    if pixels > limits.max_answer_megapixels * 10**6:
        most = f"{limits.max_answer_megapixels} million"
        remedy = ', or for PNG masks alone, as "output_filter": ["mask_png_bytes"]'
        raise too_much(f"the answer would have {pixels:,} pixels", most, "max_answer_megapixels", remedy)


def too_much(what, most, name, remedy=""):
    """The RequestError for a request that passes the limit of this name."""
    return RequestError(f"{what}, more than {most} ({flag(name)}); ask for less at a time{remedy}", 413)
