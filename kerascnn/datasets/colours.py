"""How the channels of images vary together: the covariance that ColourNoise draws by."""

import numpy as np

from kerascnn.datasets.examples import check_split

MOST_IMAGES = 5000


def colour_covariance(examples):
    """The covariance of the C channels over all pixels of at most 5,000 of the examples, in [0, 1] units.

        covariance = kc.datasets.colour_covariance(data.train)

    Examples or ImageFiles -> a tuple of C tuples of C floats, which kc.augmentation.ColourNoise takes. Files that do
    not decode count nothing.
    """
    from kerascnn.datasets.batches import evaluation_batches
    from kerascnn.datasets.image_files import vanished_files_named

    check_split(examples)
    drawn = np.sort(np.random.default_rng(0).permutation(len(examples))[:MOST_IMAGES])
    channels = examples.image_shape[2]
    count, total, products = 0, np.zeros(channels), np.zeros((channels, channels))
    with vanished_files_named(examples):
        for images, _, *weights in evaluation_batches(examples.take(drawn)):
            seen = np.ones(len(images), bool) if not weights else np.asarray(weights[0]).reshape(len(images), -1).any(1)
            pixels = images.numpy()[seen].astype(np.float64).reshape(-1, channels)
            count, total, products = count + len(pixels), total + pixels.sum(0), products + pixels.T @ pixels
    mean = total / max(1, count)
    return tuple(map(tuple, (products / max(1, count) - np.outer(mean, mean)).tolist()))
