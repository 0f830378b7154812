"""Pages of handwritten numbers composed of images of single digits, with the truth: for benchmark and demo.

A clean page is dark ink of varied size, slant and spacing on white paper. A hard one adds what scanners and cameras
do: the page is rotated, unevenly lit, blurred, noisy, ruled, tinted, and some neighbours touch.
"""

import cv2
import numpy as np

from kerascnn.digits.pages import turned

HEIGHT, WIDTH, MARGIN = 900, 700, 60


def compose_page(images, labels, seed, hard=False, lines=8):
    """(page uint8 (H, W), truth): a list of lines, top to bottom, each a list of (digit, (x, y, width, height)).

    images uint8 (N, 28, 28, 1), light ink on black; labels int (N,). The same arguments give the same page.
    """
    random = np.random.default_rng([seed, hard])
    ink = np.zeros((HEIGHT, WIDTH), np.float32)
    pitch = (HEIGHT - 2 * MARGIN) / lines
    truth = [write_line(ink, images, labels, MARGIN + (i + 0.5) * pitch, random, hard) for i in range(lines)]
    if not hard:
        return np.round(255 * (1 - 0.9 * ink)).astype(np.uint8), truth
    if random.random() < 0.7:
        for i in range(lines):
            y = int(MARGIN + (i + 0.5) * pitch + 24)
            cv2.line(ink, (0, y), (WIDTH, y), random.uniform(0.3, 0.5), int(random.integers(1, 3)))
    turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), random.uniform(-3, 3), 1)
    ink = cv2.warpAffine(ink, turn, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    truth = [[(digit, turned(box, turn)) for digit, box in line] for line in truth]
    return photographed(ink, random), truth


def write_line(ink, images, labels, middle, random, hard):
    """Write groups of digits along a line into `ink`, 0 … 1; what was written and where."""
    line, left = [], MARGIN + random.uniform(0, 40)
    while True:
        for _ in range(random.integers(3, 7)):
            i = random.integers(len(labels))
            digit = varied(images[i, ..., 0], random, hard)
            height, width = digit.shape
            if left + width > WIDTH - MARGIN:
                return line
            x, y = round(left), round(middle - height / 2 + random.uniform(-4, 4))
            place = ink[y : y + height, x : x + width]
            np.maximum(place, digit, out=place)
            line.append((int(labels[i]), (x, y, width, height)))
            touching = hard and random.random() < 0.06
            left += width + (random.uniform(-3, 0) if touching else random.uniform(5, 14))
        left += random.uniform(25, 60)


def varied(image, random, hard):
    """The digit alone, enlarged and turned a little, as ink of some strength: float32 (h, w), 0 … 1."""
    scale, angle = random.uniform(1.3, 2.3), random.uniform(-8, 8)
    matrix = cv2.getRotationMatrix2D((14, 14), angle, scale)
    matrix[:, 2] += 42 - 14
    digit = cv2.warpAffine(image.astype(np.float32) / 255, matrix, (84, 84), flags=cv2.INTER_LINEAR)
    x, y, width, height = cv2.boundingRect((digit > 0.2).astype(np.uint8))
    strength = random.uniform(0.6, 0.95) if hard else random.uniform(0.85, 1)
    return digit[y : y + height, x : x + width] * strength


def photographed(ink, random):
    """The page as a camera sees it: tinted paper with texture, a gradient of light, blur and noise; uint8."""
    v, u = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j].astype(np.float32)
    texture = cv2.resize(random.normal(0, 1, (HEIGHT // 30, WIDTH // 30)).astype(np.float32), (WIDTH, HEIGHT))
    light = random.uniform(0.75, 0.95) + random.uniform(-0.18, 0.18) * u + random.uniform(-0.18, 0.18) * v
    page = light * (1 + 0.015 * texture) * (1 - 0.85 * ink)
    page = cv2.GaussianBlur(page, (0, 0), random.uniform(0.5, 1.0))
    page += random.normal(0, random.uniform(0.01, 0.03), page.shape)
    return np.round(255 * np.clip(page, 0, 1)).astype(np.uint8)
