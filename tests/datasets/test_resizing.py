"""Photos of any size become the input of a network as Pillow resizes and crops them."""

import numpy as np
import pytest
from PIL import Image

from kerascnn.datasets.resizing import ResizeAndCrop
from kerascnn.errors import UsageError
from tests.mutations import forget_peak, peak


def pillow(photo, size, crop_ratio, kernel):
    """The middle of a photo (H, W, 3) by Pillow, channel by channel in floats: it rounds 8 bits between two passes."""
    height, width = photo.shape[:2]
    scale = max(size[0] / height, size[1] / width) / crop_ratio
    y, x = size[0] / scale / 2, size[1] / scale / 2
    # rounding may leave a window beyond the photo by a hair
    window = max(width / 2 - x, 0), max(height / 2 - y, 0), min(width / 2 + x, width), min(height / 2 + y, height)
    channels = [Image.fromarray(channel).resize(size[::-1], kernel, window) for channel in photo.transpose(2, 0, 1)]
    return np.clip(np.stack(channels, -1), 0, 255)


@pytest.mark.parametrize("sides", [(300, 400), (100, 80), (20, 30), (10, 2000), (1, 1), (64, 64)])
@pytest.mark.parametrize("size", [(64, 64), (32, 48)])
@pytest.mark.parametrize("crop_ratio", [1.0, 0.875])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_it_is_pillows_resize_of_the_middle(sides, size, crop_ratio, interpolation):
    photo = np.random.default_rng(0).integers(0, 256, (*sides, 3), np.uint8)
    ours = ResizeAndCrop(size, crop_ratio, interpolation)(photo[np.newaxis])[0].numpy()
    theirs = pillow(photo.astype(np.float32), size, crop_ratio, Image.Resampling[interpolation.upper()])
    assert (ours.dtype, ours.shape) == (np.uint8, (*size, 3))
    np.testing.assert_allclose(ours, theirs, atol=0.6)


@pytest.mark.parametrize("sides", [(1, 3_000_000), (3_000_000, 1)])
def test_a_panorama_takes_no_more_memory_than_its_middle(sides):
    photo = np.random.default_rng(0).integers(0, 256, (*sides, 3), np.uint8)
    middle = photo[tuple(slice(max(0, side // 2 - 50), side // 2 + 50) for side in sides)]
    resize = ResizeAndCrop((64, 64))
    expected, before = resize(middle[np.newaxis]), forget_peak()
    np.testing.assert_array_equal(resize(photo[np.newaxis]), expected)
    assert peak() - before < 500


def test_an_image_of_the_size_stays_as_it_is():
    photos = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 1), np.uint8)
    np.testing.assert_array_equal(ResizeAndCrop((28, 28))(photos), photos)


def test_what_is_decoded_small_is_never_enlarged():
    assert ResizeAndCrop((224, 224)).shortest == 224
    assert ResizeAndCrop((160, 224), crop_ratio=0.875).shortest == 256


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image_size": 224}, r"^image_size is 224; give \(height, width\) in pixels$"),
        ({"image_size": (0, 3)}, r"^image_size is \(0, 3\); give \(height, width\) in pixels$"),
        ({"crop_ratio": 0}, "^crop_ratio is 0; give a number above 0 and at most 1$"),
        ({"crop_ratio": float("nan")}, "^crop_ratio is nan; give a number above 0 and at most 1$"),
        ({"interpolation": "area"}, "^interpolation is 'area'; choose one of bilinear, bicubic, lanczos$"),
    ],
)
def test_what_is_no_size_ratio_or_kernel_is_an_error(options, words):
    with pytest.raises(UsageError, match=words):
        ResizeAndCrop(**{"image_size": (4, 4), **options})
