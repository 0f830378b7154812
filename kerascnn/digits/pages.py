"""Finding the lines of digits on a scanned or photographed page, and reading them with a classifier.

The page is flattened (paper and lighting divided out), turned upright, freed of ruled lines, and cut into connected
pieces of ink, which touching_digits.py takes apart. OpenCV and NumPy only: whoever calls brings the classifier.
"""

import dataclasses

import cv2
import numpy as np

from kerascnn.digits.touching_digits import FoundDigit, candidates, most_confident


@dataclasses.dataclass(frozen=True)
class ReadDigit:
    """digit: "0" … "9". confidence: the classifier's probability. box: x, y, width, height in pixels of the page."""

    digit: str
    confidence: float
    box: tuple[int, int, int, int]


WIDEST = 12  # times the usual height: a longer line is none of digits, and would make the crops of all as wide


def read_page(page, classify):
    """The digits on a page: a list of lines from top to bottom, each a list of ReadDigit from left to right.

    page: uint8 (H, W) grey or (H, W, 3) BGR. classify: uint8 (B, S, S, 1) -> probabilities (B, 10); it is called
    once for all pieces, and not at all for a page without ink.
    """
    lines, upright = upright_lines(page)
    pieces = [[candidates(found, height) for found in line] for line, height in lines]
    crops = [crop for line in pieces for parts in line for crop in parts.values()]
    if not crops:
        return []
    probabilities = iter(np.asarray(classify(squared([crop.ink for crop in crops]))))
    back = cv2.invertAffineTransform(upright)
    result = []
    for line in pieces:
        digits = []
        for parts in line:
            scores = {span: next(probabilities) for span in parts}
            for span in most_confident(parts, scores):
                digit = int(scores[span].argmax())
                box = page_box(parts[span], back, page.shape)
                digits.append(ReadDigit(str(digit), round(float(scores[span][digit]), 4), box))
        result.append(digits)
    return result


def upright_lines(page):
    """([(line of FoundDigit, its usual height)], the affine matrix that turned the page upright)."""
    ink = flat_ink(page)
    if not ink.any():
        return [], rotation(ink.shape, 0)
    upright = rotation(ink.shape, skew(ink))
    ink = cv2.warpAffine(ink, upright, ink.shape[::-1], flags=cv2.INTER_LINEAR)
    return text_lines(connected_pieces(without_rules(ink))), upright


def flat_ink(page):
    """How much darker than its paper each pixel is, as uint8 0 … 255; all 0 when nothing stands out.

    Light ink on a dark page is turned round first. The paper's brightness is what a closing wider than a stroke leaves.
    """
    grey = cv2.cvtColor(page, cv2.COLOR_BGR2GRAY) if page.ndim == 3 else page
    if is_light_on_dark(grey):
        grey = 255 - grey
    grey = cv2.medianBlur(grey, 3)
    wide = max(31, min(grey.shape) // 12, round(2.5 * stroke_width(grey))) | 1
    paper = cv2.GaussianBlur(cv2.morphologyEx(grey, cv2.MORPH_CLOSE, np.ones((wide, wide))), (0, 0), wide / 3)
    depth = 1 - grey.astype(np.float32) / np.maximum(paper, 1)
    noise = 1.4826 * np.median(np.abs(depth - np.median(depth)))
    floor = np.median(depth) + max(0.08, 4 * noise)
    strong = depth[depth > floor]
    if strong.size < 20:
        return np.zeros_like(grey)
    top = np.percentile(strong, 90)
    return np.round(255 * np.clip((depth - floor / 2) / (top - floor / 2), 0, 1)).astype(np.uint8)


def is_light_on_dark(grey):
    """Whether what differs from its surroundings is brighter than they are: ink is where the fewer pixels are."""
    scale = max(1, max(grey.shape) / 400)
    small = cv2.resize(grey, [max(1, round(side / scale)) for side in grey.shape[::-1]], interpolation=cv2.INTER_AREA)
    surroundings = cv2.medianBlur(small, min(small.shape) // 3 | 1).astype(np.float32)
    difference = small - surroundings
    clear = np.abs(difference) > 0.5 * np.abs(difference).max()
    return difference[clear].sum() > 0


def stroke_width(grey):
    """How wide the widest strokes of dark ink are, in pixels; 0 where there are none.

    What reaches the edge of the page is no stroke but a shadow.
    """
    _, dark = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    _, label = cv2.connectedComponents(dark, connectivity=8)
    edge = np.concatenate([label[0], label[-1], label[:, 0], label[:, -1]])
    dark[np.isin(label, edge)] = 0
    if not dark.any():
        return 0
    inside = cv2.distanceTransform(dark, cv2.DIST_L2, 3)
    return 2 * float(np.percentile(inside[dark > 0], 99))


def skew(ink):
    """The angle in degrees, at most 6 either way, that makes the rows of ink stand out most."""
    small = cv2.resize(ink, [max(1, side // 2) for side in ink.shape[::-1]], interpolation=cv2.INTER_AREA)

    def contrast(angle):
        rows = cv2.warpAffine(small, rotation(small.shape, angle), small.shape[::-1]).sum(1, dtype=np.float64)
        return np.square(np.diff(rows)).sum()

    coarse = max(np.arange(-6, 6.1, 0.5), key=contrast)
    return max(np.arange(coarse - 0.5, coarse + 0.51, 0.1), key=contrast)


def rotation(shape, angle):
    return cv2.getRotationMatrix2D((shape[1] / 2, shape[0] / 2), float(angle), 1)


def without_rules(ink):
    """The ink without ruled lines, except where a stroke crosses one.

    A rule runs straight for a tenth of the page, and all there is of it on one height for two fifths.
    """
    dark = (ink > 60).astype(np.uint8)
    length = max(40, ink.shape[1] // 10)
    rules = cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((1, length), np.uint8))
    rules[cv2.dilate(rules, np.ones((9, 1), np.uint8)).mean(1) < 0.4] = 0
    if not rules.any():
        return ink
    rules = cv2.dilate(rules, np.ones((3, 1), np.uint8))
    rest = np.where(rules > 0, 0, ink).astype(np.uint8)
    crossing = cv2.morphologyEx(rest, cv2.MORPH_CLOSE, np.ones((9, 1), np.uint8))
    return np.where(rules > 0, np.minimum(ink, crossing), ink).astype(np.uint8)


def connected_pieces(ink):
    """FoundDigit for each piece of ink that could be a digit: specks left out, parts of one digit put together."""
    # Low, so that thin and faint strokes hold together.
    dark = (ink > 70).astype(np.uint8)
    _, label, stats, _ = cv2.connectedComponentsWithStats(dark, connectivity=8)
    heights = stats[1:, cv2.CC_STAT_HEIGHT]
    large = heights[(heights > 8) & (stats[1:, cv2.CC_STAT_AREA] > 25)]
    if not large.size:
        return []
    usual = np.median(large[large > 0.5 * np.percentile(large, 80)])
    kept = [
        (number, x, y, x + width, y + height)
        for number, (x, y, width, height, area) in enumerate(stats[1:], 1)
        if area > 0.01 * usual**2
        and max(width, height) > 0.15 * usual
        and height < 3 * usual
        and width < WIDEST * usual
    ]
    found = []
    for group in grouped(kept, usual):
        left, upper, right, lower = bounds(group)
        if lower - upper > 0.45 * usual:
            # one pixel more on every side: the faint rim that the threshold left out
            left, upper = max(left - 1, 0), max(upper - 1, 0)
            window = np.s_[upper : lower + 1, left : right + 1]
            mine = np.isin(label[window], [piece[0] for piece in group]).astype(np.uint8)
            found.append(FoundDigit(int(left), int(upper), ink[window] * cv2.dilate(mine, np.ones((3, 3), np.uint8))))
    return found


def bounds(group):
    """left, upper, right and lower edge of all its pieces together."""
    _, left, upper, right, lower = zip(*group, strict=True)
    return min(left), min(upper), max(right), max(lower)


def grouped(pieces, usual):
    """Lists of pieces that lie above one another and close, as the bar of a 5 or the parts of a broken stroke do."""
    groups, edges = [], np.empty((len(pieces), 4))
    for piece in sorted(pieces, key=lambda piece: -(piece[3] - piece[1]) * (piece[4] - piece[2])):
        _, left, upper, right, lower = piece
        first, top, last, bottom = edges[: len(groups)].T
        shared = np.minimum(right, last) - np.maximum(left, first)
        near = (upper - bottom < 0.25 * usual) & (top - lower < 0.25 * usual)
        near &= shared > 0.5 * np.minimum(right - left, last - first)
        if lower - upper < 0.6 * usual and near.any():
            place = int(near.argmax())
            groups[place].append(piece)
        else:
            place = len(groups)
            groups.append([piece])
        edges[place] = bounds(groups[place])
    return groups


def text_lines(pieces):
    """[(pieces from left to right, their usual height)] for each line of the page from top to bottom."""
    if not pieces:
        return []
    usual = np.median([piece.ink.shape[0] for piece in pieces])
    lines = []
    for piece in sorted(pieces, key=lambda piece: piece.y + piece.ink.shape[0] / 2):
        middle = piece.y + piece.ink.shape[0] / 2
        if lines and middle - np.mean([m for m, _ in lines[-1]]) < 0.7 * usual:
            lines[-1].append((middle, piece))
        else:
            lines.append([(middle, piece)])
    ordered = [sorted((piece for _, piece in line), key=lambda piece: piece.x) for line in lines]
    return [(line, float(np.median([piece.ink.shape[0] for piece in line]))) for line in ordered]


def squared(inks):
    """Pieces of ink in the middle of squares of one size, with a black frame: uint8 (B, S, S, 1)."""
    size = max(max(ink.shape) for ink in inks) + 8
    squares = np.zeros((len(inks), size, size, 1), np.uint8)
    for square, ink in zip(squares, inks, strict=True):
        y, x = (size - ink.shape[0]) // 2, (size - ink.shape[1]) // 2
        square[y : y + ink.shape[0], x : x + ink.shape[1], 0] = ink
    return squares


def turned(box, matrix):
    """The upright box around a box, (x, y, width, height), that was turned by an affine matrix."""
    x, y, width, height = box
    corners = np.array([[[x, y], [x + width, y], [x, y + height], [x + width, y + height]]], np.float32)
    return cv2.boundingRect(cv2.transform(corners, matrix))


def page_box(found, back, shape):
    """The box around a piece of the upright page, on the page as it was given."""
    x, y, width, height = turned((found.x, found.y, *found.ink.shape[::-1]), back)
    left, upper = max(x, 0), max(y, 0)
    return left, upper, min(x + width, shape[1]) - left, min(y + height, shape[0]) - upper


def annotate(page, lines):
    """A copy of the page, uint8 (H, W, 3) BGR, with a box and the digit read above each; red where in doubt."""
    image = cv2.cvtColor(page, cv2.COLOR_GRAY2BGR) if page.ndim == 2 else page.copy()
    for digit in (digit for line in lines for digit in line):
        x, y, width, height = digit.box
        colour = (0, 140, 0) if digit.confidence > 0.9 else (0, 0, 220)
        cv2.rectangle(image, (x - 1, y - 1), (x + width, y + height), colour, 1)
        cv2.putText(image, digit.digit, (x, y - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, 2, cv2.LINE_AA)
    return image
