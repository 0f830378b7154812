import numpy as np
import pytest
import tensorflow as tf

from kerascnn.classification.views import averaged_over_views

IMAGES = tf.constant(np.random.default_rng(0).random((3, 8, 8, 2), np.float32))


def pixels(images, training):
    """Logits that tell what was seen: every pixel."""
    return tf.reshape(images, (-1, 128))


def seen(images, tta):
    return averaged_over_views(pixels, tta)(images).numpy().reshape(-1, 8, 8, 2)


def test_without_views_the_image_is_what_is_seen():
    np.testing.assert_array_equal(seen(IMAGES, "none"), IMAGES)


def test_flip_is_the_mean_of_the_image_and_its_mirror_image():
    np.testing.assert_allclose(seen(IMAGES, "flip"), (IMAGES + tf.reverse(IMAGES, [2])) / 2, atol=1e-6)


def test_moved_views_weigh_as_much_as_unmoved_ones():
    padded = np.pad(IMAGES, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
    moved = (padded[:, 2:, 2:] + padded[:, :-2, :-2]) / 2
    once = (IMAGES.numpy() + moved) / 2
    np.testing.assert_allclose(seen(IMAGES, "flip_shift"), (once + once[:, :, ::-1]) / 2, atol=1e-6)


@pytest.mark.parametrize("tta", ["none", "flip"])
def test_a_mirror_image_gets_the_answer_of_the_image(tta):
    def left(images, training):
        return images[:, :, :4, 0]

    answers = [averaged_over_views(left, tta)(images).numpy() for images in (IMAGES, IMAGES[:, :, ::-1])]
    assert np.allclose(*answers, atol=1e-6) == (tta != "none")
