"""Images become what MNIST's normalisation makes of them."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn.digits.preprocessing import preprocess_digits
from tests.drawings import seven

in_graph = tf.function(preprocess_digits, input_signature=[tf.TensorSpec([None] * 4, tf.uint8)], autograph=False)


def preprocessed(image):
    """One image (H, W) or (H, W, C) through the graph with unknown sizes -> (28, 28)."""
    return in_graph(image.reshape(1, *image.shape[:2], -1)).numpy()[0, ..., 0]


def centre(digit):
    rows, columns = digit.sum(1), digit.sum(0)
    place = np.arange(28)
    return (rows * place).sum() / rows.sum(), (columns * place).sum() / columns.sum()


def box(digit):
    rows, columns = np.flatnonzero(digit.max(1)), np.flatnonzero(digit.max(0))
    return rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1


@pytest.mark.data
@pytest.mark.long
def test_mnist_stays_as_it_is(mnist):
    images = mnist.test.images
    expected = tf.cast(images, tf.float32) * (1 / 255)
    for function in (preprocess_digits, in_graph):
        equal = np.all(function(images) == expected, axis=(1, 2, 3))
        assert equal.mean() >= 0.999


@pytest.mark.long
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
    digit = np.round(preprocessed(seven()) * 255).astype(np.uint8)
    np.testing.assert_array_equal(np.round(preprocessed(digit) * 255), digit)
    np.testing.assert_array_equal(np.round(preprocessed(255 - digit) * 255), digit)


def test_the_longer_side_becomes_20_pixels_and_the_mass_lies_in_the_middle():
    digit = preprocessed(seven())
    # 100 high and 60 wide become 20 and 12.
    assert box(digit) == (20, 12)
    np.testing.assert_allclose(centre(digit), (14, 14), atol=0.5)
    assert digit.max() == 1


def test_a_bar_keeps_its_aspect_by_hand():
    image = np.full((90, 70), 200, np.uint8)
    image[5:85, 40:50] = 20
    digit = preprocessed(image)
    # 80 x 10 becomes 20 x 2.5; whole pixels are 20 x 2, all of full ink.
    assert box(digit) == (20, 2)
    assert digit.sum() == pytest.approx(40, rel=1e-5)


def test_scaling_is_that_of_tensorflows_antialiased_resize():
    rng = np.random.default_rng(1)
    blob = np.full((120, 120), 0, np.uint8)
    blob[20:100, 30:90] = rng.integers(160, 256, (80, 60))
    blob[20, 30] = 255
    # At full contrast on a paper of 0 the ink is the intensity itself.
    expected = tf.image.resize(blob[20:100, 30:90, np.newaxis] / np.float32(255), (20, 15), antialias=True).numpy()
    digit = preprocessed(blob)
    rows, columns = np.flatnonzero(digit.max(1)), np.flatnonzero(digit.max(0))
    cut = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    np.testing.assert_allclose(cut, expected[..., 0] / expected.max(), atol=2e-3)


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (40, 210), (200, 60), (150, 200)])
def test_contrast_and_polarity_make_no_difference(ink, paper):
    np.testing.assert_allclose(preprocessed(seven(ink=ink, paper=paper)), preprocessed(seven()), atol=1e-5)


def test_grey_intensities_are_those_of_pillow():
    rng = np.random.default_rng(2)
    colour = rng.integers(0, 256, (40, 30, 3), np.uint8)
    grey = np.asarray(Image.fromarray(colour).convert("L"))
    np.testing.assert_allclose(preprocessed(colour), preprocessed(grey), atol=0.05)
    np.testing.assert_array_equal(preprocessed(np.repeat(seven()[..., np.newaxis], 3, 2)), preprocessed(seven()))


@pytest.mark.parametrize("colour", [0, 90, 255])
def test_ink_that_is_only_in_the_alpha_channel_is_seen(colour):
    image = np.full((200, 150, 4), colour, np.uint8)
    image[..., 3] = seven()
    np.testing.assert_allclose(preprocessed(image), preprocessed(seven()), atol=1e-5)


def test_noise_on_the_paper_is_left_out():
    rng = np.random.default_rng(3)
    clean = seven(ink=40, paper=200)
    noisy = np.clip(clean + rng.normal(0, 8, clean.shape), 0, 255).astype(np.uint8)
    digit = preprocessed(noisy)
    assert box(digit) == (20, 12)
    assert np.all(digit[preprocessed(clean) == 0] < 0.15)


@pytest.mark.parametrize("size", [(28, 28), (1, 1), (1, 40), (300, 2), (700, 900)])
@pytest.mark.parametrize("intensity", [0, 128, 255])
def test_a_blank_image_becomes_all_zero(size, intensity):
    np.testing.assert_array_equal(preprocessed(np.full(size, intensity, np.uint8)), 0)


def test_paper_with_nothing_but_noise_is_blank():
    noise = np.random.default_rng(4).normal(150, 20, (64, 64)).clip(0, 255).astype(np.uint8)
    np.testing.assert_array_equal(preprocessed(noise), 0)


def test_any_size_gives_finite_values_in_range():
    rng = np.random.default_rng(5)
    for shape in [(1, 1, 3), (2, 3, 1), (1, 200, 4), (7, 5, 3), (28, 28, 4), (1200, 31, 1)]:
        digit = preprocessed(rng.integers(0, 256, shape, np.uint8))
        assert np.isfinite(digit).all(), shape
        assert digit.min() >= 0, shape
        assert digit.max() <= 1, shape


def test_a_large_image_is_read_like_a_small_one():
    large = np.kron(seven(), np.ones((12, 12), np.uint8))
    np.testing.assert_allclose(preprocessed(large), preprocessed(seven()), atol=0.06)


def test_a_batch_gives_what_its_images_give_alone():
    images = np.stack([seven(), seven(ink=30, paper=220), np.zeros((200, 150), np.uint8), seven()[:, ::-1]])
    together = in_graph(images[..., np.newaxis]).numpy()[..., 0]
    np.testing.assert_allclose(together, [preprocessed(image) for image in images], atol=1e-6)
    assert in_graph(np.zeros((0, 30, 30, 3), np.uint8)).shape == (0, 28, 28, 1)


@pytest.mark.parametrize("shape", [(1, 28, 28, 2), (1, 28, 28, 5), (1, 28, 28, 0), (28, 28, 1), (1, 0, 28, 1)])
def test_other_ranks_and_channels_are_an_error(shape):
    for function in (
        preprocess_digits,
        tf.function(preprocess_digits, input_signature=[tf.TensorSpec(None, tf.uint8)]),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError):
            function(tf.zeros(shape, tf.uint8))
