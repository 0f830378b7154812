"""What an image claims of itself, against Pillow, and against TensorFlow where Pillow refuses what that decodes."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn.image_headers import claimed_sides, may_be_turned, pixels_of

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def encoded(kind, **options):
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, kind, **options)
    return file.getvalue()


def turned(kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(kind, exif=exif)


PNG, JPEG = encoded("PNG"), encoded("JPEG")
TEXT = struct.pack(">I", 4) + b"tEXt" + b"a\0bc" + bytes(4)  # its checksum is wrong
FOUR_BILLION = PNG[:16] + struct.pack(">II", 2**16, 2**16) + PNG[24:]
TOP_DOWN = encoded("BMP")[:22] + struct.pack("<i", -20) + encoded("BMP")[26:]


@pytest.mark.parametrize(
    "content",
    [PNG, JPEG, encoded("JPEG", progressive=True), encoded("BMP"), TOP_DOWN, turned("JPEG"), turned("PNG")]
    + [encoded("WEBP"), encoded("WEBP", lossless=True), turned("WEBP")]
    + [encoded("WEBP", save_all=True, append_images=[Image.new("RGB", (30, 20))])],
)
def test_the_sides_are_those_that_pillow_finds(content):
    with Image.open(io.BytesIO(content)) as image:
        assert claimed_sides(content) == (image.height, image.width) == (20, 30)


@pytest.mark.parametrize("content", [PNG[:33] + TEXT + PNG[33:], JPEG[:2] + b"\xff\xe0\0\7JFIF\0" + JPEG[20:]])
def test_what_pillow_refuses_and_tensorflow_decodes_has_sides(content):
    with pytest.raises((OSError, SyntaxError)), Image.open(io.BytesIO(content)) as image:
        image.load()
    assert claimed_sides(content) == tuple(tf.io.decode_image(content).shape[:2]) == (20, 30)


def test_a_header_may_claim_anything():
    assert claimed_sides(FOUR_BILLION) == (2**16, 2**16)
    assert claimed_sides(b"GIF89a") == claimed_sides(b"") == claimed_sides(b"RIFF") == (0, 0)
    assert claimed_sides(b"\xff\xd8\xff") is claimed_sides(JPEG[:100]) is None


def test_a_jpeg_of_many_comments_is_not_read_to_its_end():
    comments = JPEG[:2] + b"\xff\xfe\0\2" * 900 + JPEG[2:]
    assert claimed_sides(comments) == (20, 30)
    assert claimed_sides(JPEG[:2] + b"\xff\xfe\0\2" * 1100 + JPEG[2:]) is None


def test_bytes_of_fill_are_passed_over_in_linear_time():
    began = time.perf_counter()
    assert claimed_sides(b"\xff\xd8" + b"\xff" * 10**6) is None
    assert claimed_sides(b"\xff\xd8" + b"\xff" * 10**6 + JPEG[3:]) == (20, 30)
    assert time.perf_counter() - began < 1  # quadratic it would take an hour


def test_images_are_filled_up_to_the_largest_and_turned_ones_either_way():
    assert pixels_of([]) == ([], 0)
    assert pixels_of([PNG, b"no image"]) == ([20 * 30, 0], 2 * 20 * 30)
    for kind in ("PNG", "JPEG", "WEBP"):
        assert may_be_turned(turned(kind))
        assert not may_be_turned(encoded(kind))
        assert pixels_of([turned(kind)]) == ([20 * 30], 30 * 30)
    # metadata of a PNG may stand behind its pixels
    behind = PNG[:-12] + b"\0" * 2**14 + turned("PNG")[turned("PNG").index(b"eXIf") :]
    assert may_be_turned(behind)
    assert pixels_of([PNG, b"\xff\xd8\xff"], unread=(50, 40)) == ([20 * 30, 50 * 40], 2 * 50 * 40)


def test_no_bytes_end_in_an_error():
    draws = np.random.default_rng(1)
    for content in (PNG, JPEG, encoded("BMP"), encoded("WEBP"), zlib.compress(PNG)):
        for _ in range(200):
            changed = bytearray(content[: draws.integers(1, len(content))])
            changed[draws.integers(len(changed))] = draws.integers(256)
            (pixels,), filled = pixels_of([bytes(changed)], (1, 1))
            assert 0 <= pixels <= filled
