"""What encoded images say of themselves before they are decoded: format, sides, orientation; a whole batch at once."""

import numpy as np
import tensorflow as tf

from kerascnn.image_headers import BMP, JPEG, MOST_PIXELS, PNG, WEBP

# What stands in front of the EXIF metadata of a JPEG, a PNG and a WebP, and how these begin.
EXIF = r"(?:Exif\x00\x00|eXIf|EXIF\C{4})(II\*\x00|MM\x00\*)"
EXIF_BYTES = 2**12  # that are looked at; an orientation lies within far fewer


def let_in(image_bytes):
    """What is known of encoded images, string (B,), before they are decoded, by name, (B,) each.

    content: the bytes, empty where the header is not that of an image that is let in; what a JPEG's says is looked at
    by `decode_jpeg`. jpeg, bmp: whether it is one. keyed: whether it is a PNG with one colour that is transparent.
    orientation: int32 of 1 to 8, by the EXIF metadata.
    """
    # Zeros behind a header that ends too early: no side of an image is 0.
    header = tf.strings.substr(tf.strings.join([tf.strings.substr(image_bytes, 0, 32), b"\0" * 32]), 0, 32)
    png, jpeg, webp, bmp = (tf.strings.substr(header, 0, len(mark)) == mark for mark in (PNG, JPEG, WEBP, BMP))
    numbers = tf.cast(tf.io.decode_raw(header, tf.uint8, fixed_length=32), tf.float64)
    sides = tf.where(png[:, tf.newaxis], png_sides(numbers), tf.where(bmp[:, tf.newaxis], bmp_sides(numbers), 0.0))
    sides = tf.where(webp[:, tf.newaxis], webp_sides(numbers, header), sides)
    fits = jpeg | ((tf.reduce_min(sides, 1) > 0) & (tf.reduce_prod(sides, 1) <= MOST_PIXELS))
    fits &= ~(webp & webp_moves(numbers, header))
    fits &= ~bmp | bmp_in_grey_or_colour(numbers, tf.where(bmp, image_bytes, ""))
    # a JPEG has its metadata in front of its pixels, a WebP behind them, a PNG on either side
    front = tf.where(webp | png, image_bytes, tf.strings.substr(image_bytes, 0, 2**14))
    told = tf.strings.regex_full_match(front, rf"\C*{EXIF}\C*")
    orientation = tf.cond(
        tf.reduce_any(told),
        lambda: exif_orientation(tf.strings.regex_replace(front, rf"^\C*?{EXIF}", r"\1", False)),
        lambda: tf.ones_like(told, tf.int32),
    )
    # in grey (0) or colour (2) without an alpha channel; a palette's is read anyway
    plain = png & ((numbers[:, 25] == 0) | (numbers[:, 25] == 2))
    keyed = tf.strings.regex_full_match(tf.strings.substr(tf.where(plain, image_bytes, ""), 0, 2**16), r"\C*tRNS\C*")
    told_of = {"jpeg": jpeg, "bmp": bmp, "keyed": keyed, "orientation": tf.where(told, orientation, 1)}
    return {"content": tf.where(fits, image_bytes, ""), **told_of}


def whole_numbers(numbers, position, size, big_endian=False):
    """The unsigned integers of `size` bytes at a position of each row of bytes float64 (B, N): float64 (B,)."""
    powers = 256.0 ** np.arange(size)
    powers = powers[::-1] if big_endian else powers
    return tf.linalg.matvec(numbers[:, position : position + size], powers)


def png_sides(numbers):
    """Height and width that the header of a PNG claims: float64 (B, 2)."""
    return tf.stack([whole_numbers(numbers, position, 4, big_endian=True) for position in (20, 16)], 1)


def bmp_sides(numbers):
    """Height and width that the header of a BMP claims: float64 (B, 2)."""
    height, width = (whole_numbers(numbers, position, 4) for position in (22, 18))
    # a negative height means that the rows go from top to bottom
    return tf.stack([tf.minimum(height, 2.0**32 - height), width], 1)


def bmp_in_grey_or_colour(numbers, image_bytes):
    """Whether TensorFlow reads a BMP right: bool (B,). It takes 8 bits for an intensity, whatever the palette says."""
    greys = bytes(np.repeat(np.arange(256, dtype=np.uint8), 4) * np.tile([1, 1, 1, 0], 256).astype(np.uint8))
    start = tf.cast(14 + tf.minimum(whole_numbers(numbers, 14, 4), 1000.0), tf.int32)  # behind the header
    palette = tf.strings.substr(tf.strings.join([image_bytes, b"\0" * 2**12]), start, tf.fill(tf.shape(start), 1024))
    return (whole_numbers(numbers, 28, 2) > 8) | (palette == greys)


def webp_sides(numbers, header):
    """Height and width that the header of a WebP claims: float64 (B, 2).

    https://developers.google.com/speed/webp/docs/riff_container.
    """
    bits, kind = whole_numbers(numbers, 21, 4), tf.strings.substr(header, 8, 8)
    sides = {
        b"WEBPVP8X": (whole_numbers(numbers, 27, 3) + 1, whole_numbers(numbers, 24, 3) + 1),
        b"WEBPVP8L": (bits // 2**14 % 2**14 + 1, bits % 2**14 + 1),
        b"WEBPVP8 ": (whole_numbers(numbers, 28, 2) % 2**14, whole_numbers(numbers, 26, 2) % 2**14),
    }
    return sum(tf.stack(pair, 1) * tf.cast(kind == name, tf.float64)[:, tf.newaxis] for name, pair in sides.items())


def webp_moves(numbers, header):
    """Whether a WebP is an animation: bool (B,). TensorFlow 2.21 writes past the end of its memory for some of them."""
    return (tf.strings.substr(header, 8, 8) == b"WEBPVP8X") & (numbers[:, 20] // 2 % 2 == 1)


def exif_orientation(directory):
    """The orientation in EXIF metadata, int32 (B,) of 1 to 8; 1 where they say none or make no sense.

    directory: string (B,) that begins with them, a TIFF directory (CIPA DC-008, section 4.5): byte order, offset of the
    entries, their number, entries of 12 bytes.
    """
    numbers = tf.cast(tf.io.decode_raw(directory, tf.uint8, fixed_length=EXIF_BYTES), tf.int32)
    little = (tf.strings.substr(directory, 0, 2) == b"II")[:, tf.newaxis]

    def whole(positions, size):
        places = tf.clip_by_value(positions[..., tf.newaxis] + tf.range(size), 0, EXIF_BYTES - 1)
        powers = 256 ** tf.range(size)
        powers = tf.where(little, powers, powers[::-1])[:, tf.newaxis]
        return tf.reduce_sum(tf.gather(numbers, places, axis=1, batch_dims=1) * powers, -1)

    # of four bytes only the lower two: what begins later is not looked at
    start = whole(tf.where(little, 4, 6), 2)
    place = tf.range(EXIF_BYTES // 12)
    entries = start + 2 + 12 * place
    counted = place < whole(start, 2)
    short = (whole(entries, 2) == 0x0112) & (whole(entries + 2, 2) == 3) & (whole(entries + 4, 4) == 1)
    found = counted & short
    value = tf.gather(whole(entries + 8, 2), tf.argmax(tf.cast(found, tf.int32), 1), axis=1, batch_dims=1)
    return tf.where(tf.reduce_any(found, 1) & (value >= 1) & (value <= 8), value, 1)
