"""Drawings that more than one test file looks at."""

import numpy as np


def seven(height=200, width=150, ink=255, paper=0):
    """A 7 of straight strokes, 100 high and 60 wide, not in the middle."""
    image = np.full((height, width), paper, np.uint8)
    image[30:45, 20:80] = ink
    for row in range(45, 130):
        right = 80 - (row - 45) // 2
        image[row, right - 15 : right] = ink
    return image
