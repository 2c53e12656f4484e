"""Digits as they stand on paper: cells of forms with their frames, ruling, neighbours and light, photographed or scanned.

    canvas --_pen--> ink --_lay_out--> page --_print_lines--> --_paper--> grey cell --_digitise--> picture

`read_cell` sends such a picture through the service's own normalisation, so that the network is taught, and its
thresholds are chosen, on what is really left of frames and neighbours, and of strokes that were found too faint.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from service.ink import find_ink
from service.preprocessing import normalize
from training.data import Digits
from training.drawing import Image, draw, enlarge, random_writer, smooth, smooth_noise, to_mnist
from training.negatives import FAMILIES, NOT_A_DIGIT, TRAINED, is_thin_upright
from training.shapes import DIGITS, Generator

Floats = NDArray[np.float32]

# Puts writing on a canvas and tells its label.
Write = Callable[[Digits, Generator], tuple[Image, int]]

# Share of the digits that are drawn by strokes; the rest is MNIST's.
DRAWN_SHARE = 0.4
# What is read must resemble what was written: else a neighbour was taken for it, or too little of it was found.
LEAST_LIKENESS = 0.6
# Families that are drawn with strokes; the others are no writing on paper.
_WRITTEN = tuple(
    family
    for family in TRAINED
    if family not in {"noise", "texture", "blob", "body", "filled", "frame", "two_digits", "half"}
)


@dataclass(frozen=True)
class Layout:
    """Where the writing stands in its cell, in pixels: its `box` as left, top, right, bottom."""

    box: tuple[int, int, int, int]
    height: int
    width: int

    @property
    def writing(self) -> int:
        """Height of the writing."""
        return self.box[3] - self.box[1]


def make_cells(digits: Digits, count: int, rng: Generator) -> Digits:
    """`count` cells with a digit in each, read: images in MNIST's geometry, with their labels."""
    return make_cell_pictures(digits, count, rng)[1]


def make_cell_pictures(digits: Digits, count: int, rng: Generator) -> tuple[list[Image], Digits]:
    """The same, and before them the cells themselves, grey pictures uint8 `[height, width]`."""
    return _collect([_make_cell(_write_digit, digits, rng) for _ in range(count)])


def make_negative_cells(digits: Digits, count: int, rng: Generator) -> Digits:
    """`count` cells with writing that is no digit, read; all are labelled `NOT_A_DIGIT`."""
    return _collect([_make_cell(_write_negative, digits, rng) for _ in range(count)])[1]


def _collect(cells: list[tuple[Image, Image, int]]) -> tuple[list[Image], Digits]:
    pictures, images, labels = zip(*cells, strict=True)
    return list(pictures), Digits(np.stack(images), np.array(labels, np.uint8))


def _make_cell(write: Write, digits: Digits, rng: Generator) -> tuple[Image, Image, int]:
    """A picture, what is read from it, and the label."""
    while True:
        canvas, label = write(digits, rng)
        picture = draw_cell(canvas, digits, rng)
        read = read_cell(picture)
        if read is None or likeness(read, to_mnist(canvas)) < LEAST_LIKENESS:
            continue
        if label != NOT_A_DIGIT or not is_thin_upright(read):
            return picture, read, label


def read_cell(picture: Image) -> Image | None:
    """A grey picture, uint8 `[height, width]`, as the network is given it; None where the service finds no ink."""
    return normalize(find_ink(PillowImage.fromarray(picture)))


def likeness(read: Image, written: Image | None) -> float:
    """Correlation of two pictures, uint8 `[28, 28]`, both blurred so that strokes need not lie on each other."""
    if written is None:
        return 0.0
    first, second = (cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.5).ravel() for picture in (read, written))
    return float(np.corrcoef(first, second)[0, 1])


def _write_digit(digits: Digits, rng: Generator) -> tuple[Image, int]:
    """A canvas with a digit of MNIST or one drawn by strokes, and its label."""
    if rng.random() < DRAWN_SHARE:
        label = int(rng.integers(10))
        return draw(DIGITS[label](rng), random_writer(rng), rng), label
    index = int(rng.integers(len(digits)))
    return enlarge(digits.images[index]), int(digits.labels[index])


def _write_negative(digits: Digits, rng: Generator) -> tuple[Image, int]:
    return FAMILIES[str(rng.choice(_WRITTEN))]((digits.images, digits.labels), rng), NOT_A_DIGIT


# --- from writing to a picture of a cell ------------------------------------------------------------------------------


def draw_cell(canvas: Image, neighbours: Digits, rng: Generator) -> Image:
    """The writing of a canvas as a grey picture of a cell, uint8 `[height, width]`, dark on light but for a few."""
    ink, layout = _lay_out(_pen(canvas, rng), neighbours, rng)
    printed = np.zeros_like(ink)
    if rng.random() < 0.5:
        rng.choice(np.array([_print_frame, _print_ruling, _print_squares], object), p=[0.55, 0.3, 0.15])(
            printed, layout, rng
        )
    return _digitise(_paper(ink, printed, rng), layout, rng)


def _pen(canvas: Image, rng: Generator) -> Image:
    """Only the writing, its strokes thinner or broader than they were."""
    left, top, width, height = cv2.boundingRect(canvas)
    writing = np.pad(canvas[top : top + height, left : left + width], 4)
    size = int(rng.integers(1, 5))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    if rng.random() < 0.5:
        thinner = cv2.erode(writing, kernel)
        return np.asarray(thinner if thinner.sum() > 0.45 * writing.sum() else writing, np.uint8)
    return np.asarray(cv2.dilate(writing, kernel), np.uint8)


def _lay_out(writing: Image, neighbours: Digits, rng: Generator) -> tuple[Floats, Layout]:
    """A page with ink 0..1: the writing at the size of a scan or a photograph, and what stands at its sides."""
    height = float(np.exp(rng.uniform(np.log(15), np.log(90))))
    ink = _scale(writing, height)
    rows, columns = ink.shape
    tight = rng.random() < 0.35
    left, right, top, bottom = (
        round(height * margin)
        for margin in (rng.uniform(-0.02, 0.08, 4) if tight else rng.uniform(0.04, 0.6, 4) * rng.uniform(0.3, 1))
    )
    ends = [round(height * end) if rng.random() < 0.32 else 0 for end in rng.uniform(0.03, 0.4, 2)]
    before, after = max(left, 0) + ends[0], max(right, 0) + ends[1]
    page = np.zeros((rows + max(top, 0) + max(bottom, 0), columns + before + after), np.float32)
    above = max(top, 0)
    page[above : above + rows, before : before + columns] = ink
    if rng.random() < 0.12:
        _lead_on(page, (before, above, before + columns, above + rows), rng)
    for end, side in zip(ends, ("left", "right"), strict=True):
        if end:
            _put_neighbour(page, end, side, height, neighbours, rng)
    # Below zero a margin cuts into the writing, as tight crops do.
    page = page[max(-top, 0) : len(page) - max(-bottom, 0), max(-left, 0) : page.shape[1] - max(-right, 0)]
    box = (before, above, before + columns, above + rows)
    return page, Layout(box, *page.shape)


def _scale(writing: Image, height: float) -> Floats:
    scale = height / max(writing.shape)
    size = max(2, round(writing.shape[1] * scale)), max(2, round(writing.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(writing, size, interpolation=how), np.float32) / np.float32(255)


def _lead_on(page: Floats, box: tuple[int, int, int, int], rng: Generator) -> None:
    """The pen goes on from the writing to the right side of the page, or came from the left."""
    left, top, right, bottom = box
    to_right = rng.random() < 0.65
    column = page[top:bottom, (right - 2 if to_right else left + 1)]
    if not column.any():
        return
    reach = (page.shape[1] - right if to_right else left) * rng.uniform(0.5, 1.1)
    start = right - 1 if to_right else left
    y = top + int(column.argmax())
    end = start + (reach if to_right else -reach)
    path = np.array(
        [
            (start, y),
            ((start + end) / 2, y + rng.normal(0.05, 0.1) * (bottom - top)),
            (end, y + rng.normal(0, 0.25) * (bottom - top)),
        ]
    )
    points = np.rint(smooth(path) * 16).astype(np.int32)
    cv2.polylines(page, [points], False, 1.0, max(1, round((bottom - top) * rng.uniform(0.05, 0.12))), cv2.LINE_AA, 4)


def _put_neighbour(page: Floats, end: int, side: str, height: float, digits: Digits, rng: Generator) -> None:
    """So many columns of another digit at a side of the page, as if its cell had been cut too wide."""
    other = enlarge(digits.images[rng.integers(len(digits))])
    left, top, width, tall = cv2.boundingRect(other)
    ink = _scale(other[top : top + tall, left : left + width], height * rng.uniform(0.75, 1.1))
    ink = ink[: len(page), :end] if side == "right" else ink[: len(page), -end:]
    row = int(rng.integers(0, len(page) - len(ink) + 1))
    place = page[row : row + len(ink)]
    place = place[:, -ink.shape[1] :] if side == "right" else place[:, : ink.shape[1]]
    np.maximum(place, ink, out=place)


# --- printed lines: float32 [height, width], 0..1, drawn upon ---------------------------------------------------------


def _line(printed: Floats, start: tuple[float, float], end: tuple[float, float], thick: int, rng: Generator) -> None:
    first, last = (round(start[0]), round(start[1])), (round(end[0]), round(end[1]))
    if rng.random() < 0.12:  # dotted
        layer = np.zeros_like(printed)
        cv2.line(layer, first, last, 1.0, thick, cv2.LINE_AA)
        rows, columns = np.indices(printed.shape)
        np.maximum(printed, layer * ((rows + columns) % (4 * thick) < 2 * thick), out=printed)
        return
    cv2.line(printed, first, last, 1.0, thick, cv2.LINE_AA)


def _thickness(layout: Layout, rng: Generator) -> int:
    return max(1, round(layout.writing * rng.uniform(0.015, 0.06)))


def _print_frame(printed: Floats, layout: Layout, rng: Generator) -> None:
    """One to four sides of a frame around the writing, which may touch or cross it."""
    left, top, right, bottom = layout.box
    thick, reach = _thickness(layout, rng), layout.writing
    gaps = rng.uniform(-0.04, 0.25, 4) * reach
    lean = rng.normal(0, 0.015, 4) * reach
    x0, y0 = max(left - gaps[0], thick / 2), max(top - gaps[1], thick / 2)
    x1, y1 = min(right + gaps[2], layout.width - 1), min(bottom + gaps[3], layout.height - 1)
    sides = [
        ((x0, -1), (x0 + lean[0], layout.height)),
        ((-1, y0), (layout.width, y0 + lean[1])),
        ((x1, -1), (x1 + lean[2], layout.height)),
        ((-1, y1), (layout.width, y1 + lean[3])),
    ]
    whole = rng.random() < 0.5
    for index in range(4) if whole else rng.choice(4, int(rng.integers(1, 4)), replace=False):
        _line(printed, *sides[int(index)], thick, rng)


def _print_ruling(printed: Floats, layout: Layout, rng: Generator) -> None:
    """Ruled lines, one of them where the writing stands or anywhere."""
    pitch = layout.writing * rng.uniform(0.5, 1.6)
    base = layout.box[3] + rng.normal(0, 0.06) * layout.writing if rng.random() < 0.7 else rng.uniform(0, layout.height)
    thick, lean = max(1, _thickness(layout, rng) * 2 // 3), rng.normal(0, 0.02) * layout.width
    for step in range(-4, 5):
        y = base + step * pitch
        if -2 <= y <= layout.height + 2:
            _line(printed, (-1, y), (layout.width, y + lean), thick, rng)


def _print_squares(printed: Floats, layout: Layout, rng: Generator) -> None:
    """Squared paper."""
    pitch, thick = layout.writing * rng.uniform(0.35, 0.9), max(1, _thickness(layout, rng) // 2)
    first = rng.uniform(0, pitch, 2)
    for y in np.arange(first[0], layout.height, pitch).tolist():
        cv2.line(printed, (-1, round(y)), (layout.width, round(y)), 1.0, thick, cv2.LINE_AA)
    for x in np.arange(first[1], layout.width, pitch).tolist():
        cv2.line(printed, (round(x), -1), (round(x), layout.height), 1.0, thick, cv2.LINE_AA)


# --- paper, light and camera ------------------------------------------------------------------------------------------


def _paper(ink: Floats, printed: Floats, rng: Generator) -> Floats:
    """Grey levels 0..255: how light the paper is, how dark the ink, what lies on it."""
    light = rng.uniform(140, 255)
    dark = light * (rng.uniform(0.05, 0.5) if rng.random() < 0.75 else rng.uniform(0.5, 0.75))
    line = light + (dark - light) * rng.uniform(0.25, 1.0)
    pressed = ink * (1 - 0.25 * rng.random() * np.clip(smooth_noise(ink.shape, int(rng.integers(3, 8)), rng), 0, 2))
    page = np.minimum(light + (dark - light) * pressed, light + (line - light) * printed)
    if rng.random() < 0.12:
        page -= _pattern(ink.shape, rng) * (light - dark) * rng.uniform(0.1, 0.4)
    if rng.random() < 0.4:
        page *= 1 - rng.uniform(0.05, 0.4) * _gradient(ink.shape, rng)
    return np.asarray(page, np.float32)


def _pattern(shape: tuple[int, ...], rng: Generator) -> Floats:
    """Waves or stripes of a printed background, 0..1."""
    rows, columns = np.indices(shape, np.float32)
    angle, length = rng.uniform(0, np.pi), rng.uniform(3, 14)
    bend = rng.uniform(0, 2) * smooth_noise(shape, 3, rng)
    waves = np.sin((columns * np.cos(angle) + rows * np.sin(angle)) * 2 * np.pi / length + bend)
    return np.asarray(np.clip(waves, 0, 1), np.float32)


def _gradient(shape: tuple[int, ...], rng: Generator) -> Floats:
    """Light falling off to a side, or the edge of a shadow, 0..1."""
    rows, columns = np.indices(shape, np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    along = (columns / shape[1] - 0.5) * np.cos(angle) + (rows / shape[0] - 0.5) * np.sin(angle) + rng.normal(0, 0.2)
    sharp = rng.choice([1.0, 8.0], p=[0.75, 0.25])
    return np.asarray(np.clip(along * sharp + 0.5, 0, 1), np.float32)


def _digitise(page: Floats, layout: Layout, rng: Generator) -> Image:
    """A camera or a scanner: blur, noise, compression, a threshold, now and then a negative."""
    # Optics blur by pixels, a shaking hand or a wrong focus by a part of what is written.
    page = cv2.GaussianBlur(page, (0, 0), rng.uniform(0.3, 0.8) + max(0.0, rng.normal(0, 0.012)) * layout.writing)
    page += rng.uniform(0, 8) * rng.random() * rng.standard_normal(page.shape, np.float32)
    picture = np.asarray(np.rint(np.clip(page, 0, 255)), np.uint8)
    form = rng.random()
    if form < 0.3:
        picture = _compress(picture, int(rng.integers(30, 95)))
    elif form < 0.42:
        level, _ = cv2.threshold(picture, 0, 255, cv2.THRESH_OTSU)
        picture = (picture > level * rng.uniform(0.9, 1.1)).astype(np.uint8) * np.uint8(255)
    return 255 - picture if rng.random() < 0.04 else picture


def _compress(picture: Image, quality: int) -> Image:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
