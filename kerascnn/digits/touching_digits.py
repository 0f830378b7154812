"""Cutting apart digits that touch: every promising cut is tried; the most confidently read ones are kept."""

import dataclasses

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class FoundDigit:
    """A connected piece of ink: one digit, or several that touch.

    ink: uint8 (height, width), light on zero, with neighbours and ruled lines taken out, as
    preprocess_digits wants it. x, y: its upper left corner on the upright page.
    """

    x: int
    y: int
    ink: np.ndarray

    def part(self, first, last):
        """The piece between two columns, cut to its ink."""
        ink = self.ink[:, first:last]
        x, y, width, height = cv2.boundingRect(ink)
        return FoundDigit(self.x + first + x, self.y + y, ink[y : y + height, x : x + width])


def candidates(found, usual):
    """{(first, last): piece} of every span of columns that may be one digit; always holds the whole.

    Touching digits are cut where a column crosses one stroke at most, or two in a piece too wide for one digit; a part
    that is not as high as a digit is none.
    """
    width = found.ink.shape[1]
    cuts = [0, width]
    if width > 0.8 * usual:
        profile = cv2.GaussianBlur(found.ink.sum(0, dtype=np.float32)[None], (0, 0), 1.0)[0]
        inner = range(max(4, round(0.2 * usual)), width - max(4, round(0.2 * usual)))
        dark = np.pad(found.ink > 100, ((1, 0), (0, 0))).astype(np.int8)
        strokes = (np.diff(dark, axis=0) > 0).sum(0)
        most = 1 if width < 1.4 * usual else 2
        lowest = [x for x in inner if profile[x] <= profile[max(0, x - 3) : x + 4].min() and strokes[x] <= most]
        cuts = [0, *sorted(sorted(lowest, key=lambda x: profile[x])[:6]), width]
    spans = [(a, b) for i, a in enumerate(cuts) for b in cuts[i + 1 :]]
    possible = [(a, b) for a, b in spans if (a, b) == (0, width) or 0.15 * usual <= b - a <= 1.3 * usual]
    parts = {(a, b): found.part(a, b) for a, b in possible}
    return {span: part for span, part in parts.items() if span == (0, width) or part.ink.shape[0] > 0.6 * usual}


def most_confident(parts, scores):
    """The chain of spans from the first column to the last with the highest product of best probabilities.

    A cut costs as much as a factor of 0.7, so that a digit read with confidence stays whole. Being much wider than
    high, as hardly any digit is, costs too: a network that never saw two digits at once may be confident about them.
    """
    width = max(last for _, last in scores)
    best = {0: (0.0, [])}
    for first, last in sorted(scores, key=lambda span: span[1]):
        if first in best:
            high, wide = parts[first, last].ink.shape
            value = best[first][0] + np.log(scores[first, last].max() + 1e-9) - 12 * max(0, wide / high - 1.3)
            value += np.log(0.7) if first else 0
            if last not in best or value > best[last][0]:
                best[last] = (value, [*best[first][1], (first, last)])
    return best[width][1]
