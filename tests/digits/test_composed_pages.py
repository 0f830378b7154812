import numpy as np
import pytest

from kerascnn.datasets.synthetic import drawn
from kerascnn.digits.composed_pages import compose_page

EXAMPLES = drawn(60, 3)


@pytest.mark.parametrize("hard", [False, True])
def test_the_same_seed_is_the_same_page_and_another_is_not(hard):
    first, again, other = (compose_page(EXAMPLES.images, EXAMPLES.labels, seed, hard)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_ink_lies_in_the_boxes_and_nowhere_else_on_a_clean_page():
    page, truth = compose_page(EXAMPLES.images, EXAMPLES.labels, seed=0)
    assert len(truth) == 8
    rest = page.copy()
    for _, (x, y, width, height) in (digit for line in truth for digit in line):
        assert page[y : y + height, x : x + width].min() < 120
        rest[y : y + height, x : x + width] = 255
    assert (rest == 255).all()


def test_digits_of_a_clean_page_do_not_overlap_and_go_from_left_to_right():
    _, truth = compose_page(EXAMPLES.images, EXAMPLES.labels, seed=0)
    for line in truth:
        for (_, (x, _, width, _)), (_, (following, *_)) in zip(line, line[1:], strict=False):
            assert x + width < following


def test_a_hard_page_is_unevenly_lit_and_noisy():
    page, _ = compose_page(EXAMPLES.images, EXAMPLES.labels, seed=0, hard=True)
    corners = [page[:60, :60], page[:60, -60:], page[-60:, :60], page[-60:, -60:]]
    means = [corner.mean() for corner in corners]
    assert max(means) - min(means) > 10
    assert min(corner.std() for corner in corners) > 1
