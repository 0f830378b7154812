"""Encoded images to pixels, in TensorFlow ops that travel inside a SavedModel; the guard against hostile bytes.

`decode_image` looks at an image's header before anything is decoded; `preprocess_bytes` goes on after a broken image.
"""

import tensorflow as tf

from kerascnn.decoding.headers import let_in
from kerascnn.image_headers import MOST_JPEG_PIXELS, MOST_PIXELS

RATIOS = (1, 2, 4, 8)  # of libjpeg's own scaling


def decode_image(image_bytes, shortest=None):
    """One encoded image: scalar string -> RGB uint8 (H, W, 3), grey repeated, what is transparent over_background.

    Accepts PNG, JPEG, WebP and BMP of at most 25 million pixels by their header, which is read before anything is
    decoded; no animated WebP. The orientation in EXIF metadata is followed. 16 bits per channel are cut to 8; the alpha
    channel of a BMP is ignored. shortest: a JPEG is decoded at the smallest of 1/8, 1/4, 1/2 and its full size of which
    no side is shorter than these pixels, which saves most of the time for large photos. One of up to 2^27 pixels is
    then taken, too, at the largest of these sizes that has 25 million.
    Raises tf.errors.InvalidArgumentError for everything else and for what does not decode.
    """
    item = {name: value[0] for name, value in let_in(tf.reshape(image_bytes, [1])).items()}
    return as_rgb(stored_pixels(item, shortest), item)


@tf.autograph.experimental.do_not_convert  # it would take seconds to find nothing to convert
def decode_each(image_bytes, then, spec, shortest=None, *also):
    """then(image) of each of the encoded images (B,), stacked, and valid bool (B,).

    image: as decode_image gives it; where that raises, valid is False and it is one black pixel. spec: tf.TensorSpec of
    what `then` gives. also: tensors (B, ...), of which `then` gets what is the image's.
    """

    def one(parts):
        item, *own = parts
        image, valid = decode_or_blank(item, shortest)
        return then(image, *own), valid

    items = let_in(tf.ensure_shape(image_bytes, [None]))
    return tf.map_fn(one, (items, *also), fn_output_signature=(spec, tf.TensorSpec([], tf.bool)))


def decode_or_blank(item, shortest=None):
    """(RGB uint8 (H, W, 3), True) of one of let_in's images, or (one black pixel, False) where it does not decode."""
    # Only tf.data can go on after an error. No more than must be happens inside it: every call builds its function
    # anew, in a time that goes with the size of that function, and graphs are not optimised there.
    nothing = tf.data.Dataset.from_tensors((tf.zeros([1, 1, 1], tf.uint8), False))
    stored = tf.data.Dataset.from_tensors(item).map(lambda item: (stored_pixels(item, shortest), True))
    image, valid = stored.ignore_errors(log_warning=False).concatenate(nothing).take(1).get_single_element()
    return as_rgb(image, item), valid


def stored_pixels(item, shortest):
    """Of one of let_in's images: uint8 (H, W, 1 to 4), as it is stored, a JPEG in colour and as small as may be."""

    def any_other():
        # it knows the format itself and has no conditionals, which cost as much in tf.data as a small image
        return tf.raw_ops.DecodeImage(contents=item["content"], channels=0, dtype=tf.uint8, expand_animations=False)

    def with_alpha():
        return tf.io.decode_png(item["content"], channels=4)

    which = tf.cast(item["jpeg"], tf.int32) + 2 * tf.cast(item["keyed"], tf.int32)
    image = tf.switch_case(which, [any_other, lambda: decode_jpeg(item["content"], shortest), with_alpha])
    return tf.ensure_shape(image, [None, None, None])


def decode_jpeg(image_bytes, shortest):
    """Scalar string -> RGB uint8 (H, W, 3), as small as `shortest` allows."""
    sides, ratios = tf.cast(tf.io.extract_jpeg_shape(image_bytes)[:2], tf.float64), RATIOS if shortest else (1,)
    pixels, most = tf.reduce_prod(sides), MOST_JPEG_PIXELS if shortest else MOST_PIXELS
    image_bytes = checked(image_bytes, pixels <= most, "a JPEG of too many pixels; its sides are", sides)
    # by a half for each that may be, or must be
    small = [tf.math.ceil(tf.reduce_min(sides) / ratio) >= shortest for ratio in ratios[1:]]
    large = [pixels > MOST_PIXELS * ratio**2 for ratio in ratios[:-1]]
    halved = tf.maximum(*(tf.reduce_sum(tf.cast(each, tf.int32)) for each in (small, large))) if small else 0

    def at(ratio):
        return lambda: tf.io.decode_jpeg(image_bytes, channels=3, ratio=ratio)

    return tf.switch_case(halved, [at(ratio) for ratio in ratios]) if small else at(1)()


def as_rgb(image, item):
    """What stored_pixels gives -> RGB uint8 (H, W, 3), upright."""
    ways = [
        lambda: tf.repeat(image, 3, 2),
        lambda: over_background(tf.gather(image, [0, 0, 0, 1], axis=2)),
        lambda: image,
        lambda: tf.cond(item["bmp"], lambda: image[..., :3], lambda: over_background(image)),
    ]

    def changed():
        colour = tf.ensure_shape(tf.switch_case(tf.shape(image)[2] - 1, ways), [None, None, 3])
        return oriented(colour, item["orientation"])

    # one conditional for most photos
    done = (tf.shape(image)[2] == 3) & (item["orientation"] == 1)
    return tf.ensure_shape(tf.cond(done, lambda: image, changed), [None, None, 3])


def oriented(image, orientation):
    """The image (H, W, C) as its EXIF orientation says it is to be looked at: (H, W, C) or (W, H, C)."""
    turned = tf.transpose(image, tf.where(orientation >= 5, [1, 0, 2], [0, 1, 2]))
    across, down = (tf.reduce_any(orientation == which) for which in ([2, 3, 6, 7], [3, 4, 7, 8]))
    return tf.raw_ops.Reverse(tensor=turned, dims=tf.stack([down, across, False]))


def checked(values, allowed, words, shown):
    """The tensor or tensors `values`, eagerly as in a graph only where `allowed`, a bool scalar, is True.

    Else raises tf.errors.InvalidArgumentError with the words and the tensor `shown`.
    """
    check = tf.debugging.Assert(allowed, [words, shown], summarize=5)
    with tf.control_dependencies([check] if check is not None else []):
        return tf.nest.map_structure(tf.identity, values)


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


@tf.autograph.experimental.do_not_convert
def preprocess_bytes(image_bytes, preprocess, shape):
    """Decode and preprocess images of mixed sizes and formats: string (B,) -> float32 (B, *shape) and valid bool (B,).

    preprocess: uint8 (1, H, W, 3) -> float32 (1, *shape); where it has an attribute `shortest`, it takes images as
    decode_image gives them with it. Where decode_image raises, valid is False and the result all 0; the others are as
    without it.
    """
    spec, shortest = tf.TensorSpec(shape, tf.float32), getattr(preprocess, "shortest", None)
    images, valid = decode_each(
        image_bytes, lambda image: tf.ensure_shape(preprocess(image[tf.newaxis])[0], shape), spec, shortest
    )
    return tf.where(tf.reshape(valid, [-1] + [1] * len(shape)), images, 0), valid
