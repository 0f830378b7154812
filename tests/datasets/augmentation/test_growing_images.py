import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import kerascnn as kc
from kerascnn.datasets.augmentation import GrowingImages
from kerascnn.datasets.batches import batches
from kerascnn.errors import UsageError


@pytest.fixture(scope="module")
def data():
    images = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), np.uint8)
    return kc.datasets.from_arrays(images, np.arange(24) % 2, class_names=["a", "b"], validation=0.25, test=0)


def test_each_size_has_an_equal_part_of_the_epochs(data):
    grow = GrowingImages(sizes=(8, 12, 16))
    seen = [images.shape[1] for images, _ in batches(data.train, 9, epochs=7, augmentations=[grow])]
    assert seen == 6 * [8] + 4 * [12] + 4 * [16]  # 2 batches an epoch; 7 epochs: 0 to 2, 3 and 4, 5 and 6


def test_a_run_that_goes_on_sees_the_same_sizes(data):
    grow = GrowingImages(sizes=(8, 16))
    whole = [images.numpy() for images, _ in batches(data.train, 18, epochs=4, augmentations=[grow])]
    rest = [images.numpy() for images, _ in batches(data.train, 18, epochs=4, first_epoch=1, augmentations=[grow])]
    for expected, found in zip(whole[1:], rest, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_images_shrink_as_pillow_shrinks_them(data):
    images = tf.constant(data.train.images / np.float32(255))
    small, _ = GrowingImages(sizes=(8, 16))(images, tf.range(18), None, epoch=0, epochs=2, examples=None, count=18)
    for image, found in zip(data.train.images, small.numpy(), strict=True):
        pillow = np.asarray(Image.fromarray(image).resize((8, 8), Image.Resampling.BILINEAR))
        np.testing.assert_allclose(255 * found, pillow, atol=1)


@pytest.mark.long
def test_a_pooled_network_of_one_size_trains_on_all_of_them(data, tmp_path):
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(keras.layers.Conv2D(4, 3, strides=2)(image))
    model = keras.Model(image, keras.layers.Dense(2, name="logits")(x))
    recipe = kc.Recipe(epochs=2, batch_size=9, augmentations=[GrowingImages(sizes=(8, 16))])
    run = kc.fit(model, data, recipe, folder=tmp_path / "run")
    assert np.isfinite(run.history["loss"]).all()
    assert kc.load_model(tmp_path / "run").input_shape == (None, 16, 16, 3)


@pytest.mark.parametrize("sizes", [(), (8, 8), (16, 8), (0, 8), (8.0,)])
def test_sizes_that_do_not_rise_are_an_error(sizes):
    with pytest.raises(UsageError, match=r"^sizes is .*; give rising numbers of pixels$"):
        GrowingImages(sizes=sizes)
