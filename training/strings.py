"""Numbers of several digits, with the box of each: pictures made of MNIST's digits, as forms and cheques show them.

    digits of one stroke width --placed on a line--> canvas --slant, cells, paper, noise--> picture, text, boxes

A canvas is 0 paper and 255 ink, four times as fine as MNIST; the picture is dark ink on light paper, in one of many
sizes. Who wrote the digits is decided by the pool they are taken from: training strings come from digits of training
writers, test strings from MNIST's test digits, and no writer is in both.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data import Digits
from training.drawing import Image, enlarge, smooth_noise
from training.shapes import Generator

Box = tuple[int, int, int, int]

# Height of MNIST's box on the canvas, and the room left around the writing, in parts of it.
HEIGHT = 80
MARGIN = 0.45
# Ink that two neighbours share is found at this level of both.
INKED = 128
# Of the neighbours of a touching string, those that are pushed into each other.
TOUCHING = 0.92
# Digits are drawn from so many of similar stroke width: a number is written with one pen.
SIMILAR = 600


@dataclass(frozen=True, eq=False)
class String:
    """A picture uint8 `[height, width]`, dark on light, its text, and the box of each digit in its pixels.

    `touching` is the share of neighbours that share ink pixels.
    """

    picture: Image
    text: str
    boxes: tuple[Box, ...]
    touching: float


@dataclass(frozen=True, eq=False)
class Line:
    """Digits placed on a canvas."""

    canvas: Image
    text: str
    boxes: tuple[Box, ...]
    touching: float


class Pool:
    """Digits by stroke width, to take those of one pen from."""

    def __init__(self, digits: Digits) -> None:
        ink = digits.images.astype(np.float32)
        rim = np.abs(np.diff(ink, axis=1)).sum(axis=(1, 2)) + np.abs(np.diff(ink, axis=2)).sum(axis=(1, 2))
        order = np.argsort(ink.sum(axis=(1, 2)) / np.maximum(rim, 1), kind="stable")
        self._digits = digits.take(order)

    def take(self, count: int, rng: Generator) -> Digits:
        """`count` digits of similar stroke width."""
        similar = min(SIMILAR, len(self._digits))
        first = int(rng.integers(0, len(self._digits) - similar + 1))
        return self._digits.take(first + rng.integers(0, similar, count))


def make_strings(count: int, style: str, pool: Pool, rng: Generator, length: int | None = None) -> Iterator[String]:
    """`count` strings of a style, of 1 to 10 digits or of the given length."""
    for _ in range(count):
        digits = pool.take(int(rng.integers(1, 11)) if length is None else length, rng)
        yield STYLES[style](digits, rng)


# --- placing ----------------------------------------------------------------------------------------------------------


def _write(digits: Digits, rng: Generator, gaps: Sequence[float | None], shear: float = 0.0) -> Line:
    """Digits beside each other on one line.

    `gaps[i]` is what lies between digit `i` and the next, in parts of the height: between their boxes if it is
    positive; if not, their ink shares so much of its width where they come nearest; None pushes them together as far
    as they go without touching.
    """
    scale = 1 + rng.normal(0, 0.03)
    glyphs = [glyph(image, scale * (1 + rng.normal(0, 0.05)), shear) for image in digits.images]
    baseline = 2 * HEIGHT
    tops = [baseline - glyph.shape[0] + round(rng.normal(0, 0.04 * HEIGHT)) for glyph in glyphs]
    lefts = [0]
    for index in range(1, len(glyphs)):
        step = place_beside(glyphs[index - 1], tops[index - 1], glyphs[index], tops[index], gaps[index - 1])
        lefts.append(lefts[-1] + max(step, 2))
    return compose(glyphs, lefts, tops, "".join(map(str, digits.labels)))


def glyph(image: Image, scale: float, shear: float) -> Image:
    """The ink of one digit, cut out, leaning to the right by `shear` of its height."""
    canvas = np.pad(enlarge(image), 40)
    middle = len(canvas) / 2
    matrix = np.array([[scale, -shear * scale, 0], [0, scale, 0]])
    matrix[:, 2] = middle - matrix[:, :2] @ (middle, middle)
    turned = cv2.warpAffine(canvas, matrix, canvas.shape[::-1])
    left, top, width, height = cv2.boundingRect((turned >= INKED).astype(np.uint8))
    return np.asarray(turned[top : top + height, left : left + width], np.uint8)


def place_beside(before: Image, before_top: int, after: Image, after_top: int, gap: float | None) -> int:
    """From the left of one glyph to that of the next."""
    if gap is not None and gap > 0:
        return int(before.shape[1]) + round(gap * HEIGHT)
    top, bottom = max(before_top, after_top), min(before_top + len(before), after_top + len(after))
    ends = _last_inked(before[top - before_top : bottom - before_top])
    starts = _last_inked(after[top - after_top : bottom - after_top, ::-1])
    nearest = int((ends + starts).max()) + 2 - after.shape[1] if bottom > top else before.shape[1]
    return int(nearest) + (3 if gap is None else round(gap * HEIGHT))


def _last_inked(rows: Image) -> NDArray[np.intp]:
    """The last inked column of each row, far to the left where there is none."""
    inked = rows >= INKED
    last = rows.shape[1] - 1 - inked[:, ::-1].argmax(axis=1)
    return np.where(inked.any(axis=1), last, -10 * HEIGHT)


def compose(glyphs: Sequence[Image], lefts: Sequence[int], tops: Sequence[int], text: str) -> Line:
    margin = round(MARGIN * HEIGHT)
    right = max(left + glyph.shape[1] for left, glyph in zip(lefts, glyphs, strict=True))
    first, left_most = min(tops), min(lefts)
    bottom = max(top + len(glyph) for top, glyph in zip(tops, glyphs, strict=True))
    canvas = np.zeros((bottom - first + 2 * margin, right - left_most + 2 * margin), np.uint8)
    boxes: list[Box] = []
    shared = 0
    before = np.zeros_like(canvas, np.bool_)
    for glyph, left, top in zip(glyphs, lefts, tops, strict=True):
        x, y = left - left_most + margin, top - first + margin
        height, width = glyph.shape
        place = canvas[y : y + height, x : x + width]
        np.maximum(place, glyph, out=place)
        inked = np.zeros_like(before)
        inked[y : y + height, x : x + width] = glyph >= INKED
        shared += bool((inked & before).any())
        before = inked
        boxes.append((x, y, x + width, y + height))
    return Line(canvas, text, tuple(boxes), shared / max(len(glyphs) - 1, 1))


# --- styles -----------------------------------------------------------------------------------------------------------


def write_spaced(digits: Digits, rng: Generator) -> String:
    """Digits that keep a distance."""
    return photograph(_write(digits, rng, _spaced(digits, rng)), rng)


def write_touching(digits: Digits, rng: Generator) -> String:
    """Most neighbours run into each other."""
    gaps = [-rng.uniform(0.01, 0.05) if rng.random() < TOUCHING else rng.uniform(0.02, 0.1) for _ in digits.labels]
    return photograph(_write(digits, rng, gaps), rng)


def write_overlapping(digits: Digits, rng: Generator) -> String:
    """Boxes overlap while the ink does not touch, as in slanted or crowded writing."""
    gaps = [None for _ in digits.labels]
    return photograph(_write(digits, rng, gaps, rng.uniform(0.1, 0.4)), rng)


def write_slanted(digits: Digits, rng: Generator) -> String:
    """All digits lean, to the right or sometimes to the left."""
    shear = rng.uniform(0.2, 0.5) * (1 if rng.random() < 0.75 else -0.7)
    return photograph(_write(digits, rng, _spaced(digits, rng), shear), rng)


def write_noisy(digits: Digits, rng: Generator) -> String:
    """On grainy or patterned paper, faint, blurred, with a ruled line under it or through it."""
    line = _write(digits, rng, [rng.uniform(-0.05, 0.25) or None for _ in digits.labels], rng.uniform(-0.1, 0.3))
    if rng.random() < 0.4:
        line = rule(line, rng)
    string = photograph(line, rng, contrast=(0.3, 0.8))
    return replace(string, picture=spoil(string.picture, rng))


def write_boxed(digits: Digits, rng: Generator) -> String:
    """One digit in each printed cell; here and there one crosses its frame."""
    cell = round(HEIGHT * rng.uniform(1.3, 1.8))
    tall = round(HEIGHT * rng.uniform(1.35, 1.8))
    glyphs = [glyph(image, rng.uniform(0.75, 1.05), 0.0) for image in digits.images]
    lefts = [
        round(index * cell + (cell - glyph.shape[1]) / 2 + rng.normal(0, 0.06 * cell))
        for index, glyph in enumerate(glyphs)
    ]
    tops = [round((tall - len(glyph)) / 2 + rng.normal(0, 0.05 * tall)) for glyph in glyphs]
    line = compose(glyphs, lefts, tops, "".join(map(str, digits.labels)))
    origin = line.boxes[0][0] - lefts[0], line.boxes[0][1] - tops[0]
    return photograph(_draw_cells(line, origin, cell, tall, rng), rng)


def _spaced(digits: Digits, rng: Generator) -> list[float | None]:
    usual = rng.uniform(0.1, 0.4)
    return [max(0.06, usual + rng.normal(0, 0.05)) for _ in digits.labels]


def _draw_cells(line: Line, origin: tuple[int, int], cell: int, tall: int, rng: Generator) -> Line:
    """A comb of cells: one frame with lines between, or a box for each digit; the canvas grows where it must."""
    count, grow = len(line.text), HEIGHT
    canvas = np.pad(line.canvas, grow)
    x, y = origin[0] + grow, origin[1] + grow
    pen, level = int(rng.integers(2, 6)), int(rng.integers(140, 256))
    apart = int(rng.integers(6, 16)) if rng.random() < 0.35 else 0
    frames = np.zeros_like(canvas)
    for index in range(count):
        corner = x + index * cell + apart // 2, y
        opposite = x + (index + 1) * cell - (apart + 1) // 2, y + tall
        cv2.rectangle(frames, corner, opposite, level, pen)
    room = round(rng.uniform(0.05, 0.3) * HEIGHT) + pen
    left, top = max(0, x - room), max(0, y - room)
    right, bottom = x + count * cell + room, y + tall + room
    crop = np.maximum(canvas, frames)[top:bottom, left:right]
    dx, dy = grow - left, grow - top
    boxes = tuple((a + dx, b + dy, c + dx, d + dy) for a, b, c, d in line.boxes)
    return replace(line, canvas=crop, boxes=boxes)


def rule(line: Line, rng: Generator) -> Line:
    """A printed line under the writing, or through its feet."""
    canvas = line.canvas.copy()
    bottom = max(box[3] for box in line.boxes)
    y = bottom + round(rng.uniform(-0.1, 0.25) * HEIGHT)
    tilt = rng.normal(0, 0.005) * canvas.shape[1]
    cv2.line(canvas, (-1, round(y - tilt)), (canvas.shape[1], round(y + tilt)), int(rng.integers(120, 230)), 3)
    return replace(line, canvas=np.maximum(canvas, line.canvas))


# --- paper ------------------------------------------------------------------------------------------------------------


def photograph(line: Line, rng: Generator, contrast: tuple[float, float] = (0.5, 0.95)) -> String:
    """Ink on paper at the size of a scan: digits are some 24 to 70 pixels high."""
    scale = math.exp(rng.uniform(math.log(24), math.log(70))) / HEIGHT
    height, width = line.canvas.shape
    size = max(1, round(width * scale)), max(1, round(height * scale))
    ink = cv2.resize(line.canvas, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    paper = rng.uniform(170, 255)
    picture = paper * (1 - rng.uniform(*contrast) * ink)
    x, y = size[0] / width, size[1] / height
    boxes = tuple((round(a * x), round(b * y), round(c * x), round(d * y)) for a, b, c, d in line.boxes)
    return String(np.rint(picture).astype(np.uint8), line.text, boxes, line.touching)


def spoil(picture: Image, rng: Generator) -> Image:
    """Grain, a printed pattern, uneven light, blur: each on some pictures."""
    spoiled = picture.astype(np.float32)
    if rng.random() < 0.5:
        spoiled -= _pattern(picture.shape, rng)
    if rng.random() < 0.5:
        spoiled *= 1 + 0.1 * smooth_noise(picture.shape, 3, rng)
    if rng.random() < 0.4:
        spoiled = np.asarray(cv2.GaussianBlur(spoiled, (0, 0), rng.uniform(0.5, 1.2)), np.float32)
    spoiled += rng.normal(0, rng.uniform(1, 8), picture.shape)
    return np.clip(np.rint(spoiled), 0, 255).astype(np.uint8)


def _pattern(shape: tuple[int, ...], rng: Generator) -> NDArray[np.float32]:
    """The fine waves that are printed on cheques, in grey levels."""
    rows, columns = np.indices(shape, np.float32)
    angle, gap = rng.uniform(0, math.pi), rng.uniform(3, 9)
    phase = (columns * math.sin(angle) + rows * math.cos(angle)) / gap * 2 * math.pi
    phase += rng.uniform(0, 3) * smooth_noise(shape, 4, rng)
    return np.asarray(rng.uniform(5, 30) * np.clip(np.sin(phase), 0, 1), np.float32)


STYLES: dict[str, Callable[[Digits, Generator], String]] = {
    "spaced": write_spaced,
    "touching": write_touching,
    "overlapping": write_overlapping,
    "slanted": write_slanted,
    "noisy": write_noisy,
    "boxed": write_boxed,
}
