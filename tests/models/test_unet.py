"""U-Nets, beyond what every builder is tested for."""

import keras
import numpy as np
import pytest

from kerascnn.analysis.summary import symbolic_model
from kerascnn.models import unet_2015, unet_buda
from kerascnn.models.unet import build, framed


def test_unet_2015_has_the_sizes_of_figure_1():
    model = symbolic_model("unet_2015")
    sizes = [model.get_layer(f"encoder{i}_conv2").output.shape[1] for i in range(1, 5)]
    assert sizes == [568, 280, 136, 64]
    assert model.get_layer("bottom_conv2").output.shape[1:] == (28, 28, 1024)
    assert [model.get_layer(f"decoder{i}_conv2").output.shape[1] for i in (4, 3, 2, 1)] == [52, 100, 196, 388]
    assert model.output_shape == (None, 388, 388, 2)


def test_a_framed_network_without_padding_labels_every_pixel():
    keras.utils.set_random_seed(0)
    model = framed((96, 96, 3), width=2)
    assert (model.name, model.input.name, model.output_shape) == ("unet_2015", "image", (None, 96, 96, 2))
    # 96 pixels are continued to 284, of which 100 are labelled: 94 reflected on each side, 2 cut off on each.
    inner = build((284, 284, 3), 2, "inner", width=2, padding="valid", dropout=0.5)
    inner.set_weights(model.get_weights())
    image = np.random.default_rng(0).random((1, 96, 96, 3), np.float32)
    continued = np.pad(image, ((0, 0), (94, 94), (94, 94), (0, 0)), mode="reflect")
    np.testing.assert_allclose(model(image), inner(continued)[:, 2:-2, 2:-2], atol=1e-5)


def test_a_slice_of_256_pixels_is_framed_as_the_paper_frames_its_tiles():
    model = framed((256, 256, 1), width=1)
    assert model.get_layer("reflected").output.shape[1:3] == (444, 444)
    assert model.get_layer("labels_beyond").output.shape[1:3] == (260, 260)


def test_unet_buda_has_the_width_that_is_asked_for():
    assert unet_buda((32, 32, 3), width=8).get_layer("encoder1_conv1").filters == 8


def test_a_framed_network_smaller_than_what_is_reflected_raises():
    with pytest.raises(ValueError, match="does not fit unet_2015; use .* at least 96 x 96 pixels$"):
        framed((80, 80, 3))


def test_a_side_of_unet_2015_whose_pooling_is_uneven_raises_with_the_nearest_that_fit():
    words = r"^input_shape is \(572, 570, 1\), and unet_2015 takes no side of 570; use 556 or 572$"
    with pytest.raises(ValueError, match=words):
        unet_2015((572, 570, 1))
