"""What the bytes of a PNG, JPEG, WebP or BMP file claim of themselves, read without decoding and without TensorFlow.

The same rules as in kerascnn.decoding.headers, whose TensorFlow ops look at images inside a SavedModel. Pillow's are
others: it rejects headers that TensorFlow decodes.
"""

import math
import re

MOST_PIXELS = 25_000_000  # that an image is decoded to
# Of a JPEG that is decoded at a half, a quarter or an eighth of its size, as cameras of 100 megapixels write them: of a
# progressive one all coefficients are in memory, 6 bytes a pixel at most.
MOST_JPEG_PIXELS = 2**27
PNG, JPEG, WEBP, BMP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"BM"  # how a file begins
MOST_SEGMENTS = 1000  # of a JPEG that are looked at; the size stands behind a dozen
JPEG_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)  # \xff+ would take quadratic time
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # start of frame
WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD8)}
ENDS = {0xD9, 0xDA}  # of the image, of the headers


def claimed_sides(content):
    """(height, width) of an encoded image by its header, (0, 0) where it is none, None where that cannot be read.

    As it is stored: EXIF metadata may turn it, see may_be_turned.
    """
    header = content[:32].ljust(32, b"\0")
    if content.startswith(PNG):
        return int.from_bytes(header[20:24]), int.from_bytes(header[16:20])
    if content.startswith(JPEG):
        return jpeg_sides(content)
    if content.startswith(BMP):
        # a negative height means that the rows go from top to bottom
        return abs(int.from_bytes(header[22:26], "little", signed=True)), int.from_bytes(header[18:22], "little")
    return webp_sides(header) if content.startswith(WEBP) else (0, 0)


def webp_sides(header):
    """Height and width by https://developers.google.com/speed/webp/docs/riff_container."""

    def whole(start, stop):
        return int.from_bytes(header[start:stop], "little")

    kind = header[8:16]
    if kind == b"WEBPVP8X":
        return whole(27, 30) + 1, whole(24, 27) + 1
    if kind == b"WEBPVP8L":
        return whole(21, 25) // 2**14 % 2**14 + 1, whole(21, 25) % 2**14 + 1
    return (whole(28, 30) % 2**14, whole(26, 28) % 2**14) if kind == b"WEBPVP8 " else (0, 0)


def jpeg_sides(content):
    """Height and width by the first start of frame (ITU-T T.81, annex B), None where there is none."""
    place = 2
    for _ in range(MOST_SEGMENTS):
        found = JPEG_MARKER.search(content, place)
        if not found or found[1][0] in ENDS:
            return None
        marker, place = found[1][0], found.end()
        if marker in FRAMES:
            return int.from_bytes(content[place + 3 : place + 5]), int.from_bytes(content[place + 5 : place + 7])
        if marker not in WITHOUT_LENGTH:
            place += max(2, int.from_bytes(content[place : place + 2]))
    return None


def may_be_turned(content):
    """Whether an encoded image has EXIF metadata, which may swap its height and width."""
    front = content if content.startswith((WEBP, PNG)) else content[: 2**14]
    return any(mark in front for mark in (b"Exif\0\0", b"eXIf", b"EXIF"))


def pixels_of(contents, unread=(0, 0)):
    """(pixels of each encoded image, pixels of all when each is filled up to the height and width of the largest).

    unread: the sides of one whose header cannot be read.
    """
    stored = [claimed_sides(content) or unread for content in contents]
    sides = [
        (max(pair), max(pair)) if may_be_turned(content) else pair
        for content, pair in zip(contents, stored, strict=True)
    ]
    height, width = (max(each, default=0) for each in ([pair[0] for pair in sides], [pair[1] for pair in sides]))
    return [math.prod(pair) for pair in stored], len(sides) * height * width
