import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn.datasets.augmentation import RandomResizedCrop
from kerascnn.datasets.augmentation.resized_crop import random_boxes
from kerascnn.datasets.synthetic import drawn
from kerascnn.errors import UsageError

IMAGES = tf.constant(drawn(64, 0).images / np.float32(255))
LABELS = tf.range(64)


@pytest.mark.parametrize(("height", "width"), [(200, 200), (150, 230)])
def test_boxes_have_the_papers_areas_and_proportions_and_lie_in_the_image(height, width):
    top, left, rows, columns = random_boxes(2000, height, width, 0.08, tf.constant([0, 1])).numpy().T
    assert min(top.min(), left.min()) == 0
    assert (top + rows).max() == height
    assert (left + columns).max() == width
    share = rows * columns / (height * width)
    # sides are whole pixels
    assert 0.075 < share.min() < 0.1
    assert 0.98 < share.max() / min(1, (4 / 3) * height / width) <= 1
    ratio = columns / rows
    assert 0.74 < ratio.min() < 0.77
    assert 1.30 < ratio.max() < 1.35
    # uniform in its logarithm: as many are wide as are high, but for those that do not fit
    assert height != width or abs(np.mean(np.log(ratio))) < 0.02


def test_where_no_box_fits_the_middle_is_taken():
    top, left, rows, columns = random_boxes(50, 20, 200, 0.9, tf.constant([0, 1])).numpy().T
    # 20 rows of 4/3 as many pixels: 27 of 200
    assert set(zip(top, left, rows, columns, strict=True)) == {(0, 86, 20, 27)}


def test_parts_are_enlarged_as_pillow_does_it():
    size = (40, 30)
    found, labels = RandomResizedCrop(least_area=0.2, size=size)(IMAGES, LABELS, tf.constant([0, 7]))
    np.testing.assert_array_equal(labels, LABELS)
    boxes = random_boxes(64, 28, 28, 0.2, tf.constant([0, 7])).numpy()
    for image, ours, (top, left, rows, columns) in zip(IMAGES.numpy(), found.numpy(), boxes, strict=True):
        photo = Image.fromarray(image[int(top) : int(top + rows), int(left) : int(left + columns), 0])
        theirs = np.asarray(photo.resize(size[::-1], Image.Resampling.BILINEAR))
        np.testing.assert_allclose(ours[..., 0], theirs, atol=1e-4)


def test_all_of_the_image_is_the_image():
    found, _ = RandomResizedCrop(least_area=1)(IMAGES, LABELS, tf.constant([0, 1]))
    assert np.mean([np.abs(ours - image).max() < 1e-5 for ours, image in zip(found, IMAGES, strict=True)]) > 0.2


def test_masks_move_with_their_images_and_the_seed_decides():
    masks = tf.cast(IMAGES > 0.5, tf.float32)
    crop = RandomResizedCrop(least_area=0.3)
    images, moved, weights = crop(IMAGES, masks, tf.constant([0, 1]), 7 * masks)
    assert set(np.unique(moved)) == {0, 1}
    assert np.mean(np.asarray(images > 0.5) == np.asarray(moved > 0.5)) > 0.95
    np.testing.assert_array_equal(weights >= 3.5, moved)
    again, other = (crop(IMAGES, LABELS, tf.constant([0, step], tf.int64))[0] for step in (1, 2))
    np.testing.assert_allclose(again, images, atol=1e-6)
    assert np.abs(again - other).max() > 0.1


def test_no_area_is_an_error():
    with pytest.raises(UsageError, match="^least_area is 0; give a share above 0 and at most 1$"):
        RandomResizedCrop(least_area=0)
