"""Images of every format become pixels, and hostile bytes become nothing."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from kerascnn.decoding import decode_each, decode_image, over_background, preprocess_bytes
from kerascnn.digits.preprocessing import preprocess_digits
from tests.drawings import seven

bytes_in_graph = tf.function(
    lambda image_bytes: preprocess_bytes(image_bytes, preprocess_digits, (28, 28, 1)),
    input_signature=[tf.TensorSpec([None], tf.string)],
    autograph=False,
)


def encoded(image, name, **options):
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, name, **options)
    return file.getvalue()


def test_half_transparent_red_on_white_by_hand():
    image = np.array([[[255, 0, 0, 128], [0, 0, 0, 0], [10, 20, 30, 255]]], np.uint8)
    # 255 * (1 - 128 / 255) = 127 for green and blue.
    np.testing.assert_array_equal(over_background(image), [[[255, 127, 127], [255, 255, 255], [10, 20, 30]]])


SEVEN = seven(ink=0, paper=255)
PREPROCESSED = preprocess_digits(SEVEN[np.newaxis, ..., np.newaxis])[0, ..., 0].numpy()
COLOUR = np.repeat(SEVEN[..., np.newaxis], 3, 2)
KEYED = np.where(SEVEN == 255, 77, SEVEN).astype(np.uint8)
TRANSPARENT = np.dstack([np.zeros((200, 150, 3), np.uint8), seven()])


def png(width, height, rows=b"", depth=8):
    """A grey PNG whose header claims a size, written chunk by chunk as RFC 2083 says."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def two_colours(paper, **options):
    image = Image.fromarray((seven() == 0).astype(np.uint8)).convert("P")
    image.putpalette([0, 0, 0, *paper])
    return encoded(image, "PNG", bits=1, **options)


def webp_canvas(width, height):
    """A WebP without its pixels: what is in front of them claims a size."""
    canvas = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<II", 10, 0) + canvas


def top_down_bmp():
    whole = bytearray(encoded(SEVEN[::-1], "BMP"))
    whole[22:26] = struct.pack("<i", -200)
    return bytes(whole)


GOOD = {
    "grey PNG": encoded(SEVEN, "PNG"),
    "RGB PNG": encoded(COLOUR, "PNG"),
    "RGBA PNG": encoded(TRANSPARENT, "PNG"),
    "grey PNG with alpha": encoded(Image.fromarray(TRANSPARENT).convert("LA"), "PNG"),
    "one-bit PNG": encoded(Image.fromarray(SEVEN).convert("1"), "PNG"),
    "four-bit PNG": png(
        150, 200, np.insert(SEVEN[:, ::2] & 0xF0 | SEVEN[:, 1::2] & 0x0F, 0, 0, axis=1).tobytes(), depth=4
    ),
    "16-bit PNG": encoded(SEVEN.astype(np.uint16) * 257, "PNG"),
    "grey PNG with a transparent colour": encoded(KEYED, "PNG", transparency=77),
    "RGB PNG with a transparent colour": encoded(
        np.repeat(KEYED[..., np.newaxis], 3, 2), "PNG", transparency=(77,) * 3
    ),
    "palette PNG": two_colours((255, 255, 255)),
    "palette PNG with transparent paper": two_colours((50, 60, 70), transparency=1),
    "grey JPEG": encoded(SEVEN, "JPEG", quality=95),
    "progressive JPEG": encoded(COLOUR, "JPEG", quality=95, progressive=True),
    "CMYK JPEG": encoded(Image.fromarray(COLOUR).convert("CMYK"), "JPEG", quality=95),
    "grey BMP": encoded(SEVEN, "BMP"),
    "RGB BMP": encoded(COLOUR, "BMP"),
    "BMP from top to bottom": top_down_bmp(),
    "WebP": encoded(COLOUR, "WEBP", quality=95),
    "lossless WebP": encoded(COLOUR, "WEBP", lossless=True),
    "WebP with alpha": encoded(TRANSPARENT, "WEBP", lossless=True, exact=True),
    "BMP of 32 bits": encoded(np.dstack([COLOUR, np.zeros((200, 150), np.uint8)]), "BMP"),
}
LOSSLESS = {"lossless": True}
DAMAGED = bytearray(GOOD["grey PNG"])
DAMAGED[60] ^= 0xFF
JPEG_OF_FOUR_BILLION = bytearray(GOOD["grey JPEG"])
FRAME = JPEG_OF_FOUR_BILLION.index(b"\xff\xc0")
JPEG_OF_FOUR_BILLION[FRAME + 5 : FRAME + 9] = b"\xff\xff\xff\xff"
BMP_OF_FOUR_BILLION = bytearray(GOOD["grey BMP"])
BMP_OF_FOUR_BILLION[18:26] = struct.pack("<ii", 65_536, -65_536)
BAD = {
    "nothing": b"",
    "one byte": b"\x89",
    "text": b"This is no image, it only says that it is one.",
    "zeros": bytes(1000),
    "GIF": encoded(SEVEN, "GIF"),
    "WebP mark alone": b"RIFF\x00\x00\x00\x00WEBPVP8L",
    "half a WebP": GOOD["lossless WebP"][: len(GOOD["lossless WebP"]) // 2],
    "WebP of 25,005,000 pixels": webp_canvas(5001, 5000),
    # TensorFlow 2.21 crashes at some of these
    "WebP that moves": encoded(COLOUR, "WEBP", save_all=True, append_images=[Image.new("RGB", (150, 200))]),
    "TIFF": encoded(SEVEN, "TIFF"),
    "PNG header alone": GOOD["grey PNG"][:8],
    "half a PNG": GOOD["grey PNG"][: len(GOOD["grey PNG"]) // 2],
    "damaged PNG": bytes(DAMAGED),
    "half a JPEG": GOOD["grey JPEG"][: len(GOOD["grey JPEG"]) // 2],
    "JPEG mark alone": b"\xff\xd8\xff",
    "BMP with a palette of colours": encoded(Image.fromarray(COLOUR).quantize(), "BMP"),
    "BMP of one bit": encoded(Image.fromarray(SEVEN).convert("1"), "BMP"),
    "half a BMP": GOOD["grey BMP"][:10_000],
    "BMP mark alone": b"BM",
    "PNG of no width": png(0, 28),
    "PNG of 25,000,001 pixels": png(25_000_001, 1, bytes(25_000_002)),
    "PNG of 2^64 pixels": png(2**32 - 1, 2**32 - 1),
    "JPEG of four billion pixels": bytes(JPEG_OF_FOUR_BILLION),
    "BMP of four billion pixels": bytes(BMP_OF_FOUR_BILLION),
}


@pytest.mark.parametrize("name", GOOD)
def test_an_image_is_decoded_whatever_its_format(name):
    image = decode_image(GOOD[name]).numpy()
    assert image.dtype == np.uint8
    tolerance = 12 if name == "WebP" or "JPEG" in name else 0
    np.testing.assert_allclose(image.astype(int), COLOUR, atol=tolerance)


@pytest.mark.parametrize("name", GOOD)
def test_bytes_are_preprocessed_like_the_pixels(name):
    images, valid = bytes_in_graph([GOOD[name]])
    assert valid.numpy().tolist() == [True]
    np.testing.assert_allclose(images[0, ..., 0], PREPROCESSED, atol=0.05 if name == "WebP" or "JPEG" in name else 1e-6)


@pytest.mark.parametrize("name", BAD)
def test_a_broken_item_is_invalid_and_spoils_no_other(name):
    images, valid = bytes_in_graph([GOOD["grey PNG"], BAD[name], GOOD["RGBA PNG"]])
    assert valid.numpy().tolist() == [True, False, True]
    np.testing.assert_array_equal(images[1], 0)
    alone, _ = bytes_in_graph([GOOD["grey PNG"], GOOD["RGBA PNG"]])
    np.testing.assert_array_equal(tf.gather(images, [0, 2]), alone)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_image(BAD[name])


PHOTO = Image.fromarray(
    np.kron(np.random.default_rng(0).integers(0, 256, (6, 4, 3)), np.ones((16, 16, 1))).astype(np.uint8)
)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))
def test_the_orientation_in_the_metadata_is_followed_where_there_is_such_a_one(name, orientation):
    exif = Image.Exif()
    exif.update({0x010F: "somebody's camera", 0x0112: orientation, 0x8825: {1: "N"}})
    file = encoded(
        PHOTO, name, exif=exif.tobytes(), **({"quality": 95, "subsampling": 0} if name == "JPEG" else LOSSLESS)
    )
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB")
    np.testing.assert_allclose(decode_image(file).numpy().astype(int), expected, atol=4)
    # and so it is in what trains and in what is exported
    (image,), (valid,) = decode_each(tf.constant([file]), tf.identity, tf.TensorSpec([None, None, 3], tf.uint8))
    assert valid
    np.testing.assert_allclose(image.numpy().astype(int), expected, atol=4)


def test_the_orientation_of_a_png_may_stand_behind_its_pixels():
    draw = np.random.default_rng(0)
    noise, exif = draw.integers(0, 256, (90, 80, 3), np.uint8), Image.Exif()
    exif.update({0x0112: 6})
    file = encoded(noise, "PNG", exif=exif.tobytes())
    start = file.index(b"eXIf") - 4
    chunk = file[start : start + 12 + int.from_bytes(file[start : start + 4], "big")]
    moved = file.replace(chunk, b"").replace(file[-12:], chunk + file[-12:])
    assert moved.index(b"eXIf") > 2**14
    np.testing.assert_array_equal(decode_image(moved), np.rot90(noise, -1))


def test_the_orientation_of_a_webp_may_stand_behind_the_mark_of_a_jpeg():
    # as Pillow wrote it before 9.3
    exif = tiff("<", (0x0112, 3, 1, 6))
    file = encoded(PHOTO, "WEBP", lossless=True, exif=b"?" * len(exif))
    np.testing.assert_array_equal(decode_image(file.replace(b"?" * len(exif), exif)), np.rot90(PHOTO, -1))


def test_a_text_that_speaks_of_metadata_is_none():
    exif, text = Image.Exif(), PngInfo()
    exif.update({0x0112: 6})
    text.add_text("comment", "EXIF and eXIf, Exif")
    file = encoded(PHOTO, "PNG", exif=exif.tobytes(), pnginfo=text)
    assert file.index(b"EXIF and") < file.rindex(b"eXIf")
    np.testing.assert_array_equal(decode_image(file), np.rot90(PHOTO, -1))


def tiff(order, *entries):
    """A TIFF directory of entries (tag, type, count, value): what EXIF metadata are."""
    rows = (struct.pack(f"{order}HHIHH", *entry, 0) for entry in entries)
    start = struct.pack(f"{order}HIH", 42, 8, len(entries))
    return b"Exif\0\0" + (b"II" if order == "<" else b"MM") + start + b"".join(rows) + bytes(4)


@pytest.mark.parametrize("order", "<>")
def test_metadata_of_either_byte_order_turn_a_photo_to_the_right(order):
    file = encoded(PHOTO, "JPEG", quality=95, subsampling=0, exif=tiff(order, (0x010E, 3, 1, 1), (0x0112, 3, 1, 6)))
    np.testing.assert_allclose(decode_image(file).numpy().astype(int), np.rot90(PHOTO, -1), atol=4)


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0no metadata at all",
        tiff("<", (0x0112, 3, 1, 9)),
        tiff("<", (0x0112, 2, 1, 6)),
        tiff("<", (0x0112, 3, 7, 6)),
        tiff(">", (0x0112, 3, 1, 6))[:-9],
    ],
)
def test_metadata_that_make_no_sense_lose_the_rotation_and_not_the_photo(exif):
    file = encoded(PHOTO, "JPEG", quality=95, subsampling=0, exif=exif)
    np.testing.assert_allclose(decode_image(file).numpy().astype(int), PHOTO, atol=4)


@pytest.mark.parametrize(("shortest", "ratio"), [(None, 1), (33, 1), (32, 2), (17, 2), (16, 4), (9, 4), (8, 8), (1, 8)])
def test_a_jpeg_is_decoded_as_small_as_is_asked_for_by_libjpegs_own_scaling(shortest, ratio):
    file = encoded(PHOTO, "JPEG", quality=95, subsampling=0)
    with Image.open(io.BytesIO(file)) as small:
        small.draft("RGB", (64 // ratio, 96 // ratio))
        assert small.size == (64 // ratio, 96 // ratio)
        np.testing.assert_allclose(decode_image(file, shortest).numpy().astype(int), small, atol=2)


def test_25_million_pixels_are_allowed_and_a_blank_image_is_valid():
    images, valid = bytes_in_graph([png(5000, 5000, bytes(5000 * 5001))])
    assert valid.numpy().tolist() == [True]
    np.testing.assert_array_equal(images, 0)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_of_a_large_camera_is_decoded_at_a_half_at_most(progressive):
    file = encoded(Image.new("RGB", (8256, 6192), (200, 30, 90)), "JPEG", progressive=progressive)
    small = decode_image(file, 224).numpy()
    assert small.shape == (774, 1032, 3)
    np.testing.assert_allclose(small.astype(int), np.broadcast_to([200, 30, 90], small.shape), atol=3)
    # 51 million pixels; a quarter of them are taken, though the shorter side is then less than what is asked for
    assert decode_image(file, 4000).shape == (3096, 4128, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="a JPEG of too many pixels"):
        decode_image(file)


def test_a_jpeg_that_claims_more_than_any_camera_has_is_rejected():
    file = encoded(PHOTO, "JPEG")
    place = file.index(b"\xff\xc0") + 5  # of height and width in the start of frame
    with pytest.raises(tf.errors.InvalidArgumentError, match="a JPEG of too many pixels"):
        decode_image(file[:place] + struct.pack(">HH", 12_000, 12_000) + file[place + 4 :], 1)


def test_a_decompression_bomb_is_rejected_before_it_is_decoded():
    bomb = png(12_000, 12_000, bytes(12_000 * 12_001))
    bytes_in_graph([png(1, 1, bytes(2))])  # traces the graph
    start = time.perf_counter()
    _, valid = bytes_in_graph([bomb])
    # Decoding it takes a second or more and gigabytes; looking at its header some milliseconds.
    assert time.perf_counter() - start < 1
    assert valid.numpy().tolist() == [False]


def test_only_bad_items_and_no_items_at_all_are_answered_too():
    images, valid = bytes_in_graph(list(BAD.values()))
    assert not valid.numpy().any()
    np.testing.assert_array_equal(images, 0)
    images, valid = bytes_in_graph(tf.zeros([0], tf.string))
    assert (images.shape, valid.shape) == ((0, 28, 28, 1), (0,))


def test_images_of_mixed_sizes_and_formats_keep_their_order():
    names = [*GOOD, *reversed(GOOD)]
    scaled = encoded(np.kron(SEVEN, np.ones((2, 2), np.uint8)), "PNG")
    together, valid = bytes_in_graph([GOOD[name] for name in names] + [scaled])
    assert valid.numpy().all()
    for name, image in zip(names, together, strict=False):
        np.testing.assert_array_equal(image, bytes_in_graph([GOOD[name]])[0][0], err_msg=name)
    np.testing.assert_allclose(together[-1, ..., 0], PREPROCESSED, atol=0.05)
