"""Numbers as people write them in forms and on cheques, for the column network to learn from.

More varied than the strings that are measured: every pen, joined and broken digits, points and dashes between them,
currency marks and fill around them, lines through them, paper of all kinds.
"""

from dataclasses import replace
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from training.augment import Augmentation, augment
from training.data import Digits
from training.drawing import Image, draw_digits, smooth
from training.shapes import Generator, arc
from training.strings import (
    HEIGHT,
    STYLES,
    Box,
    Line,
    Pool,
    String,
    compose,
    glyph,
    photograph,
    place_beside,
    rule,
    spoil,
)

# How single digits differ further from MNIST's: no shift, since each is cut out along its ink.
BENT = Augmentation(rotation=7, scale=0.14, shear=0.1, shift=0, elastic=0.8, wide=0.0, weight=0.2, effect=0.0)
# Share of digits that are drawn from strokes, in shapes that MNIST has few of; and of those the columns are taught with.
DRAWN, TAUGHT = 0.08, 0.25
CURSIVE = 0.3
MARKED = 0.4
RULED = 0.15
SPOILED = 0.45
CROPPED = 0.5
# Share of numbers that are plainly placed, as the measured ones are, of each style: mostly where digits meet.
PLAIN = {"touching": 0.28, "overlapping": 0.08, "spaced": 0.05, "slanted": 0.04}


def write_freely(digits: Digits, rng: Generator, drawn: float = DRAWN) -> String:
    """A number in any hand, on any paper; of its digits the share `drawn` is drawn from strokes."""
    shear = float(np.clip(rng.normal(0.1, 0.2), -0.4, 0.65))
    line = _place(_some_drawn(digits, drawn, rng), shear, rng)
    line = replace(line, canvas=_change_pen(line.canvas, rng))
    if rng.random() < CURSIVE:
        line = _join(line, rng)
    if rng.random() < MARKED:
        line = _mark(line, rng)
    if rng.random() < RULED:
        line = rule(line, rng)
    if rng.random() < CROPPED:
        line = _crop(line, rng)
    string = photograph(line, rng, contrast=(0.25, 0.95))
    return replace(string, picture=spoil(string.picture, rng)) if rng.random() < SPOILED else string


def _some_drawn(digits: Digits, share: float, rng: Generator) -> Digits:
    images, labels = augment(digits.images, rng, BENT), digits.labels.copy()
    drawn = np.flatnonzero(rng.random(len(labels)) < share)
    if len(drawn):
        images[drawn], labels[drawn] = draw_digits(len(drawn), rng)
    return Digits(images, labels)


def _place(digits: Digits, shear: float, rng: Generator) -> Line:
    """Digits beside each other, near or far, level or not, of even or uneven size."""
    uneven = 0.05 if rng.random() < 0.7 else 0.13
    drift = rng.normal(0, 0.03)
    sizes = np.exp(rng.normal(0, uneven, len(digits.labels)))
    glyphs = [glyph(image, float(size), shear) for image, size in zip(digits.images, sizes, strict=True)]
    gaps = _gaps(len(glyphs), rng)
    bottom, jitter = 2 * HEIGHT, rng.choice([0.03, 0.08])
    lefts, tops = [0], [round(bottom - len(glyphs[0]) + rng.normal(0, jitter) * HEIGHT)]
    for index in range(1, len(glyphs)):
        top = bottom - len(glyphs[index]) + (rng.normal(0, jitter) * HEIGHT + drift * lefts[-1])
        tops.append(round(top))
        step = place_beside(glyphs[index - 1], tops[index - 1], glyphs[index], tops[index], gaps[index - 1])
        lefts.append(lefts[-1] + max(step, 6))
    return compose(glyphs, lefts, tops, "".join(map(str, digits.labels)))


def _gaps(count: int, rng: Generator) -> list[float | None]:
    """Between neighbours, as `training.strings` understands them."""
    mood = rng.choice(["spaced", "wide", "tight", "touching", "mixed"], p=[0.2, 0.08, 0.2, 0.34, 0.18])
    usual = rng.uniform(0.05, 0.4) if mood == "spaced" else rng.uniform(0.4, 1.2)
    gaps: list[float | None] = []
    for _ in range(count):
        kind = rng.choice(["spaced", "tight", "touching"]) if mood == "mixed" else mood
        if kind == "touching":
            gaps.append(-rng.uniform(0, 0.08) if rng.random() < 0.9 else None)
        elif kind == "tight":
            gaps.append(rng.uniform(0.01, 0.12) if rng.random() < 0.4 else None)
        else:
            gaps.append(max(0.03, (usual if mood != "mixed" else 0.15) + rng.normal(0, 0.07)))
    return gaps


def _change_pen(canvas: Image, rng: Generator) -> Image:
    """Strokes of all digits thinner or thicker; not so thin that much is lost."""
    draw = rng.random()
    if draw < 0.4:
        return canvas
    size = int(rng.integers(2, 8))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    if draw < 0.6:
        return np.asarray(cv2.dilate(canvas, kernel), np.uint8)
    thin = np.asarray(cv2.erode(canvas, kernel), np.uint8)
    return thin if thin.sum() > 0.4 * canvas.sum() else canvas


def _join(line: Line, rng: Generator) -> Line:
    """Some neighbours joined by a stroke, as in writing without lifting the pen."""
    canvas = line.canvas.copy()
    pen = _pen(canvas, rng)
    for before, after in pairwise(line.boxes):
        if rng.random() < 0.55 and after[0] - before[2] < 0.35 * HEIGHT:
            ends = _ink_near(line.canvas, before, rng, right=True), _ink_near(line.canvas, after, rng, right=False)
            if ends[0] is not None and ends[1] is not None:
                middle = (ends[0] + ends[1]) / 2 + rng.normal(0, 0.06 * HEIGHT, 2)
                _stroke(canvas, np.stack([ends[0], middle, ends[1]]), pen)
    return replace(line, canvas=canvas)


def _pen(canvas: Image, rng: Generator) -> int:
    """A line about as wide as the strokes: area over half the perimeter."""
    inked = (canvas > 127).astype(np.int16)
    rim = np.abs(np.diff(inked, axis=0)).sum() + np.abs(np.diff(inked, axis=1)).sum()
    return max(2, round(2.2 * float(inked.sum()) / max(float(rim), 1) * rng.uniform(0.5, 1.1)))


def _ink_near(canvas: Image, box: Box, rng: Generator, *, right: bool) -> NDArray[np.float64] | None:
    """A point on the ink in the right or left third of a box."""
    left, top, end, bottom = box
    third = max(1, (end - left) // 3)
    first = end - third if right else left
    rows, columns = np.nonzero(canvas[top:bottom, first : first + third] > 127)
    if not len(rows):
        return None
    index = int(rng.integers(len(rows)))
    return np.array([first + columns[index], top + rows[index]], np.float64)


def _stroke(canvas: Image, points: NDArray[np.float64], pen: int) -> None:
    path = np.rint(smooth(points) * 8).astype(np.int32)
    cv2.polylines(canvas, [path], False, 255, pen, cv2.LINE_AA, 3)


# --- what is no digit -------------------------------------------------------------------------------------------------


def _mark(line: Line, rng: Generator) -> Line:
    """Points and commas between digits, dashes or a fill at the end, a currency mark or a fill before them."""
    grow = 2 * HEIGHT
    canvas = np.pad(line.canvas, ((0, 0), (grow, grow)))
    boxes = tuple((a + grow, b, c + grow, d) for a, b, c, d in line.boxes)
    pen = _pen(line.canvas, rng) + 1
    feet = float(np.median([box[3] for box in boxes]))
    if rng.random() < 0.6:
        for before, after in pairwise(boxes):
            if rng.random() < 0.25:
                _point(canvas, ((before[2] + after[0]) / 2, feet), pen, rng)
    if rng.random() < 0.45:
        _ending(canvas, (boxes[-1][2] + rng.uniform(0.05, 0.4) * HEIGHT, feet), pen, rng)
    if rng.random() < 0.3:
        _beginning(canvas, (boxes[0][0] - rng.uniform(0.05, 0.4) * HEIGHT, feet), pen, rng)
    return replace(line, canvas=canvas, boxes=boxes)


def _point(canvas: Image, at: tuple[float, float], pen: int, rng: Generator) -> None:
    """A point, comma, apostrophe or dash between two digits."""
    x, y = at[0] + rng.normal(0, 0.04) * HEIGHT, at[1] + rng.normal(0, 0.05) * HEIGHT
    draw = rng.random()
    if draw < 0.55:
        reach = np.array([rng.normal(0, 0.02), rng.normal(0, 0.02)])
    elif draw < 0.85:
        reach = np.array([-rng.uniform(0.02, 0.12), rng.uniform(0.08, 0.25)])
    else:
        y -= rng.uniform(0.3, 0.6) * HEIGHT
        reach = np.array([rng.uniform(0.1, 0.25), rng.normal(0, 0.03)])
    points = np.array([[x, y], [x, y] + reach * HEIGHT / 2, [x, y] + reach * HEIGHT])
    _stroke(canvas, points, round(pen * rng.uniform(0.8, 1.5)))


def _ending(canvas: Image, at: tuple[float, float], pen: int, rng: Generator) -> None:
    """What closes an amount: a dash, two, a point and a dash, a wave, a hash."""
    x, y = at
    kind = rng.choice(["dash", "double", "point", "wave", "hash", "junk"])
    middle = y - rng.uniform(0.2, 0.6) * HEIGHT
    width = rng.uniform(0.25, 1.2) * HEIGHT
    if kind == "point":
        _point(canvas, (x, y), pen, rng)
        x += 0.2 * HEIGHT
    if kind in ("dash", "double", "point"):
        for offset in (0.0, 0.18)[: 2 if kind == "double" else 1]:
            row = middle + offset * HEIGHT
            tilt = rng.normal(0, 0.08) * HEIGHT
            _stroke(canvas, np.array([[x, row], [x + width / 2, row + tilt / 2], [x + width, row + tilt]]), pen)
    elif kind == "wave":
        steps = np.arange(6)
        wave = np.stack([x + steps * width / 5, middle + 0.1 * HEIGHT * (-1.0) ** steps], axis=1)
        _stroke(canvas, wave, pen)
    elif kind == "hash":
        _hash(canvas, (x, y), pen, rng)
    else:
        _junk(canvas, (x, y), pen, rng)


def _beginning(canvas: Image, at: tuple[float, float], pen: int, rng: Generator) -> None:
    x, y = at
    kind = rng.choice(["hash", "dollar", "junk", "dash"])
    if kind == "hash":
        _hash(canvas, (x - 0.9 * HEIGHT, y), pen, rng)
    elif kind == "dollar":
        size, x = rng.uniform(0.6, 1.1) * HEIGHT, x - 0.7 * HEIGHT
        upper = arc((0.5, 0.27), (0.3, 0.22), 330, -240)
        lower = arc((0.5, 0.72), (0.3, 0.24), 270, 250)
        points = np.array([*upper, *lower])
        _stroke(canvas, points * [0.7 * size, size] + [x, y - size], pen)
        for column in (0.45, 0.6)[: int(rng.integers(1, 3))]:
            top = np.array([[column + 0.05, -0.1], [column, 0.5], [column - 0.05, 1.1]])
            _stroke(canvas, top * [0.7 * size, size] + [x, y - size], pen)
    elif kind == "dash":
        row = y - rng.uniform(0.2, 0.6) * HEIGHT
        width = rng.uniform(0.25, 1.0) * HEIGHT
        _stroke(canvas, np.array([[x - width, row], [x - width / 2, row], [x, row + rng.normal(0, 4)]]), pen)
    else:
        _junk(canvas, (x - 0.5 * HEIGHT, y), pen, rng)


def _hash(canvas: Image, at: tuple[float, float], pen: int, rng: Generator) -> None:
    size = rng.uniform(0.5, 1.0) * HEIGHT
    strokes = [[(0.35, 0), (0.25, 1)], [(0.7, 0), (0.6, 1)], [(0, 0.35), (1, 0.3)], [(0, 0.7), (0.95, 0.65)]]
    for stroke in strokes:
        points = np.array(stroke) + rng.normal(0, 0.06, (2, 2))
        _stroke(canvas, np.insert(points, 1, points.mean(axis=0), axis=0) * size + [at[0], at[1] - size], pen)


def _junk(canvas: Image, at: tuple[float, float], pen: int, rng: Generator) -> None:
    """A few strokes that mean nothing."""
    for _ in range(rng.integers(1, 4)):
        points = rng.normal(0, 0.25, (int(rng.integers(3, 6)), 2)) * HEIGHT + [at[0] + 0.4 * HEIGHT, at[1] - 30]
        _stroke(canvas, points, pen)


def _crop(line: Line, rng: Generator) -> Line:
    """Cut close, as fields are; here and there into the writing."""
    height, width = line.canvas.shape
    boxes = np.array(line.boxes)
    rims = np.array([*boxes[:, :2].min(axis=0), *(np.array([width, height]) - boxes[:, 2:].max(axis=0))])
    left, top, right, bottom = (np.clip(rims * rng.uniform(0.2, 1.05, 4), 0, rims + 3)).astype(int).tolist()
    canvas = line.canvas[top : height - bottom, left : width - right]
    moved = tuple((a - left, b - top, c - left, d - top) for a, b, c, d in line.boxes)
    return replace(line, canvas=np.ascontiguousarray(canvas), boxes=moved)


def length_of_number(rng: Generator) -> int:
    """Mostly 3 to 7 digits."""
    return int(np.clip(round(rng.gamma(6.0, 0.9)), 1, 12))


def write_many(count: int, pool: Pool, rng: Generator, drawn: float = DRAWN) -> list[String]:
    """`count` numbers in many hands, each of digits that one pen may have written, or of which the share `drawn` is drawn."""
    writers = [partial(write_freely, drawn=drawn), *(STYLES[style] for style in PLAIN)]
    shares = [1 - sum(PLAIN.values()), *PLAIN.values()]
    chosen = rng.choice(len(writers), count, p=shares)
    return [writers[index](pool.take(length_of_number(rng), rng), rng) for index in chosen]
