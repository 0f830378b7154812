"""Where a piece of ink is cut, by hand arithmetic; reading touching digits on a page is in test_pages.py."""

import cv2
import numpy as np

from kerascnn.digits.touching_digits import FoundDigit, candidates, most_confident


def test_the_most_confident_chain_is_the_product_that_hand_arithmetic_finds():
    parts = {span: FoundDigit(0, 0, np.ones((20, 10), np.uint8)) for span in [(0, 8), (0, 4), (4, 8)]}
    sure, unsure = np.array([0.99, 0.01]), np.array([0.5, 0.5])
    # whole 0.5 against 0.99 * 0.99 * 0.7 = 0.69
    assert most_confident(parts, {(0, 8): unsure, (0, 4): sure, (4, 8): sure}) == [(0, 4), (4, 8)]
    # whole 0.99 against 0.69
    assert most_confident(parts, {(0, 8): sure, (0, 4): sure, (4, 8): sure}) == [(0, 8)]


def test_a_narrow_piece_is_one_digit_and_a_wide_one_is_cut_in_its_bridge():
    ink = np.zeros((50, 52), np.uint8)
    for x in (11, 40):
        cv2.ellipse(ink, (x, 25), (11, 24), 0, 0, 360, 255, -1)
    ink[24:27, 20:32] = 255
    found = FoundDigit(100, 10, ink)
    assert list(candidates(found.part(0, 23), 50)) == [(0, 23)]
    parts = candidates(found, 50)
    assert (0, 52) in parts
    cuts = {last for first, last in parts if first == 0} - {52}
    assert cuts
    assert all(22 <= cut <= 30 for cut in cuts)
    assert all(parts[cut, 52].x == 100 + cut for cut in cuts)
