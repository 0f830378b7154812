"""Images of masks: what is drawn where, in which colour."""

import cv2
import numpy as np

from kerascnn.segmentation.overlays import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    PREDICTION,
    TRUE_POSITIVE,
    error_overlay,
    slice_sheet,
    with_contours,
)

IMAGE = np.full((16, 20, 3), 100, np.uint8)
IMAGE[0, 0] = 250


def square(top, left, side):
    mask = np.zeros((16, 20, 1), np.uint8)
    mask[top : top + side, left : left + side] = 1
    return mask


def test_a_contour_follows_the_edge_of_the_mask_and_leaves_the_inside():
    drawn = with_contours(IMAGE, [(square(4, 6, 5), PREDICTION)])
    edge = np.zeros((32, 40), bool)
    edge[8:18, 12:22] = True
    edge[9:17, 13:21] = False
    assert drawn.shape == (32, 40, 3)
    np.testing.assert_array_equal((drawn == np.float32(PREDICTION)).all(-1), edge)


def test_true_false_and_missed_pixels_have_colours_of_their_own():
    truth, mask = square(2, 2, 4), square(2, 4, 4)
    drawn = error_overlay(IMAGE, truth, mask)
    pixels = {"true": drawn[6, 10], "missed": drawn[6, 6], "false": drawn[6, 14], "none": drawn[20, 20]}
    for name, colour in (("true", TRUE_POSITIVE), ("false", FALSE_POSITIVE), ("missed", FALSE_NEGATIVE)):
        np.testing.assert_allclose(pixels[name] - 0.65 * np.array(colour), 0.35 * pixels["none"])


def test_a_sheet_has_a_tile_a_slice_and_many_slices_are_drawn_smaller(tmp_path):
    sizes = {}
    for count in (3, 64, 65):
        images, masks = np.repeat(IMAGE[np.newaxis], count, 0), np.zeros((count, 16, 20, 1), np.uint8)
        labels = [str(number) for number in range(1, count + 1)]
        slice_sheet(images, [(masks, PREDICTION)], labels, tmp_path / "sheet.png")
        drawn = cv2.imread(str(tmp_path / "sheet.png"))
        # a tile of 92 x 74 or 48 x 38 pixels has one of the slice's grey 2 pixels above its lower left corner
        tile = np.array((38, 48) if count > 64 else (74, 92))
        rows, columns = np.array(drawn.shape[:2]) // tile
        sizes[count] = rows, columns, drawn.shape[0] % tile[0], drawn.shape[1] % tile[1]
        filled = [
            (drawn[(row + 1) * tile[0] - 4, column * tile[1] + 3] < 255).all()
            for row, column in np.ndindex(rows, columns)
        ]
        assert filled == [True] * count + [False] * (rows * columns - count)
    assert sizes == {3: (1, 3, 0, 0), 64: (8, 8, 0, 0), 65: (9, 8, 0, 0)}
