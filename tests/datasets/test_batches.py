import hashlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.datasets.augmentation import AlternatingFlip, CarveMix, Distortion, HorizontalFlip
from kerascnn.datasets.batches import batches, evaluation_batches
from kerascnn.datasets.examples import Examples
from kerascnn.errors import UsageError

EXAMPLES = Examples(np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1) * 25, np.arange(10, dtype=np.int32))


def labels_of(dataset):
    return [labels.numpy().tolist() for _, labels in dataset]


def test_batches_are_float32_between_0_and_1_and_keep_pairs_together():
    for images, labels in batches(EXAMPLES, 4, seed=0, epochs=1):
        assert images.dtype == "float32"
        assert labels.dtype == "int32"
        np.testing.assert_allclose(images[:, 0, 0, 0], labels.numpy() * 25 / 255, rtol=1e-6)


def test_an_epoch_repeats_no_example_and_the_next_has_another_order():
    found = labels_of(batches(EXAMPLES, 5, seed=0, epochs=2))
    first, second = sum(found[:2], []), sum(found[2:], [])
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_a_later_epoch_starts_where_the_uninterrupted_stream_would_be():
    def augment(images, labels, seed):
        return images + tf.cast(seed[1], "float32"), labels

    whole = list(batches(EXAMPLES, 5, seed=3, epochs=3, augmentations=[augment]))
    rest = list(batches(EXAMPLES, 5, seed=3, first_epoch=1, epochs=3, augmentations=[augment]))
    assert len(rest) == 4
    for (images, labels), (again, labels_again) in zip(whole[2:], rest, strict=True):
        np.testing.assert_array_equal(images, again)
        np.testing.assert_array_equal(labels, labels_again)


def test_an_augmentation_that_forgets_the_labels_is_an_error_of_one_line():
    with pytest.raises(UsageError, match=r"^augmentations\[0\] returns SymbolicTensor of a batch; let it return .*\)$"):
        batches(EXAMPLES, 5, augmentations=[lambda images, labels, seed: images])


def test_another_seed_is_another_order():
    orders = [labels_of(batches(EXAMPLES, 10, seed=seed, epochs=1)) for seed in (0, 1)]
    assert orders[0] != orders[1]


def test_evaluation_drops_no_example():
    assert labels_of(evaluation_batches(EXAMPLES, most=4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_evaluation_goes_through_the_preprocessing_it_is_given():
    ((images, _),) = evaluation_batches(EXAMPLES, preprocess=lambda x: 1 - tf.cast(x, "float32") / 255)
    np.testing.assert_allclose(images[:, 0, 0, 0], 1 - np.arange(10) * 25 / 255, rtol=1e-6)


def test_weights_stay_with_their_examples():
    weighted = Examples(EXAMPLES.images, EXAMPLES.labels, np.arange(10, dtype=np.float32) / 8)
    training = batches(weighted, 4, epochs=2)
    for dataset in (training, evaluation_batches(weighted), evaluation_batches(weighted.take(slice(3, 7)))):
        for _, labels, weights in dataset:
            assert weights.dtype == "float32"
            np.testing.assert_array_equal(weights, labels.numpy() / np.float32(8))


def test_weights_of_pixels_are_distorted_with_their_masks():
    masks = np.zeros((8, 32, 32, 1), np.uint8)
    masks[:, 8:20, 12:28] = 1
    examples = Examples(np.zeros((8, 32, 32, 1), np.uint8), masks, 3 * masks.astype(np.float32))
    distortion = Distortion(horizontal_flip=True, shift=4, rotation=20, zoom=0.2, elastic=60, sigma=5)
    ((_, moved, weights),) = batches(examples, 8, augmentations=[distortion, CarveMix(share=0.5)])
    assert np.abs(moved - masks).sum() > 100
    np.testing.assert_array_equal(moved, weights.numpy() >= 1.5)


def test_what_weighs_an_image_weighs_each_pixel_of_its_mask():
    masks = np.arange(10)[:, None, None, None] % 2 * np.ones((10, 4, 4, 1), np.uint8)
    examples = Examples(np.zeros((10, 4, 4, 3), np.uint8), masks.astype(np.uint8), np.arange(10, dtype=np.float32))
    for _, masks, weights in batches(examples, 5, augmentations=[HorizontalFlip()]):
        assert weights.shape == masks.shape
        assert (np.ptp(weights, (1, 2, 3)) == 0).all()
        np.testing.assert_array_equal(weights[:, 0, 0, 0] % 2, masks[:, 0, 0, 0])


@pytest.mark.parametrize(
    ("examples", "batch_size", "steps", "words"),
    [
        (EXAMPLES, 0, None, "^batch_size is 0; give a whole number of at least 1$"),
        (EXAMPLES, 2.0, None, "^batch_size is 2.0; give a whole number of at least 1$"),
        (EXAMPLES, 11, None, "^batch_size is 11, more than the 10 training examples; choose a smaller one$"),
        (EXAMPLES, 2, 6, "^steps is 6, and 10 examples fill 5 batches of 2; give 1 to 5$"),
        (EXAMPLES.images, 2, None, "^examples is ndarray; give a split of a Dataset, as data.train$"),
    ],
)
def test_batches_that_cannot_be_made_are_an_error(examples, batch_size, steps, words):
    with pytest.raises(UsageError, match=words):
        batches(examples, batch_size, steps=steps)


def test_alternating_flips_show_every_image_both_ways_in_two_epochs():
    images = np.zeros((40, 2, 4, 1), np.uint8)
    images[:, :, 0] = 255
    examples = Examples(images, np.arange(40, dtype=np.int32))
    seen = {}
    for batch, numbers in batches(examples, 8, epochs=4, augmentations=[AlternatingFlip()]):
        for image, number in zip(batch.numpy(), numbers.numpy(), strict=True):
            seen.setdefault(number, []).append(bool(image[0, 0, 0]))
    assert {tuple(ways) for ways in seen.values()} == {(True, False, True, False), (False, True, False, True)}


@pytest.mark.parametrize("first", [HorizontalFlip(), keras.layers.RandomFlip("horizontal")], ids=["ours", "Keras"])
def test_two_augmentations_draw_by_seeds_of_their_own(first):
    images = np.zeros((256, 2, 4, 1), np.uint8)
    images[:, :, 0] = 255
    examples = Examples(images, np.zeros(256, np.int32))
    ((batch, _),) = batches(examples, 256, augmentations=[first, HorizontalFlip()])
    # a second flip by the same seed would turn all of them back
    assert 0.3 < batch.numpy()[:, 0, 0, 0].mean() < 0.7


def test_labels_tell_examples_apart():
    images, labels = np.zeros((4, 2, 2, 1), np.uint8), np.arange(4, dtype=np.int32)
    digests = []
    for each in (labels, labels[::-1]):
        digests.append(hashlib.sha256())
        Examples(images, each).update(digests[-1])
    assert digests[0].digest() != digests[1].digest()
