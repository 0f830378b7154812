"""Masks drawn over the slices they belong to."""

import cv2
import numpy as np

from kerascnn.images import save_image
from kerascnn.plotting import contact_sheet

TRUTH, PREDICTION = (0.2, 1.0, 0.3), (1.0, 0.35, 0.1)  # red, green, blue
HIT, FALSE, MISSED = (0.2, 0.9, 0.3), (1.0, 0.2, 0.1), (0.2, 0.5, 1.0)
SCALE = 2  # pixels of a picture per pixel of a slice, so that an outline hides little
MOST_LARGE = 64  # slices of one patient that are drawn at this scale; of more, each is drawn as it is


def grey(image):
    """A slice uint8 (H, W, C) as float (H, W) in [0, 1]: its middle channel, which is FLAIR in the LGG data."""
    level = image[..., image.shape[-1] // 2] / 255
    return level / max(level.max(), 0.25)


def outlined(image, masks, scale=SCALE):
    """A slice in grey, enlarged, with an outline for each of [(mask (H, W, 1), colour)]: float (sH, sW, 3)."""
    level = np.repeat(grey(image)[..., np.newaxis], 3, -1).astype(np.float32)
    large = cv2.resize(level, None, fx=scale, fy=scale)
    for mask, colour in masks:
        shape = cv2.resize(
            np.ascontiguousarray(mask[..., 0], np.uint8), None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST
        )
        contours, _ = cv2.findContours(shape, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(large, contours, -1, colour, 1)
    return large


def error_map(image, truth, mask):
    """A slice in dim grey with right, false and missed pixels coloured: float (2H, 2W, 3)."""
    picture = np.repeat(0.5 * grey(image)[..., np.newaxis], 3, -1)
    truth, mask = truth[..., 0] > 0, mask[..., 0] > 0
    for where, colour in ((truth & mask, HIT), (mask & ~truth, FALSE), (truth & ~mask, MISSED)):
        picture[where] = 0.35 * picture[where] + 0.65 * np.array(colour)
    return cv2.resize(picture, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_NEAREST)


def overlay_sheet(cases, path):
    """Draw a row for each of `cases`, (title, Patient, masks), to a PNG file: its slice with the most tumor.

    Slice, outline of the truth (green), of the mask (orange), and the errors (green right, red false, blue missed).
    """
    panels = []
    for title, patient, masks in cases:
        i = int(patient.masks.sum((1, 2, 3)).argmax())
        image, truth, mask = patient.images[i], patient.masks[i], masks[i]
        panels += [
            (f"{title}\n{patient.name}", outlined(image, [])),
            (f"slice {i + 1}: truth", outlined(image, [(truth, TRUTH)])),
            ("prediction", outlined(image, [(mask, PREDICTION)])),
            ("right, false, missed", error_map(image, truth, mask)),
        ]
    contact_sheet(panels, path, 4)


def patient_strip(patient, masks, path):
    """Draw every slice of a patient with the outlines of truth (green) and mask (orange) to a PNG file."""
    labels = [str(number) for number in range(1, len(masks) + 1)]
    draw_slices(patient.images, [(patient.masks, TRUTH), (masks, PREDICTION)], labels, path)


def mask_sheet(images, masks, labels, path):
    """Draw slices uint8 (S, H, W, C) with the outlines of their masks (S, H, W, 1), orange, to a PNG file.

    labels: a text of digits for each slice.
    """
    draw_slices(images, [(masks, PREDICTION)], labels, path)


def draw_slices(images, layers, labels, path, columns=8):
    """Draw slices in rows, each under its label, with an outline for each of `layers`, [(masks (S, H, W, 1), colour)].

    A volume has hundreds of slices, and a figure of Matplotlib's takes time with the square of its panels.
    """
    scale = SCALE if len(images) <= MOST_LARGE else 1
    tiles = []
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        drawn = outlined(image, [(masks[place], colour) for masks, colour in layers], scale)
        height, width = drawn.shape[:2]
        above = 20 * scale
        # a label of four figures is 40 pixels wide at the scale of 1
        tile = np.full((above + height + 2, max(width, 44 * scale) + 4, 3), 255, np.uint8)
        tile[above : above + height, 2 : 2 + width] = np.round(255 * drawn.clip(0, 1))
        font = cv2.FONT_HERSHEY_SIMPLEX, 0.45 * scale, (0, 0, 0), scale, cv2.LINE_AA
        tiles.append(cv2.putText(tile, label, (4, above - 6 * scale), *font))
    columns = min(columns, len(tiles))
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[first : first + columns]) for first in range(0, len(tiles), columns)]
    save_image(path, np.vstack(rows)[..., ::-1])


def pair_sheet(images, masks, path):
    """Draw prepared slices float (N, H, W, C) in [0, 1] with the outlines of their masks (N, H, W, 1) to a PNG file."""
    panels = [
        ("", outlined((image * 255).astype(np.uint8), [(mask[..., :1].astype(np.uint8), TRUTH)]))
        for image, mask in zip(images, masks, strict=True)
    ]
    contact_sheet(panels, path, 6)
