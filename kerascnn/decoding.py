"""Encoded images to pixels, in TensorFlow ops that travel inside a SavedModel; the guard against hostile bytes.

`decode_image` looks at an image's header before anything is decoded; `preprocess_bytes` goes on after a broken image.
"""

import tensorflow as tf

from kerascnn.images import MOST_PIXELS

# What stands before the EXIF metadata of a file, and how far they begin behind it.
EXIF = {"jpeg": (b"Exif\0\0", 0), "png": (b"eXIf", 0), "webp": (b"EXIF", 4)}


def decode_image(image_bytes, shortest=None):
    """One encoded image: scalar string -> RGB uint8 (H, W, 3), grey repeated, what is transparent over_background.

    Accepts PNG, JPEG, WebP and BMP of at most 25 million pixels by their header, which is read before anything is
    decoded; of an animation the first frame is taken. The orientation in EXIF metadata is followed. 16 bits per channel
    are cut to 8; the alpha channel of a BMP is ignored. shortest: a JPEG is decoded at the smallest of 1/8, 1/4, 1/2
    and its full size of which no side is shorter than these pixels, which saves most of the time for large photos.
    Raises tf.errors.InvalidArgumentError for everything else and for what does not decode.
    """
    # Zeros behind a header that ends too early: no side of an image is 0.
    header = tf.strings.join([tf.strings.substr(image_bytes, 0, 32), b"\0" * 32])
    png = tf.strings.substr(header, 0, 8) == b"\x89PNG\r\n\x1a\n"
    jpeg = tf.strings.substr(header, 0, 3) == b"\xff\xd8\xff"
    webp = (tf.strings.substr(header, 0, 4) == b"RIFF") & (tf.strings.substr(header, 8, 4) == b"WEBP")
    bmp = tf.strings.substr(header, 0, 2) == b"BM"
    # In float64, since the product of two sides of 32 bits does not fit into 64 bits with a sign.
    sides = tf.case(
        [
            (png, lambda: two_integers(header, 16, little_endian=False)),
            (jpeg, lambda: tf.cast(tf.io.extract_jpeg_shape(image_bytes)[:2], tf.float64)),
            (webp, lambda: webp_sides(image_bytes, header)),
            # A negative height means that the rows go from top to bottom.
            (bmp, lambda: tf.abs(two_integers(header, 18, little_endian=True))),
        ],
        default=lambda: tf.zeros([2], tf.float64),
    )
    allowed = (tf.reduce_min(sides) > 0) & (tf.reduce_prod(sides) <= MOST_PIXELS)
    image_bytes = checked(
        image_bytes, allowed, "no PNG, JPEG, WebP or BMP of at most 25 million pixels; its sides are", sides
    )

    def turned(image, kind):
        return oriented(tf.ensure_shape(image, [None, None, 3]), exif_orientation(image_bytes, *EXIF[kind]))

    image = tf.case(
        [
            (png, lambda: turned(decode_png(image_bytes, header), "png")),
            (jpeg, lambda: turned(decode_jpeg(image_bytes, sides, shortest), "jpeg")),
            (webp, lambda: turned(decode_webp(image_bytes), "webp")),
        ],
        default=lambda: decode_bmp(image_bytes),
    )
    return tf.ensure_shape(image, [None, None, 3])


def checked(values, allowed, words, shown):
    """The tensor or tensors `values`, eagerly as in a graph only where `allowed`, a bool scalar, is True.

    Else raises tf.errors.InvalidArgumentError with the words and the tensor `shown`.
    """
    check = tf.debugging.Assert(allowed, [words, shown], summarize=5)
    with tf.control_dependencies([check] if check is not None else []):
        return tf.nest.map_structure(tf.identity, values)


def two_integers(header, position, little_endian):
    """Two neighbouring signed integers of 32 bits inside a scalar string -> float64 (2,)."""
    both = tf.io.decode_raw(tf.strings.substr(header, position, 8), tf.int32, little_endian=little_endian)
    return tf.cast(tf.ensure_shape(both, [2]), tf.float64)


def decode_jpeg(image_bytes, sides, shortest):
    """Scalar string -> RGB uint8 (H, W, 3), as small as `shortest` allows. sides: of the full image."""

    def at(ratio):
        return lambda: tf.io.decode_jpeg(image_bytes, channels=3, ratio=ratio)

    if shortest is None:
        return at(1)()
    return tf.case(
        [(tf.math.ceil(tf.reduce_min(sides) / ratio) >= shortest, at(ratio)) for ratio in (8, 4, 2)], default=at(1)
    )


def webp_sides(image_bytes, header):
    """Height and width of a WebP image, the height that of all frames of an animation together: float64 (2,)."""
    numbers = tf.cast(tf.io.decode_raw(header, tf.uint8), tf.int64)

    def whole(position, size):
        return tf.reduce_sum(numbers[position : position + size] * 256 ** tf.range(size, dtype=tf.int64))

    kind = tf.strings.substr(header, 12, 4)
    # https://developers.google.com/speed/webp/docs/riff_container; every frame is decoded, so each counts
    frames = tf.maximum(tf.size(tf.strings.split(image_bytes, "ANMF"), tf.int64) - 1, 1)
    bits = whole(21, 4)
    sides = tf.case(
        [
            (kind == b"VP8X", lambda: [(whole(27, 3) + 1) * frames, whole(24, 3) + 1]),
            (kind == b"VP8L", lambda: [bits // 2**14 % 2**14 + 1, bits % 2**14 + 1]),
            (kind == b"VP8 ", lambda: [whole(28, 2) % 2**14, whole(26, 2) % 2**14]),
        ],
        default=lambda: [tf.zeros([], tf.int64)] * 2,
    )
    return tf.cast(tf.stack(sides), tf.float64)


def decode_webp(image_bytes):
    """Scalar string -> RGB uint8 (H, W, 3), of the first frame."""
    # channels=3 would raise for an image with an alpha channel
    image = tf.io.decode_webp(image_bytes, channels=0)[0]
    return tf.cond(
        tf.shape(image)[2] == 4,
        lambda: over_background(tf.ensure_shape(image, [None, None, 4])),
        lambda: tf.ensure_shape(image, [None, None, 3]),
    )


def exif_orientation(image_bytes, mark, distance):
    """The orientation in a file's EXIF metadata, int32 of 1 to 8; 1 where there are none or they make no sense.

    mark: the bytes in front of the metadata, which begin `distance` bytes behind them. Metadata are a TIFF directory
    (CIPA DC-008, section 4.5): byte order, offset of the directory, number of entries of 12 bytes.
    """
    parts = tf.strings.split(image_bytes, mark, maxsplit=1)
    directory = tf.cond(tf.size(parts) > 1, lambda: tf.strings.substr(parts[1], distance, 2**16), lambda: b"")
    numbers = tf.pad(tf.cast(tf.io.decode_raw(directory, tf.uint8), tf.int64), [[0, 2**16]])
    little = tf.strings.substr(directory, 0, 4) == b"II*\0"
    known = little | (tf.strings.substr(directory, 0, 4) == b"MM\0*")

    def whole(positions, size):
        read = tf.gather(numbers, tf.minimum(positions[:, tf.newaxis] + tf.range(size, dtype=tf.int64), 2**16 - 1))
        powers = 256 ** tf.range(size, dtype=tf.int64)
        return tf.reduce_sum(read * tf.where(little, powers, powers[::-1]), 1)

    start = whole(tf.constant([4], tf.int64), 4)
    entries = start + 2 + 12 * tf.range(tf.minimum(whole(start, 2)[0], 2**12))
    short = (whole(entries, 2) == 0x0112) & (whole(entries + 2, 2) == 3) & (whole(entries + 4, 4) == 1)
    value = tf.boolean_mask(whole(entries + 8, 2), short & known)
    first = tf.cast(tf.concat([value, [1]], 0)[0], tf.int32)
    return tf.where((first >= 1) & (first <= 8), first, 1)


def oriented(image, orientation):
    """The image (H, W, C) as its EXIF orientation says it is to be looked at: (H, W, C) or (W, H, C)."""
    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    image = tf.cond(tf.reduce_any(orientation == [2, 3, 6, 7]), lambda: image[:, ::-1], lambda: image)
    return tf.cond(tf.reduce_any(orientation == [3, 4, 7, 8]), lambda: image[::-1], lambda: image)


def decode_png(image_bytes, header):
    """Scalar string -> RGB uint8 (H, W, 3)."""
    image = tf.io.decode_png(image_bytes, channels=4)
    # With fewer than 8 bits a channel, TensorFlow 2.21 gives a full alpha as 2^bits - 1.
    bits = tf.cast(tf.io.decode_raw(tf.strings.substr(header, 24, 1), tf.uint8)[0], tf.int32)
    full = tf.minimum(tf.bitwise.left_shift(1, bits) - 1, 255)
    opaque = tf.reduce_all(tf.cast(image[..., 3], tf.int32) == full)
    return tf.cond(opaque, lambda: image[..., :3], lambda: over_background(image))


def decode_bmp(image_bytes):
    """Scalar string -> RGB uint8 (H, W, 3)."""
    image = tf.io.decode_bmp(image_bytes)
    return tf.cond(tf.shape(image)[2] == 1, lambda: tf.repeat(image, 3, axis=2), lambda: image[..., :3])


def over_background(images):
    """What is transparent laid over white, or over black if nothing would show on white.

    RGB and alpha uint8 (..., H, W, 4) -> RGB uint8 (..., H, W, 3).
    """
    # In whole numbers, half the memory of floats: 255 * 255 + 127 still fits into 16 bits.
    colour, alpha = tf.cast(images[..., :3], tf.uint16), tf.cast(images[..., 3:], tf.uint16)
    full = tf.constant(255, tf.uint16)
    black = (colour * alpha + tf.constant(127, tf.uint16)) // full
    white = tf.minimum(black + (full - alpha), full)
    shows = tf.reduce_min(tf.cast(white, tf.int32), [-3, -2, -1], keepdims=True) < 240
    return tf.cast(tf.where(shows, white, black), tf.uint8)


def in_colour(images):
    """uint8 (B, H, W, 1, 3 or 4) -> RGB uint8 (B, H, W, 3): grey repeated, what is transparent over_background.

    Raises tf.errors.InvalidArgumentError as by_channels does.
    """
    return by_channels(images, grey=lambda images: tf.repeat(images, 3, 3), colour=tf.identity)


def by_channels(images, grey, colour):
    """What is made of images uint8 (B, H, W, C): grey(images (B, H, W, 1)), or colour(RGB images (B, H, W, 3)).

    What is transparent is laid over_background first. Raises tf.errors.InvalidArgumentError for any other rank or C
    than 1, 3 and 4, and for images without pixels.
    """
    images = tf.ensure_shape(images, [None] * 4)
    shape = tf.shape(images)
    known = tf.reduce_any(shape[3] == [1, 3, 4]) & (shape[1] > 0) & (shape[2] > 0)
    images = checked(images, known, "an image needs pixels of 1, 3 or 4 channels; this one has the shape", shape)
    ways = {
        1: lambda: grey(images[..., :1]),
        3: lambda: colour(images[..., :3]),
        4: lambda: colour(over_background(images)),
    }
    if images.shape[3] in ways:
        return ways[images.shape[3]]()
    return tf.case([(shape[3] == 3, ways[3]), (shape[3] == 4, ways[4])], default=ways[1])


def resized(images, size):
    """uint8 (B, H, W, C) -> uint8 (B, *size, C), whatever the proportions.

    Means over areas where both sides shrink, else bilinear. tf.image.resize's antialias gives the same quality and
    takes four times as long to 224x224.
    """
    pixels = tf.cond(
        tf.reduce_all(tf.shape(images)[1:3] >= size),
        lambda: tf.image.resize(images, size, method="area"),
        lambda: tf.image.resize(images, size, method="bilinear"),
    )
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0.0, 255.0), tf.uint8)


def decode_or_blank(image_bytes, shortest=None):
    """(RGB uint8 (H, W, 3), True) of an encoded image, or (one black pixel, False) where decode_image raises."""
    # Only tf.data can go on after an error. No more than decoding happens inside it, because graphs are not optimised
    # there: preprocessing took about twice as long.
    nothing = tf.data.Dataset.from_tensors((tf.zeros([1, 1, 3], tf.uint8), False))
    decoded = tf.data.Dataset.from_tensors(image_bytes).map(lambda data: (decode_image(data, shortest), True))
    return decoded.ignore_errors(log_warning=False).concatenate(nothing).take(1).get_single_element()


def preprocess_bytes(image_bytes, preprocess, shape):
    """Decode and preprocess images of mixed sizes and formats: string (B,) -> float32 (B, *shape) and valid bool (B,).

    preprocess: uint8 (1, H, W, 3) -> float32 (1, *shape); where it has an attribute `shortest`, it takes images as
    decode_image gives them with it. Where decode_image raises, valid is False and the result all 0; the others are as
    without it.
    """

    def one(item):
        image, valid = decode_or_blank(item, getattr(preprocess, "shortest", None))
        preprocessed = tf.ensure_shape(preprocess(image[tf.newaxis])[0], shape)
        return tf.where(valid, preprocessed, 0), valid

    signature = (tf.TensorSpec(shape, tf.float32), tf.TensorSpec([], tf.bool))
    return tf.map_fn(one, tf.ensure_shape(image_bytes, [None]), fn_output_signature=signature)
