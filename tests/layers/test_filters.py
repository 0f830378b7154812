"""The filters against OpenCV, SciPy and arithmetic on paper, on a photo and on noise."""

import cv2
import keras
import numpy as np
import pytest
import scipy.signal
from sklearn.datasets import load_sample_image

from kerascnn.layers import FILTERS, KERNELS, FixedFilter, MedianFilter, gaussian
from kerascnn.layers.filters import outer

PHOTO = np.float32(load_sample_image("flower.jpg")[100:301, 200:350]) / 255
NOISE = np.random.default_rng(0).random((17, 23, 3), dtype=np.float32)
IMAGES = [PHOTO, NOISE]
BORDERS = {"zero": cv2.BORDER_CONSTANT, "replicate": cv2.BORDER_REPLICATE, "reflect": cv2.BORDER_REFLECT_101}

DEEP = cv2.CV_32F
OPENCV = {
    "mean": lambda x: cv2.blur(x, (3, 3)),
    "gaussian": lambda x: cv2.sepFilter2D(x, DEEP, np.float32([1, 4, 6, 4, 1]) / 16, np.float32([1, 4, 6, 4, 1]) / 16),
    "gaussian_sigma_3": lambda x: cv2.GaussianBlur(x, (0, 0), 3),
    "sharpen": lambda x: x - cv2.Laplacian(x, DEEP),
    "edge_detect": lambda x: 9 * (x - cv2.blur(x, (3, 3))),
    "laplacian_4": lambda x: cv2.Laplacian(x, DEEP),
    "laplacian_8": lambda x: 9 * (cv2.blur(x, (3, 3)) - x),
    "second_derivative_xx": lambda x: cv2.Sobel(x, DEEP, 2, 0, ksize=1),
    "second_derivative_yy": lambda x: cv2.Sobel(x, DEEP, 0, 2, ksize=1),
    "second_derivative_xy": lambda x: cv2.Sobel(x, DEEP, 1, 1, ksize=1) / 4,
    "prewitt_x": lambda x: cv2.sepFilter2D(x, DEEP, np.float32([-1, 0, 1]), np.float32([1, 1, 1])),
    "prewitt_y": lambda x: cv2.sepFilter2D(x, DEEP, np.float32([1, 1, 1]), np.float32([-1, 0, 1])),
    "sobel_x": lambda x: cv2.Sobel(x, DEEP, 1, 0),
    "sobel_y": lambda x: cv2.Sobel(x, DEEP, 0, 1),
    "scharr_x": lambda x: cv2.Scharr(x, DEEP, 1, 0),
    "scharr_y": lambda x: cv2.Scharr(x, DEEP, 0, 1),
    "median": lambda x: cv2.medianBlur(x, 5),
}
POOLINGS = {
    "max_pooling": lambda x: cv2.dilate(x, np.ones((4, 4)), anchor=(0, 0))[::4, ::4],
    "min_pooling": lambda x: cv2.erode(x, np.ones((4, 4)), anchor=(0, 0))[::4, ::4],
    "average_pooling": lambda x: cv2.resize(x, (x.shape[1] // 4, x.shape[0] // 4), interpolation=cv2.INTER_AREA),
}


def applied(layer, image):
    return keras.ops.convert_to_numpy(layer(image[None]))[0]


def test_every_filter_is_compared_with_opencv():
    assert set(OPENCV) | set(POOLINGS) == set(FILTERS)


@pytest.mark.parametrize("image", IMAGES, ids=["photo", "noise"])
@pytest.mark.parametrize("name", OPENCV)
def test_a_filter_is_that_of_opencv_up_to_the_edges(name, image):
    ours = applied(FILTERS[name](border="reflect") if name in KERNELS else FILTERS[name](), image)
    np.testing.assert_allclose(ours, OPENCV[name](image), atol=2e-5)


@pytest.mark.parametrize("name", POOLINGS)
def test_a_pooling_is_that_of_opencv(name):
    image = PHOTO[:200, :148]
    np.testing.assert_allclose(applied(FILTERS[name](), image), POOLINGS[name](image), atol=1e-6)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_the_median_is_that_of_opencv_for_each_size(size):
    expected = cv2.medianBlur(NOISE, size) if size > 1 else NOISE
    np.testing.assert_array_equal(applied(MedianFilter(size), NOISE), expected)


@pytest.mark.parametrize(("sigma", "size"), [(0.8, 3), (1.5, 9), (3.0, 25), (7.0, 5)])
def test_the_gaussian_is_that_of_opencv(sigma, size):
    weights = cv2.getGaussianKernel(size, sigma)
    np.testing.assert_allclose(gaussian(sigma, size), weights @ weights.T, atol=1e-8)
    layer = FixedFilter(gaussian(sigma, size), border="reflect")
    np.testing.assert_allclose(applied(layer, NOISE), cv2.GaussianBlur(NOISE, (size, size), sigma), atol=1e-5)


def test_the_gaussian_of_1_4_6_4_1_is_a_row_filter_after_a_column_filter():
    fifth = np.array([1, 4, 6, 4, 1]) / 16
    in_two = applied(FixedFilter(outer([1], fifth)), applied(FixedFilter(outer(fifth, [1])), NOISE))
    np.testing.assert_allclose(applied(FILTERS["gaussian"](), NOISE), in_two, atol=1e-6)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("shape", [(3, 3), (2, 2), (1, 4), (5, 2), (7, 7)])
def test_any_kernel_is_opencvs_filter2d_with_each_border(shape, border):
    kernel = np.random.default_rng(1).normal(size=shape)
    ours = applied(FixedFilter(kernel, border=border), NOISE)
    np.testing.assert_allclose(ours, cv2.filter2D(NOISE, DEEP, kernel, borderType=BORDERS[border]), atol=1e-5)


@pytest.mark.parametrize("border", ["replicate", "reflect"])
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 9)])
def test_a_border_is_opencvs_on_images_smaller_than_the_kernel(shape, border):
    image = NOISE[: shape[0], : shape[1]]
    kernel = np.random.default_rng(1).normal(size=(9, 9))
    expected = cv2.filter2D(image, DEEP, kernel, borderType=BORDERS[border])
    np.testing.assert_allclose(applied(FixedFilter(kernel, border=border), image), expected, atol=1e-5)


@pytest.mark.parametrize("padding", ["full", "valid"])
@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (4, 1)])
def test_full_and_valid_padding_are_scipys(shape, padding):
    kernel = np.random.default_rng(1).normal(size=shape)
    for channel in range(3):
        expected = scipy.signal.correlate2d(NOISE[..., channel], kernel, padding)
        np.testing.assert_allclose(
            applied(FixedFilter(kernel, padding), NOISE)[..., channel], expected, rtol=1e-4, atol=1e-5
        )


def test_the_paddings_on_paper():
    image = np.float32([[1, 2], [3, 4]])[..., None]
    kernel = [[1, 0], [0, 10]]
    # Valid: 1 * 1 + 10 * 4. Same: the anchor is at the lower right 10. Full: from the 10 over the first pixel on.
    for padding, expected in {
        "valid": [[41]],
        "same": [[10, 20], [30, 41]],
        "full": [[10, 20, 0], [30, 41, 2], [0, 3, 4]],
    }.items():
        np.testing.assert_array_equal(applied(FixedFilter(kernel, padding), image)[..., 0], expected)


@pytest.mark.parametrize("strides", [2, 3, 40])
@pytest.mark.parametrize("padding", ["full", "same", "valid"])
def test_a_stride_keeps_every_nth_row_and_column(padding, strides):
    kernel = KERNELS["gaussian"]
    every = applied(FixedFilter(kernel, padding), NOISE)
    kept = applied(FixedFilter(kernel, padding, strides), NOISE)
    np.testing.assert_allclose(kept, every[::strides, ::strides], atol=1e-6)


@pytest.mark.parametrize("size", [(17, 23, 3), (None, None, 3)])
def test_a_model_of_all_filters_is_saved_and_reloaded(size, tmp_path):
    inputs = keras.Input(size)
    layers = [make() for make in FILTERS.values()]
    layers += [FixedFilter([[1, 2, 3]], "full", 2, border) for border in BORDERS] + [FixedFilter([[1], [2]], "valid")]
    model = keras.Model(inputs, [layer(inputs) for layer in layers])
    assert model.weights == []
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for layer, copy in zip(model.layers, again.layers, strict=True):
        assert layer.get_config() == copy.get_config()
    for layer, ours in zip(layers, again(NOISE[None]), strict=True):
        np.testing.assert_allclose(ours[0], applied(layer, NOISE), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FixedFilter([[1, 2], [3]]), "kernel is [[1, 2], [3]]; give rows of finite numbers, all of one length"),
        (lambda: FixedFilter([1, 2]), "kernel is [1, 2]; give rows of finite numbers, all of one length"),
        (lambda: FixedFilter([[]]), "kernel is [[]]; give rows of finite numbers, all of one length"),
        (lambda: FixedFilter([["a"]]), "kernel is [['a']]; give rows of finite numbers, all of one length"),
        (lambda: FixedFilter([[float("nan")]]), "kernel is [[nan]]; give rows of finite numbers, all of one length"),
        (lambda: FixedFilter([[1]], "some"), "padding is 'some'; choose one of full, same, valid"),
        (lambda: FixedFilter([[1]], strides=0), "strides is 0; give a whole number of at least 1"),
        (lambda: FixedFilter([[1]], strides=(1, 2)), "strides is (1, 2); give a whole number of at least 1"),
        (lambda: FixedFilter([[1]], border="wrap"), "border is 'wrap'; choose one of zero, replicate, reflect"),
        (lambda: MedianFilter(4), "size is 4; give an odd whole number of at least 1"),
        (lambda: gaussian(0), "sigma is 0; give a number above 0"),
        (lambda: gaussian(1.0, 2), "size is 2; give an odd whole number of at least 1"),
    ],
)
def test_an_argument_of_another_kind_raises_in_one_line(make, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        make()
    assert str(caught.value) == message


def test_an_image_smaller_than_the_kernel_raises_under_valid_padding():
    words = (
        "padding is 'valid', and an image of 2 x 5 pixels is smaller than the kernel of 3 x 3; use 'same' or a larger"
    )
    with pytest.raises(ValueError, match=words):
        FixedFilter(KERNELS["mean"], "valid")(np.zeros((1, 2, 5, 1), np.float32))
