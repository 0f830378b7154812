"""Masks drawn over the slices they belong to."""

import cv2
import numpy as np

from kerascnn.images import save_image
from kerascnn.plotting import contact_sheet

TRUTH, PREDICTION = (0.2, 1.0, 0.3), (1.0, 0.35, 0.1)  # red, green, blue
TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE = (0.2, 0.9, 0.3), (1.0, 0.2, 0.1), (0.2, 0.5, 1.0)
SCALE = 2  # drawn pixels per pixel of a slice, so that a contour hides little
MOST_LARGE, MOST_PIXELS = 64, 2**23  # slices of one patient, and their pixels, that are drawn at this scale


def grey(image):
    """A slice uint8 (H, W, C) as float (H, W) in [0, 1]: its middle channel, which is FLAIR in the LGG data."""
    middle = image[..., image.shape[-1] // 2] / 255
    return middle / max(middle.max(), 0.25)


def with_contours(image, masks, scale=SCALE):
    """A slice in grey, enlarged, with the contours of each of [(mask (H, W, 1), colour)]: float (sH, sW, 3)."""
    drawn = np.repeat(grey(image)[..., np.newaxis], 3, -1).astype(np.float32)
    drawn = cv2.resize(drawn, None, fx=scale, fy=scale)
    for mask, colour in masks:
        large = cv2.resize(
            np.ascontiguousarray(mask[..., 0], np.uint8), None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST
        )
        contours, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, contours, -1, colour, 1)
    return drawn


def error_overlay(image, truth, mask):
    """A slice in dim grey with true positives, false positives and false negatives coloured: float (2H, 2W, 3)."""
    drawn = np.repeat(0.5 * grey(image)[..., np.newaxis], 3, -1)
    truth, mask = truth[..., 0] > 0, mask[..., 0] > 0
    for where, colour in (
        (truth & mask, TRUE_POSITIVE),
        (mask & ~truth, FALSE_POSITIVE),
        (truth & ~mask, FALSE_NEGATIVE),
    ):
        drawn[where] = 0.35 * drawn[where] + 0.65 * np.array(colour)
    return cv2.resize(drawn, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_NEAREST)


def overlay_sheet(cases, path):
    """Draw a row for each of `cases`, (title, patient, masks), to a PNG file: its slice with the most foreground.

    The slice, the contours of the truth (green) and of the mask (orange), and the errors: true positives green, false
    positives red, false negatives blue.
    """
    panels = []
    for title, patient, masks in cases:
        i = int(patient.masks.sum((1, 2, 3)).argmax())
        image, truth, mask = patient.images[i], patient.masks[i], masks[i]
        panels += [
            (f"{title}\n{patient.name}", with_contours(image, [])),
            (f"slice {i + 1}: truth", with_contours(image, [(truth, TRUTH)])),
            ("prediction", with_contours(image, [(mask, PREDICTION)])),
            ("true (green), false (red), missed (blue)", error_overlay(image, truth, mask)),
        ]
    contact_sheet(panels, path, 4)


def slice_sheet(images, layers, labels, path):
    """Draw slices uint8 (S, H, W, C) in rows of eight, each under its label, a text of digits, to a PNG file.

    layers: [(masks (S, H, W, 1), colour)], whose contours are drawn.
    A volume has hundreds of slices, and a figure of Matplotlib's takes time with the square of its panels.
    """
    scale = SCALE if len(images) <= MOST_LARGE and images[..., 0].size <= MOST_PIXELS else 1
    tiles = []
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        drawn = with_contours(image, [(masks[place], colour) for masks, colour in layers], scale)
        height, width = drawn.shape[:2]
        above = 20 * scale
        # a label of four figures is 40 pixels wide at the scale of 1
        tile = np.full((above + height + 2, max(width, 44 * scale) + 4, 3), 255, np.uint8)
        tile[above : above + height, 2 : 2 + width] = np.round(255 * drawn.clip(0, 1))
        font = cv2.FONT_HERSHEY_SIMPLEX, 0.45 * scale, (0, 0, 0), scale, cv2.LINE_AA
        tiles.append(cv2.putText(tile, label, (4, above - 6 * scale), *font))
    columns = min(8, len(tiles))
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[first : first + columns]) for first in range(0, len(tiles), columns)]
    save_image(path, np.vstack(rows)[..., ::-1])
