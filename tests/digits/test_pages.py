import difflib
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from kerascnn.datasets.synthetic import drawn
from kerascnn.digits.composed_pages import compose_page
from kerascnn.digits.pages import ReadDigit, annotate, read_page, skew, turned, upright_lines, without_rules
from kerascnn.digits.touching_digits import FoundDigit
from kerascnn.serving.predictor import load_predictor

pytestmark = pytest.mark.long

EXAMPLES = drawn(60, 3)


def written(*rows, height=60, shade=0, paper=255):
    """A page with drawn numerals, each row a text with blanks, 60 pixels a row."""
    page = np.full((60 + 80 * len(rows), 500), paper, np.uint8)
    for i, row in enumerate(rows):
        cv2.putText(page, row, (40, 90 + 80 * i), cv2.FONT_HERSHEY_SIMPLEX, 1.6, shade, 3, cv2.LINE_AA)
    return page


def locate_digits(page):
    """The connected pieces of ink on a page, line by line, before any is cut."""
    return [line for line, _ in upright_lines(page)[0]]


def constant(digit):
    """A classifier that calls everything `digit`, and keeps what it was asked."""
    asked = []

    def classify(crops):
        asked.append(crops)
        return np.eye(10, dtype=np.float32)[[digit] * len(crops)]

    classify.asked = asked
    return classify


def test_lines_come_from_top_to_bottom_and_digits_from_left_to_right():
    lines = locate_digits(written("7 3 9", "2 5"))
    assert [len(line) for line in lines] == [3, 2]
    for line in lines:
        assert [found.x for found in line] == sorted(found.x for found in line)
    assert max(found.y for found in lines[0]) < min(found.y for found in lines[1])


@pytest.mark.parametrize(("shade", "paper"), [(0, 255), (255, 0), (120, 200), (250, 60)])
def test_ink_is_light_on_zero_whatever_the_page_looked_like(shade, paper):
    ((first, *rest),) = locate_digits(written("8 1", shade=shade, paper=paper))
    assert len(rest) == 1
    assert first.ink.dtype == np.uint8
    assert first.ink.max() > 200
    assert np.median(np.concatenate([first.ink[0], first.ink[-1], first.ink[:, 0]])) == 0


def test_boxes_lie_around_the_ink():
    page = np.full((200, 300), 255, np.uint8)
    cv2.rectangle(page, (100, 60), (119, 99), 0, -1)
    ((digit,),) = read_page(page, constant(1))
    x, y, width, height = digit.box
    assert abs(x - 100) <= 2
    assert abs(y - 60) <= 2
    assert abs(x + width - 120) <= 2
    assert abs(y + height - 100) <= 2


@pytest.mark.parametrize("page", [np.full((300, 200), 255, np.uint8), np.zeros((300, 200, 3), np.uint8)])
def test_a_blank_page_has_no_lines_and_the_classifier_is_not_asked(page):
    classify = constant(0)
    assert read_page(page, classify) == []
    assert classify.asked == []


def test_paper_with_noise_alone_has_no_lines():
    noise = np.random.default_rng(0).normal(220, 6, (400, 300)).clip(0, 255).astype(np.uint8)
    assert read_page(noise, constant(0)) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (5, 300), (40, 40, 3), (1000, 30)])
def test_a_photo_of_nothing_in_particular_does_not_fail(shape):
    photo = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    assert isinstance(read_page(photo, constant(0)), list)


def test_the_classifier_is_asked_once_with_squares_of_one_size():
    classify = constant(4)
    lines = read_page(written("1 2 3", "4 5"), classify)
    (crops,) = classify.asked
    assert crops.dtype == np.uint8
    assert crops.ndim == 4
    assert crops.shape[1] == crops.shape[2]
    assert crops.shape[3] == 1
    assert not crops[:, 0].any()
    assert [[digit.digit for digit in line] for line in lines] == [["4"] * 3, ["4"] * 2]


@pytest.mark.parametrize("angle", [-3, -1, 0, 2])
def test_skew_is_found_to_a_quarter_degree(angle):
    page = written("1 2 3 4 5 6", "7 8 9 0 1 2", "3 4 5 6 7 8")
    turn = cv2.getRotationMatrix2D((250, 150), angle, 1)
    page = cv2.warpAffine(page, turn, page.shape[::-1], borderValue=255)
    assert abs(skew(255 - page) + angle) <= 0.25
    assert [len(line) for line in locate_digits(page)] == [6, 6, 6]


def test_boxes_of_a_turned_page_are_given_on_the_page_itself():
    page = np.full((300, 500), 255, np.uint8)
    for x in range(60, 440, 40):
        cv2.rectangle(page, (x, 130), (x + 12, 160), 0, -1)
    turn = cv2.getRotationMatrix2D((250, 150), 3, 1)
    (line,) = read_page(cv2.warpAffine(page, turn, (500, 300), borderValue=255), constant(1))
    assert len(line) == 10
    for digit, left in zip(line, range(60, 440, 40), strict=True):
        middle = turn @ [left + 6, 145, 1]
        x, y, width, height = digit.box
        assert abs(x + width / 2 - middle[0]) < 2
        assert abs(y + height / 2 - middle[1]) < 2


def test_a_box_turned_by_a_quarter_swaps_its_sides():
    # x' = -y, y' = x: the box from (10, 20) to (14, 30) goes to (-30, 10) … (-20, 14)
    x, y, width, height = turned((10, 20, 4, 10), np.array([[0.0, -1, 0], [1, 0, 0]]))
    assert (x, y) == (-30, 10)
    assert (width, height) == (11, 5)


def test_ruled_lines_go_and_strokes_across_them_stay():
    ink = np.zeros((100, 400), np.uint8)
    ink[50:52] = 150
    ink[20:80, 100:105] = 255
    clean = without_rules(ink)
    assert not clean[50:52, 200:].any()
    assert clean[20:80, 102].min() > 200


def test_a_ruled_page_gives_the_same_digits_as_a_plain_one():
    page = written("6 8 2 4", "9 3 5 7")
    ruled = page.copy()
    for y in (97, 177):
        cv2.line(ruled, (0, y), (500, y), 120, 2)
    assert [len(line) for line in locate_digits(ruled)] == [4, 4]


def test_touching_digits_are_cut_where_the_classifier_is_sure_of_both():
    page = np.full((160, 300), 255, np.uint8)
    cv2.rectangle(page, (100, 50), (118, 100), 0, -1)
    cv2.rectangle(page, (126, 50), (144, 100), 0, -1)
    cv2.rectangle(page, (118, 74), (126, 77), 0, -1)

    def classify(crops):
        """Sure of a bar, in doubt about anything wider."""
        narrow = np.array([cv2.boundingRect(crop)[2] < 30 for crop in crops])
        confidence = np.where(narrow, 0.99, 0.4)[:, None]
        return np.where(np.arange(10) == 1, confidence, (1 - confidence) / 9)

    ((first, second),) = read_page(page, classify)
    assert (first.digit, second.digit) == ("1", "1")
    assert abs(first.box[0] + first.box[2] - 122) < 6


@pytest.mark.parametrize("hard", [False, True])
def test_digits_of_a_composed_page_are_found_where_they_were_written(hard):
    page, truth = compose_page(EXAMPLES.images, EXAMPLES.labels, seed=5, hard=hard)
    found = [digit.box for line in read_page(page, constant(0)) for digit in line]
    middles = np.array([(x + w / 2, y + h / 2) for x, y, w, h in found])
    hits = [any(x <= u <= x + w and y <= v <= y + h for u, v in middles) for line in truth for _, (x, y, w, h) in line]
    assert np.mean(hits) > 0.95


def test_annotation_draws_on_a_copy_green_when_sure_and_red_when_not():
    page = np.full((80, 120), 200, np.uint8)
    image = annotate(page, [[ReadDigit("3", 0.99, (10, 30, 20, 30)), ReadDigit("5", 0.4, (60, 30, 20, 30))]])
    assert image.shape == (80, 120, 3)
    assert (page == 200).all()
    assert tuple(image[60, 20]) == (0, 140, 0)
    assert tuple(image[60, 70]) == (0, 0, 220)


# From here on digits are really read: a nearest-template classifier of a plotter font stands for the model.


def numeral(digit):
    """One numeral, light on zero, cut to its ink."""
    canvas = np.zeros((80, 80), np.uint8)
    cv2.putText(canvas, str(digit), (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.5, 255, 4, cv2.LINE_AA)
    x, y, width, height = cv2.boundingRect(canvas)
    return canvas[y : y + height, x : x + width]


def set_in_lines(lines, gap=14, size=(400, 500), left=60, top=60, pitch=110):
    """A white page with dark numerals, and where each was put: one list of (x, y, width, height) a line."""
    page, boxes = np.zeros(size, np.uint8), []
    for i, line in enumerate(lines):
        x, row = left, []
        for letter in line:
            glyph = numeral(letter)
            height, width = glyph.shape
            y = top + i * pitch
            place = page[y : y + height, x : x + width]
            np.maximum(place, glyph, out=place)
            row.append((x, y, width, height))
            x += width + gap
        boxes.append(row)
    return 255 - (page * 0.85).astype(np.uint8), boxes


def shape_of(crop):
    """A crop cut to its ink and laid into 20 by 20 with its aspect kept, at length 1."""
    x, y, width, height = cv2.boundingRect((crop > 60).astype(np.uint8))
    scale = 20 / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(crop[y : y + height, x : x + width], size, interpolation=cv2.INTER_AREA).astype(np.float32)
    framed = np.zeros((20, 20), np.float32)
    upper, left = (20 - size[1]) // 2, (20 - size[0]) // 2
    framed[upper : upper + size[1], left : left + size[0]] = small
    framed = cv2.GaussianBlur(framed, (0, 0), 1)
    return framed.ravel() / np.linalg.norm(framed)


def nearest_template(crops):
    """uint8 (B, H, W, 1) -> probabilities (B, 10): the softmax of the likeness to each drawn numeral."""
    templates = np.stack([shape_of(numeral(digit)) for digit in range(10)])
    likeness = np.stack([shape_of(crop[..., 0]) for crop in crops]) @ templates.T
    weights = np.exp(40 * likeness)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def text(lines):
    return ["".join(digit.digit for digit in line) for line in lines]


def test_uneven_light_and_noise_do_not_matter():
    page, _ = set_in_lines(["30516", "7248", "907"])
    light = np.linspace(0.45, 1, 500)[None] * np.linspace(0.8, 1, 400)[:, None]
    noise = np.random.default_rng(0).normal(0, 6, page.shape)
    photo = np.clip(page * light + noise, 0, 255).astype(np.uint8)
    assert text(read_page(photo, nearest_template)) == ["30516", "7248", "907"]


def test_a_rule_through_digits_leaves_every_digit_whole():
    page, boxes = set_in_lines(["80808"])
    cv2.line(page, (0, 75), (499, 75), 110, 1)
    found = read_page(page, nearest_template)
    assert text(found) == ["80808"]
    np.testing.assert_allclose([digit.box for digit in found[0]], boxes[0], atol=4)


@pytest.mark.parametrize("number", ["22", "45", "335"])
def test_digits_that_touch_are_cut_apart(number):
    page, boxes = set_in_lines([number], gap=-3)
    assert len(locate_digits(page)[0]) == 1
    lines = read_page(page, nearest_template)
    assert text(lines) == [number]
    np.testing.assert_allclose([digit.box for digit in lines[0]], boxes[0], atol=6)


def test_a_crop_is_light_ink_on_zero_without_its_neighbour():
    page = np.full((200, 300), 235, np.uint8)
    for x in (60, 90):
        cv2.line(page, (x + 40, 60), (x, 130), 30, 5)
    left, right = locate_digits(page)[0]
    assert left.x + left.ink.shape[1] > right.x
    for found in (left, right):
        assert isinstance(found, FoundDigit)
        assert found.ink.dtype == np.uint8
        assert found.ink.max() > 200
        assert np.median(found.ink) == 0
        assert cv2.connectedComponents((found.ink > 0).astype(np.uint8))[0] == 2


def test_the_detached_bar_of_a_five_belongs_to_it():
    page = np.full((200, 300), 255, np.uint8)
    for x in (60, 160):
        cv2.line(page, (x, 62), (x + 36, 58), 0, 4)
        cv2.ellipse(page, (x + 15, 115), (18, 22), 0, -120, 120, 0, 4)
        cv2.line(page, (x + 2, 72), (x + 2, 98), 0, 4)
    (line,) = locate_digits(page)
    assert len(line) == 2
    for found in line:
        assert found.y < 62
        assert found.y + found.ink.shape[0] > 132


def test_a_long_slanted_line_is_no_digit_and_makes_no_crop_as_wide():
    page = np.full((300, 1500), 255, np.uint8)
    cv2.line(page, (20, 240), (1480, 270), 0, 5)
    for number in range(10):
        cv2.line(page, (100 + 80 * number, 60), (100 + 80 * number, 120), 0, 8)
    seen = []

    def ones(crops):
        seen.append(crops.shape)
        return np.eye(10)[np.ones(len(crops), int)]

    lines = read_page(page, ones)
    assert [len(line) for line in lines] == [10]
    assert seen[0][1] < 200


def test_specks_of_dirt_are_not_digits():
    page, _ = set_in_lines(["30516"])
    for x, y in ((20, 20), (300, 250), (480, 100), (40, 350)):
        cv2.circle(page, (x, y), 2, 0, -1)
    assert text(read_page(page, nearest_template)) == ["30516"]


def test_confidence_is_the_probability_of_the_digit_that_is_named():
    page, _ = set_in_lines(["5"])

    def classify(crops):
        return np.tile(np.float32([0, 0, 0, 0, 0, 0.25, 0, 0.75, 0, 0]), (len(crops), 1))

    ((found,),) = read_page(page, classify)
    assert (found.digit, found.confidence) == ("7", 0.75)


def test_reading_needs_neither_tensorflow_nor_keras():
    code = "import sys, kerascnn.digits.pages; print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize("shade", [0.35, 0.6])
def test_an_underexposed_page_is_not_taken_for_light_ink(shade):
    page, _ = set_in_lines(["30516", "7248"])
    assert text(read_page((page * shade).astype(np.uint8), nearest_template)) == ["30516", "7248"]


@pytest.mark.parametrize("scale", [4, 8])
def test_a_line_that_fills_the_image_is_read(scale):
    page, _ = set_in_lines(["30516"], size=(90, 330), left=30, top=25)
    large = cv2.resize(page, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    assert text(read_page(large, nearest_template)) == ["30516"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 1000), (1000, 1), (3, 5)])
def test_pages_of_hardly_any_pixels_do_not_fail(shape):
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    read_page(noise, constant(0))


@pytest.mark.data
def test_composed_pages_are_read_by_the_shipped_model(mnist):
    predictor = load_predictor(Path(__file__).parents[2] / "saved_models" / "digits")
    for hard, least in ((False, 0.98), (True, 0.93)):
        page, truth = compose_page(mnist.validation.images, mnist.validation.labels, 1, hard)
        written = "\n".join("".join(str(digit) for digit, _ in line) for line in truth)
        lines = read_page(page, lambda crops: predictor.predict(crops)["probabilities"])
        assert difflib.SequenceMatcher(None, "\n".join(text(lines)), written, autojunk=False).ratio() >= least
