"""Labels that are probably wrong: what a linear head says of images that it was not trained on.

Northcutt, Jiang & Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021, arXiv:1911.00068.
"""

import dataclasses
import logging
import warnings

import numpy as np

from kerascnn.classification.features import extract_features
from kerascnn.classification.neighbors import as_rows
from kerascnn.datasets.resizing import ResizeAndCrop
from kerascnn.errors import UsageError

FOLDS = 5
IMAGE_SIZE = 224  # for networks that take any

logger = logging.getLogger(__name__)


def doubtful_labels(backbone, splits, **resize):
    """(places int (M,) in all splits together, the most doubtful first; the likelier labels int (M,); how many photos
    were judged), or None.

    backbone: a trained keras.Model with a layer `embedding`, whose features a head is trained on. splits: ImageFiles;
    their images are resized to what the backbone takes, and files that do not decode are left out. resize: crop_ratio
    and interpolation as image_folder takes them. A photo that is alone in its class is not judged. None where
    fewer than two classes have more. Raises UsageError where the backbone does not take images in colour or has no such
    layer.
    """
    shape = backbone.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] != 3:
        words = f"backbone {backbone.name} takes {shape}, and not images (B, H, W, 3)"
        raise UsageError(f"{words}; name a network for images in colour", argument="backbone")
    if "embedding" not in [layer.name for layer in backbone.layers]:
        words = f"backbone {backbone.name} has no layer called embedding"
        raise UsageError(f"{words}; name a run with a network of kerascnn.models", argument="backbone")
    resize = ResizeAndCrop(tuple(side or IMAGE_SIZE for side in shape[1:3]), **resize)
    found = [extract_features(backbone, dataclasses.replace(split, resize=resize, weights=None)) for split in splits]
    features = as_rows(np.concatenate([features["embedding"] for features, _, _ in found]))
    labels, counted = (np.concatenate([each[part] for each in found]) for part in (1, 2))
    known = np.bincount(labels[counted], minlength=labels.max() + 1)[labels] > 1
    if lone := np.count_nonzero(counted & ~known):
        logger.warning("labels of %d photos are not looked at: each is alone in its class; add others", lone)
    judged = np.flatnonzero(counted & known)
    if len(np.unique(labels[judged])) < 2:
        logger.warning("labels are not looked at: fewer than two classes have two photos or more; add photos")
        return None
    places, likelier = confident_errors(features[judged], labels[judged])
    return judged[places], likelier, len(judged)


def confident_errors(features, labels):
    """(places int (M,), the most doubtful first; the likelier labels int (M,)) by features (N, F) and labels int (N,).

    labels: of two classes at least, each of two images.

    An image is doubtful where the probability of another class is as high as it is for images of that class on average,
    and the likeliest of those classes of which that holds is not its own (section 3.1: the confident joint).
    Probabilities are those of logistic regression on standardized features, by
    cross-validation, so that no head has seen the label that it judges.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classes, given, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, tol=1e-3, max_iter=1000))
    folds = StratifiedKFold(min(FOLDS, sizes.min()), shuffle=True, random_state=0)
    with warnings.catch_warnings():
        # of many classes of few images, which scikit-learn takes for numbers to predict
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        # of a head after a thousand steps, whose probabilities hardly change any more
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        probabilities = cross_val_predict(head, features, given, cv=folds, method="predict_proba")
    own = probabilities[np.arange(len(given)), given]
    average = np.bincount(given, own) / sizes
    confident = np.where(probabilities >= average, probabilities, 0)
    likelier = confident.argmax(1)
    doubtful = np.flatnonzero((confident.max(1) > 0) & (likelier != given))
    doubtful = doubtful[np.argsort(own[doubtful] - confident.max(1)[doubtful], kind="stable")]
    return doubtful, classes[likelier[doubtful]]
