"""Heads with a bright blob, drawn: tiny, deterministic, no files. For `--smoke` and tests; proves only wiring."""

import cv2
import numpy as np

from kerascnn.tumors.patients import Patient, PatientDataset


def drawn_patient(number, slices=8, size=64):
    """A Patient of `slices` slices of size × size × 3, with tumor in the middle half of them."""
    random = np.random.default_rng(number)
    images = np.zeros((slices, size, size, 3), np.uint8)
    masks = np.zeros((slices, size, size, 1), np.uint8)
    middle, blob = size // 2, random.integers(size // 3, size - size // 3, 2)
    for i in range(slices):
        scale = 1 - abs(i - slices / 2 + 0.5) / slices
        head = int(0.40 * size * scale), int(0.34 * size * scale)
        canvas = cv2.ellipse(np.zeros((size, size), np.uint8), (middle, middle), head, 90, 0, 360, 90, -1)
        radius = int(0.13 * size) - abs(2 * i - slices + 1) // 2
        if slices // 4 <= i < slices - slices // 4 and radius > 0:
            cv2.circle(masks[i], [int(v) for v in blob], radius, 1, -1)
        for channel, gain in enumerate((0.2, 1.0, 0.5)):
            intensities = canvas * (1 + gain * masks[i, ..., 0]) + (canvas > 0) * random.normal(0, 8, canvas.shape)
            images[i, ..., channel] = intensities.clip(0, 255)
    return Patient(f"phantom_{number:02}", images, masks)


def load():
    """The PatientDataset of 15 drawn patients."""
    return PatientDataset(
        name="phantoms",
        patients=tuple(drawn_patient(number) for number in range(15)),
        channel_names=("pre-contrast", "FLAIR", "post-contrast"),
        licence="Apache-2.0",
        description="15 drawn phantoms, synthetic: a figure from them says nothing about patients",
    )
