"""The weight map of the 2015 U-Net, which makes thin borders between objects expensive."""

import numpy as np
from scipy import ndimage


def border_weights(masks, share, w0=10.0, sigma=5.0):
    """Weights float32 (N, H, W, 1) of masks (N, H, W, 1) of 0 and 1.

        w(x) = c(x) + w0 exp(-(d1(x) + d2(x))² / (2 sigma²))

    d1 and d2: pixels to the nearest and the second nearest object, an object being what is connected in a slice; the
    second term is 0 inside objects and where there are fewer than two. c balances the classes: 0.5 / share in the
    foreground and 0.5 / (1 - share) outside, where `share` is the foreground's part of all pixels of the training data.
    Ronneberger, Fischer & Brox, 2015, arXiv:1505.04597, equation 2.
    """
    weights = np.where(masks > 0, 0.5 / share, 0.5 / (1 - share)).astype(np.float32)
    for mask, weight in zip(masks[..., 0], weights[..., 0], strict=True):
        objects, count = ndimage.label(mask, structure=np.ones((3, 3)))
        if count < 2:
            continue
        distances = np.sort([ndimage.distance_transform_edt(objects != i) for i in range(1, count + 1)], axis=0)
        border = w0 * np.exp(-((distances[0] + distances[1]) ** 2) / (2 * sigma**2))
        weight += np.where(mask > 0, 0, border)
    return weights
