"""Preprocessing of handwritten digits: from pixels to what a network sees, in TensorFlow ops.

`preprocess_digits` works eagerly and inside a tf.function with unknown sizes, so evaluation, `predict` and the exported
model share it.

The normalisation of handwritten digits is that of MNIST: LeCun, Bottou, Bengio & Haffner, 1998, section III.A.
"""

import tensorflow as tf

from kerascnn.decoding import by_channels

# Larger images are first reduced to this many pixels on the longer side, 28 for each pixel of a preprocessed box.
WORKING_SIZE = 560


def preprocess_digits(images):
    """One digit per image, normalised as MNIST is: uint8 (B, H, W, C) -> float32 (B, 28, 28, 1) in [0, 1].

    C is 1 (grey), 3 (RGB) or 4 (RGB and alpha). The digit may be dark on light or light on dark; it comes out bright on
    0. Its bounding box is scaled so that the longer side is 20 pixels, and placed so that its centre of mass comes
    nearest to the centre of pixel (14, 14). An image that is normalised already, as all of MNIST is, keeps its pixels;
    one without a digit becomes all 0.

    Raises tf.errors.InvalidArgumentError for any other rank or C, and for images without pixels.
    """
    bright, inked = ink_on_paper(grey_intensities(images))
    height, width = tf.shape(bright)[1], tf.shape(bright)[2]
    side = tf.maximum(28, tf.maximum(height, width))
    to_square = [[0, 0], [0, side - height], [0, side - width]]
    corner = tf.pad(bright, to_square)[:, :28, :28]
    unchanged = is_normalised(corner) & (height == 28) & (width == 28)
    kept = corner * (1 / 255)

    def normalised():
        digits = centred(tf.pad(ink_alone(bright, inked), to_square))
        return tf.where(unchanged[:, tf.newaxis, tf.newaxis], kept, digits)

    digits = tf.cond(tf.reduce_all(unchanged), lambda: kept, normalised)
    return tf.ensure_shape(digits[..., tf.newaxis], [None, 28, 28, 1])


def grey_intensities(images):
    """Whole grey intensities 0 to 255: uint8 (B, H, W, C) -> float32 (B, h, w), h and w at most WORKING_SIZE.

    Colour counts as in ITU-R BT.601. Raises tf.errors.InvalidArgumentError as preprocess_digits does.
    """

    def luma(colour):
        return tf.round(tf.tensordot(shrunk(colour), [0.299, 0.587, 0.114], 1))

    return by_channels(images, grey=lambda images: tf.round(shrunk(images)[..., 0]), colour=luma)


def shrunk(images):
    """Reduced by averaging so that no side is over WORKING_SIZE: uint8 (B, H, W, C) -> float32 (B, h, w, C)."""
    size = tf.shape(images)[1:3]
    longest = tf.reduce_max(size)
    return tf.cond(
        longest > WORKING_SIZE,
        lambda: tf.image.resize(images, tf.maximum(size * WORKING_SIZE // longest, 1), method="area"),
        lambda: tf.cast(images, tf.float32),
    )


def ink_on_paper(grey):
    """Tell the ink from the paper by Otsu's threshold; the paper is what most of the border shows.

    grey: float32 (B, H, W), whole intensities 0 to 255. Returns two of the same shape: the intensities, inverted where
    the paper is bright, so that ink is; and 1 where there is ink, 0 on paper.
    """
    edge = border(grey)
    above = grey > otsu_threshold(grey)
    inverted = tf.reduce_sum(edge * tf.cast(above, tf.float32), [1, 2], keepdims=True) > 0.5 * tf.reduce_sum(edge)
    return tf.where(inverted, 255 - grey, grey), tf.cast(above != inverted, tf.float32)


def ink_alone(bright, inked):
    """The ink stretched to full contrast and 0 everywhere else, on noisy paper too.

    bright, inked: as ink_on_paper returns them. Returns float32 (B, H, W) in [0, 1].
    """
    paper, paper_variance = weighted_moments(bright, border(bright) * (1 - inked))
    depth = bright - paper
    mean, variance = weighted_moments(depth, inked)
    # Two standard deviations over the mean reach the full ink but not a speck that is much darker than the pen.
    peak = tf.minimum(tf.reduce_max(depth, [1, 2], keepdims=True), mean + 2 * tf.sqrt(variance))
    # Mere noise is split in two as well, but its halves lie close together for their width: the squared distance of
    # the means over the sum of variances is (2 sqrt(2 / pi))^2 / (2 - 4 / pi) = 3.5 for a bell curve.
    _, rest_variance = weighted_moments(depth, 1 - inked)
    told_apart = (peak >= 16) & (tf.square(mean) > 4.5 * (variance + rest_variance))

    ink = tf.clip_by_value(tf.math.divide_no_nan(depth, peak), 0, 1)
    noise = tf.math.divide_no_nan(3 * tf.sqrt(paper_variance), peak)
    around = tf.nn.avg_pool2d(tf.where(ink > noise, ink, 0)[..., tf.newaxis], 3, 1, "SAME")[..., 0]
    return tf.where(told_apart & (ink > noise) & (around > noise / 2), ink, 0)


def border(images):
    """1 on the outermost pixels and 0 inside: float32 (H, W) for images (B, H, W)."""
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    y, x = tf.range(height)[:, tf.newaxis], tf.range(width)
    return tf.cast((y == 0) | (y == height - 1) | (x == 0) | (x == width - 1), tf.float32)


def otsu_threshold(grey):
    """The intensity that splits the pixels into the two classes furthest apart (Otsu, 1979): (B, H, W) -> (B, 1, 1)."""
    pixels = tf.shape(grey)[1] * tf.shape(grey)[2]
    intensities = tf.cast(tf.reshape(grey, [-1, pixels]), tf.int32)
    count = tf.math.bincount(intensities, minlength=256, maxlength=256, axis=-1)
    share = tf.cast(count, tf.float32) / tf.cast(pixels, tf.float32)
    below = tf.cumsum(share, axis=1)
    moment = tf.cumsum(share * tf.range(256.0), axis=1)
    between = tf.math.divide_no_nan(tf.square(moment[:, -1:] * below - moment), below * (1 - below))
    return tf.cast(tf.argmax(between, axis=1), tf.float32)[:, tf.newaxis, tf.newaxis]


def weighted_moments(values, weights):
    """Mean and variance over each image: two of float32 (B, H, W) -> two of (B, 1, 1), 0 where all weights are 0."""
    total = tf.reduce_sum(weights, [1, 2], keepdims=True)
    mean = tf.math.divide_no_nan(tf.reduce_sum(values * weights, [1, 2], keepdims=True), total)
    squares = tf.reduce_sum(tf.square(values - mean) * weights, [1, 2], keepdims=True)
    return mean, tf.math.divide_no_nan(squares, total)


def is_normalised(images):
    """Whether MNIST could hold these pixels: intensities 0 to 255 as float32 (B, 28, 28) -> bool (B,).

    Measured on MNIST's 70,000 images: the longer side of the box is 19 or 20, the centre of mass lies within 0.52
    pixels of the centre of pixel (14, 14) in either direction, and the brightest pixel is at least 254.
    """
    full = tf.reduce_max(images, [1, 2]) >= 254
    longest = tf.reduce_max(extent(by_axis(tf.reduce_max, images) > 0)[1], 1)
    offset = tf.reduce_max(abs(centre_of_mass(images) - 14.5), 1)
    return full & (longest >= 19) & (longest <= 20) & (offset <= 0.52)


def by_axis(reduction, images):
    """What `reduction` makes of every row and of every column: (B, N, N) -> (B, 2, N)."""
    return tf.stack([reduction(images, 2), reduction(images, 1)], 1)


def extent(lines):
    """The first line with ink and the number of lines up to the last: bool (B, 2, N) -> two of int32 (B, 2)."""
    length = tf.shape(lines)[2]
    first = tf.argmax(tf.cast(lines, tf.int32), 2, tf.int32)
    last = length - 1 - tf.argmax(tf.cast(lines[..., ::-1], tf.int32), 2, tf.int32)
    return first, last - first + 1


def centre_of_mass(images):
    """Where the ink balances, in pixels from the upper left corner: float32 (B, N, N) -> (B, 2)."""
    profiles = by_axis(tf.reduce_sum, images)
    place = tf.range(tf.cast(tf.shape(profiles)[2], tf.float32)) + 0.5
    return tf.math.divide_no_nan(tf.reduce_sum(profiles * place, 2), tf.reduce_sum(profiles, 2))


def centred(ink):
    """The ink's box scaled to 20 pixels on its longer side, centre of mass in the middle, full contrast.

    float32 (B, N, N) in [0, 1] -> float32 (B, 28, 28) in [0, 1].
    """
    # A tenth of full ink: what a JPEG leaves around a stroke is fainter.
    first, length = extent(by_axis(tf.reduce_max, ink) > 0.1)
    weights = resampling(tf.cast(first, tf.float32), tf.cast(length, tf.float32), centre_of_mass(ink), tf.shape(ink)[1])
    digits = tf.matmul(tf.matmul(weights[:, 0], ink), weights[:, 1], transpose_b=True)
    return tf.clip_by_value(tf.math.divide_no_nan(digits, tf.reduce_max(digits, [1, 2], keepdims=True)), 0, 1)


def resampling(first, length, middle, size):
    """Per axis the matrix that scales the longer side to 20 and brings `middle` to 14.5, to the nearest pixel.

    first, length, middle: float32 (B, 2), the box and the centre of mass. Returns float32 (B, 2, 28, size). The filter
    is a triangle as wide as the scaling needs, as in tf.image.resize with antialiasing.
    """
    scaled = tf.maximum(tf.round(20 * length / tf.reduce_max(length, 1, keepdims=True)), 1)
    step = length / scaled
    offset = tf.clip_by_value(tf.round(14.5 - (middle - first) / step), 0, 28 - scaled)
    first, length, scaled, step, offset = (value[..., tf.newaxis] for value in (first, length, scaled, step, offset))
    line = tf.range(28.0) - offset
    source = tf.range(tf.cast(size, tf.float32))
    inside = tf.cast((source >= first) & (source < first + length), tf.float32)
    distance = abs((first + (line + 0.5) * step)[..., tf.newaxis] - (source + 0.5))
    weights = tf.nn.relu(1 - distance / tf.maximum(step, 1)[..., tf.newaxis]) * inside[..., tf.newaxis, :]
    weights *= tf.cast((line >= 0) & (line < scaled), tf.float32)[..., tf.newaxis]
    return tf.math.divide_no_nan(weights, tf.reduce_sum(weights, 3, keepdims=True))
