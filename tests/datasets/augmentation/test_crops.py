import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.datasets.augmentation import AlternatingFlip, Cutout, HorizontalFlip, RandomCrop
from kerascnn.datasets.synthetic import drawn
from kerascnn.errors import UsageError

IMAGES = tf.constant(drawn(64, 0).images / np.float32(255))
LABELS = tf.range(64)
MASKS = tf.cast(IMAGES > 0.5, tf.float32)


@pytest.mark.parametrize(("fill", "mode"), [("constant", "constant"), ("reflect", "reflect")])
def test_a_random_crop_is_a_window_of_the_padded_image_at_every_place_alike(fill, mode):
    cropped, labels = RandomCrop(padding=2, fill=fill)(IMAGES, LABELS, tf.constant([0, 1]))
    np.testing.assert_array_equal(labels, LABELS)
    padded = np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)), mode)
    places = []
    for image, around in zip(cropped.numpy(), padded, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(around[..., 0], (28, 28))
        found = np.argwhere((windows == image[..., 0]).all((2, 3)))
        assert len(found)
        places.append(tuple(found[0]))
    # of 25 places each, both offsets reach their ends
    assert {row for row, _ in places} == {column for _, column in places} == set(range(5))


def test_a_random_crop_of_every_place_is_what_keras_cuts_out():
    layer = keras.layers.RandomCrop(28, 28)
    padded = tf.pad(IMAGES, ((0, 0), (3, 3), (3, 3), (0, 0)))
    cropped, _ = RandomCrop(padding=3)(IMAGES, LABELS, tf.constant([0, 1]))
    cuts = [layer.transform_images(padded, (top, left)) for top in range(7) for left in range(7)]
    assert all(any(np.array_equal(cut[i], cropped[i]) for cut in cuts) for i in range(64))


def test_masks_and_weights_of_pixels_move_with_their_images():
    for augment in (RandomCrop(padding=4), HorizontalFlip()):
        images, masks, weights = augment(IMAGES, MASKS, tf.constant([0, 1]), 7 * MASKS)
        np.testing.assert_array_equal(masks, tf.cast(images > 0.5, tf.float32))
        np.testing.assert_array_equal(weights, 7 * masks)


def test_an_image_is_flipped_in_every_second_epoch_wherever_it_is_met():
    flip, seed = AlternatingFlip(), tf.constant([3, 0])
    order = tf.random.shuffle(LABELS, seed=0)
    epochs = [
        flip(tf.gather(IMAGES, each), each, seed, epoch=epoch, examples=each, count=64)
        for epoch, each in enumerate((LABELS, order, LABELS))
    ]
    first, second, third = (dict(zip(labels.numpy(), images.numpy(), strict=True)) for images, labels in epochs)
    flipped = [np.array_equal(first[i], IMAGES[i][:, ::-1]) for i in range(64)]
    assert 20 < sum(flipped) < 44
    for i, turned in enumerate(flipped):
        np.testing.assert_array_equal(first[i], IMAGES[i][:, ::-1] if turned else IMAGES[i])
        np.testing.assert_array_equal(second[i], first[i][:, ::-1])
        np.testing.assert_array_equal(third[i], first[i])


def test_about_half_of_the_images_are_flipped():
    flipped, _ = HorizontalFlip()(IMAGES, LABELS, tf.constant([0, 1]))
    turned = [np.array_equal(new, old[:, ::-1]) for new, old in zip(flipped, IMAGES, strict=True)]
    kept = [np.array_equal(new, old) for new, old in zip(flipped, IMAGES, strict=True)]
    assert all(a or b for a, b in zip(turned, kept, strict=True))
    assert 20 < sum(turned) < 44


@pytest.mark.parametrize("size", [7, 8])
def test_cutout_hides_one_square_that_may_lie_beyond_the_border_in_part(size):
    images = tf.ones((200, 20, 20, 1))
    hidden = Cutout(size=size)(images, tf.range(200), tf.constant([0, 1]))[0].numpy()[..., 0] == 0
    assert hidden.any((1, 2)).all()
    rows, columns = hidden.any(2).sum(1), hidden.any(1).sum(1)
    np.testing.assert_array_equal(hidden.sum((1, 2)), rows * columns)
    assert rows.max() == columns.max() == size
    assert rows.min() < size
    # every pixel is hidden now and then
    assert hidden.any(0).all()


@pytest.mark.parametrize(
    "augment", [RandomCrop(padding=4), HorizontalFlip(), Cutout(size=8)], ids=lambda a: type(a).__name__
)
def test_it_is_a_function_of_the_seed_alone(augment):
    first, again, other = (augment(IMAGES, LABELS, tf.constant([0, step], tf.int64))[0] for step in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_a_window_of_its_own_size_is_cut_out_anywhere():
    cropped, _ = RandomCrop(size=(24, 20))(IMAGES, LABELS, tf.constant([0, 1]))
    assert cropped.shape == (64, 24, 20, 1)
    windows = np.lib.stride_tricks.sliding_window_view(IMAGES.numpy()[..., 0], (24, 20), (1, 2))
    found = [
        np.argwhere((each == image[..., 0]).all((2, 3))) for each, image in zip(windows, cropped.numpy(), strict=True)
    ]
    assert all(map(len, found))
    rows, columns = np.transpose([places[0] for places in found])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (0, 4, 0, 8)


def test_a_window_larger_than_the_image_is_an_error():
    words = "^size is 30x20, and images are of 28x28; give a smaller one, or more padding$"
    with pytest.raises(UsageError, match=words):
        RandomCrop(size=(30, 20))(IMAGES, LABELS, tf.constant([0, 1]))


def test_a_border_wider_than_the_image_cannot_be_reflected():
    words = "^padding is 28, and images of 28x28 have fewer pixels to reflect; give a smaller one$"
    with pytest.raises(UsageError, match=words):
        RandomCrop(padding=28, fill="reflect")(IMAGES, LABELS, tf.constant([0, 1]))
