"""The oracle of intensities is Pillow, which the paper's own code calls, and Keras; that of places is SciPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage

from kerascnn.datasets.augmentation import RandAugment
from kerascnn.datasets.augmentation.rand_augment import OPERATIONS, each_changed
from kerascnn.errors import UsageError

RANDOM = np.random.default_rng(0)
# smooth colours, a dark one and one of a single grey
SMOOTH = [np.kron(RANDOM.integers(30, 220, (6, 5, 3)), np.ones((4, 5, 1))) for _ in range(4)]
STORED = np.array([*SMOOTH, SMOOTH[0] // 3, np.full((24, 25, 3), 90)]).astype(np.uint8)
IMAGES = tf.constant(STORED / np.float32(255))
LABELS = tf.range(len(STORED))
NAMES = list(OPERATIONS)


def changed(name, strength):
    kinds = tf.fill([len(STORED)], NAMES.index(name))
    return each_changed(IMAGES, kinds, tf.fill([len(STORED)], strength)).numpy()


def enhanced(kind):
    return lambda image, strength: kind(image).enhance(1 + 0.9 * strength)


PILLOW = {
    "identity": lambda image, strength: image,
    "autocontrast": lambda image, strength: ImageOps.autocontrast(image),
    "equalize": lambda image, strength: ImageOps.equalize(image),
    "solarize": lambda image, strength: ImageOps.solarize(image, 255 - 255 * abs(strength)),
    "posterize": lambda image, strength: ImageOps.posterize(image, 8 - round(4 * abs(strength))),
    "color": enhanced(ImageEnhance.Color),
    "contrast": enhanced(ImageEnhance.Contrast),
    "brightness": enhanced(ImageEnhance.Brightness),
    "sharpness": enhanced(ImageEnhance.Sharpness),
}


@pytest.mark.parametrize("strength", [-1.0, -0.5, 0.3, 1.0])
@pytest.mark.parametrize("name", PILLOW)
@pytest.mark.long
def test_intensities_are_those_of_pillow(name, strength):
    theirs = [PILLOW[name](Image.fromarray(image), strength) for image in STORED]
    # Pillow rounds what it blends with, and the result
    np.testing.assert_allclose(255 * changed(name, strength), np.array(list(map(np.asarray, theirs))), atol=1.51)


def test_contrast_is_stretched_as_keras_does_it():
    several = IMAGES[:5]  # Keras divides by 0 where there is a single intensity
    stretched = keras.layers.AutoContrast(value_range=(0, 1))(several)
    np.testing.assert_allclose(changed("autocontrast", 0.5)[:5], stretched, atol=1e-5)


def matrix_and_offset(name, strength):
    """Of where pixels come from, (y, x): the ranges of AutoAugment's table 6."""
    angle = np.deg2rad(30) * strength
    return {
        "rotate": ([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], (0, 0)),
        "shear_y": ([[1, 0.3 * strength], [0, 1]], (0, 0)),
        "shear_x": ([[1, 0], [0.3 * strength, 1]], (0, 0)),
        "translate_y": (np.eye(2), (strength * 24 * 150 / 331, 0)),
        "translate_x": (np.eye(2), (0, strength * 25 * 150 / 331)),
    }[name]


@pytest.mark.parametrize("strength", [-1.0, 0.4])
@pytest.mark.parametrize("name", ["rotate", "shear_y", "shear_x", "translate_y", "translate_x"])
def test_places_are_those_of_scipy(name, strength):
    matrix, shift = matrix_and_offset(name, strength)
    middle = np.array([23 / 2, 24 / 2])
    offset = middle - np.array(matrix) @ middle + shift
    ours = changed(name, strength)
    for image, found in zip(IMAGES.numpy(), ours, strict=True):
        for channel in range(3):
            theirs = ndimage.affine_transform(image[..., channel], matrix, offset, order=1, mode="grid-constant")
            np.testing.assert_allclose(found[..., channel], theirs, atol=1e-4)


def test_the_table_is_the_papers():
    assert len(OPERATIONS) == 14
    assert set(PILLOW) | {"rotate", "shear_y", "shear_x", "translate_y", "translate_x"} == set(OPERATIONS)


def test_images_draw_operations_of_their_own_from_the_seed_alone():
    same = tf.repeat(IMAGES[:1], 200, 0)
    augment = tf.function(RandAugment(operations=1, magnitude=7))
    labels = tf.range(200)
    first, again, other = (augment(same, labels, tf.constant([0, step], tf.int64)) for step in (5, 5, 6))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], labels)
    assert np.abs(first[0] - other[0]).max() > 0.1
    # fourteen operations, nine of them in two directions
    assert len({image.tobytes() for image in first[0].numpy()}) == 23
    assert first[0].numpy().min() >= 0
    assert first[0].numpy().max() <= 1


def test_grey_and_tiny_images_are_taken():
    for shape in ((8, 9, 1), (1, 1, 3), (2, 5, 1)):
        images = tf.random.stateless_uniform((60, *shape), [0, 1])
        found, _ = RandAugment(operations=3, magnitude=10)(images, tf.range(60), tf.constant([0, 1]))
        assert found.shape == images.shape
        assert np.isfinite(found).all()


def test_what_it_cannot_do_is_an_error():
    with pytest.raises(UsageError, match="^magnitude is 11; give a number from 0 to 10$"):
        RandAugment(magnitude=11)
    with pytest.raises(UsageError, match="^augmentations has RandAugment, which moves no masks with their images; lea"):
        RandAugment()(IMAGES, IMAGES[..., :1], tf.constant([0, 1]))
