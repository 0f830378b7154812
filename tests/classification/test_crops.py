import numpy as np
import pytest
import tensorflow as tf

from kerascnn.classification.crops import CROPS, averaged_over_crops, resize_for_crops, views
from kerascnn.classification.inference import Inference
from kerascnn.datasets.examples import Examples
from kerascnn.datasets.resizing import ResizeAndCrop
from kerascnn.errors import UsageError


def first_pixel(images, training):
    """Logits whose softmax is the upper left pixel of an image, and the rest to 1."""
    pixel = images[:, 0, 0]
    return tf.math.log(tf.concat([pixel, 1 - pixel], -1))


def test_ten_crops_are_the_corners_and_the_middle_and_their_mirror_images():
    image = np.random.default_rng(0).uniform(0.1, 0.9, (2, 256, 256, 1)).astype(np.float32)
    answers = tf.nn.softmax(averaged_over_crops(first_pixel, "ten_crop")(image)).numpy()
    places = [(top, left) for top, left in ((0, 0), (0, 32), (32, 0), (32, 32), (16, 16))]
    seen = [image[:, top, left + side, 0] for top, left in places for side in (0, 223)]
    np.testing.assert_allclose(answers[:, 0], np.mean(seen, 0), rtol=1e-5)


def test_144_views_are_seen_48_of_each_window_and_weigh_alike():
    asked = []

    def network(images, training):
        asked.append(tuple(images.shape))
        return first_pixel(images, training)

    intensities = np.repeat(np.array([0.1, 0.4, 0.7], np.float32), 352)[None, :, None, None]
    answers = averaged_over_crops(network, "144_crop")(np.broadcast_to(intensities, (1, 1056, 352, 1)))
    assert asked == [(48, 224, 224, 1)] * 3
    np.testing.assert_allclose(tf.nn.softmax(answers), [[0.4, 0.6]], atol=1e-5)


def test_crops_of_every_scale_begin_at_its_corners():
    ramp = np.broadcast_to(np.linspace(0, 1, 352, dtype=np.float32)[None, None, :, None], (1, 352, 352, 1))
    found = [np.asarray(view) for view in views(ramp, CROPS["144_crop"])]
    for number, scale in enumerate((256, 288, 320, 352)):
        left, _, right, _, _, _, _, _, middle, _, whole, flipped = found[12 * number : 12 * number + 12]
        step = 1 / scale
        assert left[0, 0, 0, 0] == pytest.approx(0, abs=step)
        assert left[0, 0, 223, 0] == pytest.approx(224 * step, abs=step)
        assert right[0, 0, 0, 0] == pytest.approx((scale - 224) * step, abs=step)
        assert middle[0, 0, 112, 0] == pytest.approx(0.5, abs=step)
        assert (whole[0, 0, 0, 0], whole[0, 0, 223, 0]) == pytest.approx((0, 1), abs=1 / 224)
        np.testing.assert_array_equal(flipped, whole[:, :, ::-1])


def test_photos_are_resized_to_more_than_the_network_takes():
    single = ResizeAndCrop((224, 224), 0.875, "bicubic")
    assert resize_for_crops("ten_crop", single) == ResizeAndCrop((256, 256), 1.0, "bicubic")
    windows = resize_for_crops("144_crop", single)
    assert (windows.image_size, windows.shortest) == ((1056, 352), 352)


@pytest.mark.parametrize("turned", [False, True])
def test_three_windows_lie_along_the_longer_side(turned):
    photo = np.repeat(np.array([20, 120, 220], np.uint8), 50)[None, None, :, None] * np.ones((1, 50, 1, 3), np.uint8)
    photo = photo.swapaxes(1, 2) if turned else photo
    windows = resize_for_crops("144_crop", ResizeAndCrop((14, 14)))(photo).numpy()
    assert windows.shape == (1, 66, 22, 3)
    for number, intensity in enumerate((20, 120, 220)):
        np.testing.assert_array_equal(windows[0, 22 * number + 1 : 22 * number + 21, 1:21], intensity)


def test_crops_of_images_that_are_floats_are_an_error():
    floats = Examples(np.zeros((4, 32, 32, 3), np.float32), np.zeros(4, np.int32))
    with pytest.raises(
        UsageError, match="^tta is ten_crop, and the images are preprocessed already; give uint8 images"
    ):
        Inference("ten_crop").source(floats, None)
