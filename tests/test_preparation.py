"""Pictures become what MNIST's normalisation makes of them, and hostile bytes become nothing."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn.preparation import decode_image, over_background, prepare_bytes, prepare_digits

in_graph = tf.function(prepare_digits, input_signature=[tf.TensorSpec([None] * 4, tf.uint8)], autograph=False)
bytes_in_graph = tf.function(
    lambda image_bytes: prepare_bytes(image_bytes, prepare_digits, (28, 28, 1)),
    input_signature=[tf.TensorSpec([None], tf.string)],
    autograph=False,
)


def prepared(picture):
    """One picture (H, W) or (H, W, C) through the graph with unknown sizes -> (28, 28)."""
    return in_graph(picture.reshape(1, *picture.shape[:2], -1)).numpy()[0, ..., 0]


def seven(height=200, width=150, ink=255, paper=0):
    """A 7 of straight strokes, 100 high and 60 wide, not in the middle."""
    picture = np.full((height, width), paper, np.uint8)
    picture[30:45, 20:80] = ink
    for row in range(45, 130):
        right = 80 - (row - 45) // 2
        picture[row, right - 15 : right] = ink
    return picture


def encoded(picture, name, **options):
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, name, **options)
    return file.getvalue()


def centre(digit):
    rows, columns = digit.sum(1), digit.sum(0)
    place = np.arange(28)
    return (rows * place).sum() / rows.sum(), (columns * place).sum() / columns.sum()


def box(digit):
    rows, columns = np.flatnonzero(digit.max(1)), np.flatnonzero(digit.max(0))
    return rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1


@pytest.mark.data
def test_mnist_stays_as_it_is(mnist):
    images = mnist.test.images
    expected = tf.cast(images, tf.float32) * (1 / 255)
    for prepare in (prepare_digits, in_graph):
        equal = np.all(prepare(images) == expected, axis=(1, 2, 3))
        assert equal.mean() >= 0.999


@pytest.mark.data
def test_mnist_comes_back_from_another_place_and_from_dark_on_light(mnist):
    images = mnist.test.images[:500]
    moved = np.full((500, 60, 45, 1), 255, np.uint8)
    moved[:, 25:53, 3:31] = 255 - images
    error = np.abs(in_graph(moved).numpy() - images / np.float32(255)).max(axis=(1, 2, 3))
    # Ink fainter than a tenth does not count for the box, so a few boxes are a pixel smaller and scaled differently.
    assert np.mean(error <= 1.01 / 255) >= 0.75
    assert np.mean(error <= 0.1) >= 0.95


def test_a_normalised_digit_on_another_paper_is_still_recognised_as_one():
    digit = np.round(prepared(seven()) * 255).astype(np.uint8)
    np.testing.assert_array_equal(np.round(prepared(digit) * 255), digit)
    np.testing.assert_array_equal(np.round(prepared(255 - digit) * 255), digit)


def test_the_longer_side_becomes_20_pixels_and_the_mass_lies_in_the_middle():
    digit = prepared(seven())
    # 100 high and 60 wide become 20 and 12.
    assert box(digit) == (20, 12)
    np.testing.assert_allclose(centre(digit), (14, 14), atol=0.5)
    assert digit.max() == 1


def test_a_bar_keeps_its_aspect_by_hand():
    picture = np.full((90, 70), 200, np.uint8)
    picture[5:85, 40:50] = 20
    digit = prepared(picture)
    # 80 x 10 becomes 20 x 2.5; whole pixels are 20 x 2, all of full ink.
    assert box(digit) == (20, 2)
    assert digit.sum() == pytest.approx(40, rel=1e-5)


def test_scaling_is_that_of_tensorflows_antialiased_resize():
    rng = np.random.default_rng(1)
    blob = np.full((120, 120), 0, np.uint8)
    blob[20:100, 30:90] = rng.integers(160, 256, (80, 60))
    blob[20, 30] = 255
    # At full contrast on a paper of 0 the ink is the level itself.
    expected = tf.image.resize(blob[20:100, 30:90, np.newaxis] / np.float32(255), (20, 15), antialias=True).numpy()
    digit = prepared(blob)
    rows, columns = np.flatnonzero(digit.max(1)), np.flatnonzero(digit.max(0))
    cut = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    np.testing.assert_allclose(cut, expected[..., 0] / expected.max(), atol=2e-3)


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (40, 210), (200, 60), (150, 200)])
def test_contrast_and_polarity_make_no_difference(ink, paper):
    np.testing.assert_allclose(prepared(seven(ink=ink, paper=paper)), prepared(seven()), atol=1e-5)


def test_grey_levels_are_those_of_pillow():
    rng = np.random.default_rng(2)
    colour = rng.integers(0, 256, (40, 30, 3), np.uint8)
    grey = np.asarray(Image.fromarray(colour).convert("L"))
    np.testing.assert_allclose(prepared(colour), prepared(grey), atol=0.05)
    np.testing.assert_array_equal(prepared(np.repeat(seven()[..., np.newaxis], 3, 2)), prepared(seven()))


@pytest.mark.parametrize("colour", [0, 90, 255])
def test_ink_that_is_only_in_the_alpha_channel_is_seen(colour):
    picture = np.full((200, 150, 4), colour, np.uint8)
    picture[..., 3] = seven()
    np.testing.assert_allclose(prepared(picture), prepared(seven()), atol=1e-5)


def test_half_transparent_red_on_white_by_hand():
    picture = np.array([[[255, 0, 0, 128], [0, 0, 0, 0], [10, 20, 30, 255]]], np.uint8)
    # 255 * (1 - 128 / 255) = 127 for green and blue.
    np.testing.assert_array_equal(over_background(picture), [[[255, 127, 127], [255, 255, 255], [10, 20, 30]]])


def test_noise_on_the_paper_is_left_out():
    rng = np.random.default_rng(3)
    clean = seven(ink=40, paper=200)
    noisy = np.clip(clean + rng.normal(0, 8, clean.shape), 0, 255).astype(np.uint8)
    digit = prepared(noisy)
    assert box(digit) == (20, 12)
    assert np.all(digit[prepared(clean) == 0] < 0.15)


@pytest.mark.parametrize("size", [(28, 28), (1, 1), (1, 40), (300, 2), (700, 900)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_picture_becomes_all_zero(size, level):
    np.testing.assert_array_equal(prepared(np.full(size, level, np.uint8)), 0)


def test_paper_with_nothing_but_noise_is_blank():
    noise = np.random.default_rng(4).normal(150, 20, (64, 64)).clip(0, 255).astype(np.uint8)
    np.testing.assert_array_equal(prepared(noise), 0)


def test_any_size_gives_finite_values_in_range():
    rng = np.random.default_rng(5)
    for shape in [(1, 1, 3), (2, 3, 1), (1, 200, 4), (7, 5, 3), (28, 28, 4), (1200, 31, 1)]:
        digit = prepared(rng.integers(0, 256, shape, np.uint8))
        assert np.isfinite(digit).all(), shape
        assert digit.min() >= 0, shape
        assert digit.max() <= 1, shape


def test_a_large_picture_is_read_like_a_small_one():
    large = np.kron(seven(), np.ones((12, 12), np.uint8))
    np.testing.assert_allclose(prepared(large), prepared(seven()), atol=0.06)


def test_a_batch_gives_what_its_pictures_give_alone():
    pictures = np.stack([seven(), seven(ink=30, paper=220), np.zeros((200, 150), np.uint8), seven()[:, ::-1]])
    together = in_graph(pictures[..., np.newaxis]).numpy()[..., 0]
    np.testing.assert_allclose(together, [prepared(picture) for picture in pictures], atol=1e-6)
    assert in_graph(np.zeros((0, 30, 30, 3), np.uint8)).shape == (0, 28, 28, 1)


@pytest.mark.parametrize("shape", [(1, 28, 28, 2), (1, 28, 28, 5), (1, 28, 28, 0), (28, 28, 1), (1, 0, 28, 1)])
def test_other_ranks_and_channels_are_an_error(shape):
    for prepare in (prepare_digits, tf.function(prepare_digits, input_signature=[tf.TensorSpec(None, tf.uint8)])):
        with pytest.raises(tf.errors.InvalidArgumentError):
            prepare(tf.zeros(shape, tf.uint8))


SEVEN = seven(ink=0, paper=255)
COLOUR = np.repeat(SEVEN[..., np.newaxis], 3, 2)
TRANSPARENT = np.dstack([np.zeros((200, 150, 3), np.uint8), seven()])


def png(width, height, rows=b"", depth=8):
    """A grey PNG whose header claims a size, written chunk by chunk as RFC 2083 says."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def two_colours(paper, **options):
    picture = Image.fromarray((seven() == 0).astype(np.uint8)).convert("P")
    picture.putpalette([0, 0, 0, *paper])
    return encoded(picture, "PNG", bits=1, **options)


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
    "palette PNG": two_colours((255, 255, 255)),
    "palette PNG with transparent paper": two_colours((50, 60, 70), transparency=1),
    "grey JPEG": encoded(SEVEN, "JPEG", quality=95),
    "progressive JPEG": encoded(COLOUR, "JPEG", quality=95, progressive=True),
    "CMYK JPEG": encoded(Image.fromarray(COLOUR).convert("CMYK"), "JPEG", quality=95),
    "grey BMP": encoded(SEVEN, "BMP"),
    "RGB BMP": encoded(COLOUR, "BMP"),
    "BMP from top to bottom": top_down_bmp(),
    "BMP of 32 bits": encoded(np.dstack([COLOUR, np.zeros((200, 150), np.uint8)]), "BMP"),
}
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
    "text": b"This is no picture, it only says that it is one.",
    "zeros": bytes(1000),
    "GIF": encoded(SEVEN, "GIF"),
    "WebP": encoded(COLOUR, "WEBP", lossless=True),
    "TIFF": encoded(SEVEN, "TIFF"),
    "PNG header alone": GOOD["grey PNG"][:8],
    "half a PNG": GOOD["grey PNG"][: len(GOOD["grey PNG"]) // 2],
    "damaged PNG": bytes(DAMAGED),
    "half a JPEG": GOOD["grey JPEG"][: len(GOOD["grey JPEG"]) // 2],
    "JPEG mark alone": b"\xff\xd8\xff",
    "half a BMP": GOOD["grey BMP"][:10_000],
    "BMP mark alone": b"BM",
    "PNG of no width": png(0, 28),
    "PNG of 25,000,001 pixels": png(25_000_001, 1, bytes(25_000_002)),
    "PNG of 2^64 pixels": png(2**32 - 1, 2**32 - 1),
    "JPEG of four billion pixels": bytes(JPEG_OF_FOUR_BILLION),
    "BMP of four billion pixels": bytes(BMP_OF_FOUR_BILLION),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_picture_is_decoded_whatever_its_format(name):
    picture = decode_image(GOOD[name]).numpy()
    assert picture.dtype == np.uint8
    tolerance = 12 if "JPEG" in name else 0
    np.testing.assert_allclose(picture.astype(int), COLOUR, atol=tolerance)


@pytest.mark.parametrize("name", GOOD)
def test_bytes_are_prepared_like_the_pixels(name):
    images, valid = bytes_in_graph([GOOD[name]])
    assert valid.numpy().tolist() == [True]
    np.testing.assert_allclose(images[0, ..., 0], prepared(SEVEN), atol=0.05 if "JPEG" in name else 1e-6)


@pytest.mark.parametrize("name", BAD)
def test_a_broken_item_is_invalid_and_spoils_no_other(name):
    images, valid = bytes_in_graph([GOOD["grey PNG"], BAD[name], GOOD["RGBA PNG"]])
    assert valid.numpy().tolist() == [True, False, True]
    np.testing.assert_array_equal(images[1], 0)
    alone, _ = bytes_in_graph([GOOD["grey PNG"], GOOD["RGBA PNG"]])
    np.testing.assert_array_equal(tf.gather(images, [0, 2]), alone)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_image(BAD[name])


def test_25_million_pixels_are_allowed_and_a_blank_picture_is_valid():
    images, valid = bytes_in_graph([png(5000, 5000, bytes(5000 * 5001))])
    assert valid.numpy().tolist() == [True]
    np.testing.assert_array_equal(images, 0)


def test_a_decompression_bomb_is_refused_before_it_is_decoded():
    bomb = png(12_000, 12_000, bytes(12_000 * 12_001))
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


def test_pictures_of_mixed_sizes_and_formats_keep_their_order():
    names = [*GOOD, *reversed(GOOD)]
    scaled = encoded(np.kron(SEVEN, np.ones((2, 2), np.uint8)), "PNG")
    together, valid = bytes_in_graph([GOOD[name] for name in names] + [scaled])
    assert valid.numpy().all()
    for name, image in zip(names, together, strict=False):
        np.testing.assert_array_equal(image, bytes_in_graph([GOOD[name]])[0][0], err_msg=name)
    np.testing.assert_allclose(together[-1, ..., 0], prepared(SEVEN), atol=0.05)
