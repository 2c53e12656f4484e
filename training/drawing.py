"""Strokes, pens, rulings and scans: the one place that draws.

    glyph (strokes in a unit box) --Writer--> paths in pixels --Pen--> canvas --scan--> canvas --to_mnist--> 28x28

A Catmull-Rom spline runs through the points of a stroke (see `training.shapes`). A canvas is uint8, 0 paper and 255
ink, four times as fine as MNIST (`[CANVAS, CANVAS]` for a single digit), so that what pens and scanners do to ink
happens at a scale where it looks like that.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from service.preprocessing import BOX, CENTRE, SIZE
from training.shapes import DIGITS, Generator, Stroke

Image = NDArray[np.uint8]

CANVAS = 4 * SIZE
_MIDDLE = CANVAS / 2
_HEIGHT = 18 * 4  # of a glyph on the canvas; room for slant, overshoot and what stands beside it
_SUBPIXEL = 4  # fractional bits of OpenCV's drawing coordinates


@dataclass(frozen=True)
class Writer:
    """How one hand writes: the same glyph differs from writer to writer, and a little from time to time."""

    slant: float  # horizontal shift per height, positive leans right
    turn: float  # radians
    width: float  # of the glyph, relative
    proportion: float  # exponent of the height: above 1 the upper half grows, below it the lower
    jitter: float  # of control points, relative to the height
    pen: float  # width of the line in pixels of the canvas
    pressure: float  # how much the line's width varies along a stroke, relative
    nib: float  # 0 a round pen, else how much thinner a flat one draws along its edge


def random_writer(rng: Generator) -> Writer:
    """A hand from a population about as varied as MNIST's, with finer and broader pens beside it."""
    return Writer(
        slant=float(np.clip(rng.normal(0.12, 0.22), -0.5, 0.75)),
        turn=float(rng.normal(0, 0.07)),
        width=float(np.exp(rng.normal(0, 0.25))),
        proportion=float(np.exp(rng.normal(0, 0.13))),
        jitter=float(rng.uniform(0.008, 0.035)),
        pen=float(np.clip(np.exp(rng.normal(math.log(8.5), 0.33)), 3.5, 16)),
        pressure=float(rng.choice([0.0, 0.15, 0.35], p=[0.4, 0.4, 0.2])),
        nib=float(rng.choice([0.0, 0.5], p=[0.85, 0.15])),
    )


def draw(strokes: list[Stroke], writer: Writer, rng: Generator) -> Image:
    """The strokes as `writer` puts them on paper: a canvas with the glyph in its middle."""
    paths = [smooth(_by_hand(stroke, writer, rng)) for stroke in strokes]
    every = np.concatenate(paths)
    low, high = every.min(axis=0), every.max(axis=0)
    # A wide glyph is written smaller, not cut off.
    scale = _HEIGHT / max(high[1] - low[1], (high[0] - low[0]) * 0.9, 1e-6)
    paths = [(path - (low + high) / 2) * scale + _MIDDLE for path in paths]
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    for path in paths:
        draw_path(canvas, path, writer, rng)
    return _cut_nib(canvas, writer, rng) if writer.nib else canvas


def draw_path(canvas: Image, path: NDArray[np.float64], writer: Writer, rng: Generator) -> None:
    """One path, `[n, 2]` x and y in pixels, drawn onto the canvas with the writer's pen."""
    points = np.rint(path * 2**_SUBPIXEL).astype(np.int32)
    if not writer.pressure:
        cv2.polylines(canvas, [points], False, 255, max(1, round(writer.pen)), cv2.LINE_AA, _SUBPIXEL)
        return
    phase, pace = rng.uniform(0, 2 * math.pi), rng.uniform(0.5, 1.5)
    widths = writer.pen * (1 + writer.pressure * np.sin(phase + pace * np.linspace(0, 2 * math.pi, len(points))))
    for start, end, width in zip(points[:-1].tolist(), points[1:].tolist(), widths.tolist(), strict=False):
        cv2.line(canvas, start, end, 255, max(1, round(width)), cv2.LINE_AA, _SUBPIXEL)


def smooth(stroke: NDArray[np.float64], steps: int = 8) -> NDArray[np.float64]:
    """A Catmull-Rom spline through control points `[n, 2]`, `steps` samples between two of them.

    Source: E. Catmull and R. Rom, "A class of local interpolating splines", 1974.
    """
    padded = np.concatenate([stroke[:1], stroke, stroke[-1:]])
    corners = np.stack([padded[:-3], padded[1:-2], padded[2:-1], padded[3:]], axis=1)  # [n - 1, 4, 2]
    return np.concatenate([np.einsum("sk,nkd->nsd", _catmull_rom(steps), corners).reshape(-1, 2), stroke[-1:]])


def _catmull_rom(steps: int) -> NDArray[np.float64]:
    t = np.arange(steps) / steps
    powers = np.stack([np.ones_like(t), t, t**2, t**3], axis=1)
    basis = np.array([[0, 1, 0, 0], [-0.5, 0, 0.5, 0], [1, -2.5, 2, -0.5], [-0.5, 1.5, -1.5, 0.5]])
    return np.asarray(powers @ basis, np.float64)


def _by_hand(stroke: Stroke, writer: Writer, rng: Generator) -> NDArray[np.float64]:
    points = np.asarray(stroke, np.float64)
    noise = rng.normal(0, writer.jitter, points.shape)
    same = np.flatnonzero((points[1:] == points[:-1]).all(axis=1)) + 1
    noise[same] = noise[same - 1]  # a corner stays one
    points = (points + noise) * (writer.width, 1)
    points[:, 1] = np.sign(points[:, 1]) * np.abs(points[:, 1]) ** writer.proportion
    points[:, 0] -= writer.slant * points[:, 1]
    sine, cosine = math.sin(writer.turn), math.cos(writer.turn)
    return np.asarray(points @ np.array([[cosine, sine], [-sine, cosine]]), np.float64)


def _cut_nib(canvas: Image, writer: Writer, rng: Generator) -> Image:
    """Thin the lines in one direction, as a flat nib or a marker does."""
    length = max(1, round(writer.pen * writer.nib))
    kernel = np.zeros((length * 2 + 1, length * 2 + 1), np.uint8)
    angle = rng.uniform(0, math.pi)
    reach = (length * math.cos(angle) / 2, length * math.sin(angle) / 2)
    start, end = (
        (round(length - reach[0]), round(length - reach[1])),
        (round(length + reach[0]), round(length + reach[1])),
    )
    cv2.line(kernel, start, end, 1)
    return np.asarray(cv2.erode(canvas, kernel), np.uint8)


def enlarge(digit: Image) -> Image:
    """A picture of MNIST, uint8 `[28, 28]`, as a canvas."""
    soft = cv2.resize(digit, (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    return np.asarray(np.clip((soft - 64) * 2, 0, 255), np.uint8)  # edges as sharp as a pen's


def rescan(digit: Image, rng: Generator) -> Image:
    """A picture of MNIST, uint8 `[28, 28]`, as another scanner and another normalisation would have left it."""
    again = to_mnist(scan(enlarge(digit), rng))
    return digit if again is None else again


def to_mnist(canvas: Image) -> Image | None:
    """A canvas in MNIST's geometry, uint8 `[28, 28]`: fitted into 20x20, centre of mass in the middle.

    None where there is no ink. `service.preprocessing` does this for pictures; here the canvas is clean ink already
    and tens of thousands of them are drawn, so the work is OpenCV's.
    """
    left, top, width, height = cv2.boundingRect((canvas > 127).astype(np.uint8))
    if not width:
        return None
    crop = canvas[top : top + height, left : left + width]
    scale = BOX / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    fitted = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return _centred(np.asarray(fitted, np.uint8).reshape(size[1], size[0]))


def _centred(fitted: Image) -> Image:
    height, width = fitted.shape
    moments = cv2.moments(fitted)
    mass = max(moments["m00"], 1.0)
    top, left = round(CENTRE - moments["m01"] / mass), round(CENTRE - moments["m10"] / mass)
    top, left = min(max(top, 0), SIZE - height), min(max(left, 0), SIZE - width)
    digit = np.zeros((SIZE, SIZE), np.uint8)
    digit[top : top + height, left : left + width] = (
        cv2.normalize(fitted, None, 0, 255, cv2.NORM_MINMAX) if height * width > 1 else 255
    )
    return digit


# --- what scanning, binarising and removing lines leave behind --------------------------------------------------------


def scan(canvas: Image, rng: Generator) -> Image:
    """The canvas as a scanner and a binarisation hand it on: one or two of the marks below, often none."""
    for index in rng.choice(len(SCAN_EFFECTS), size=rng.choice([0, 1, 2], p=[0.35, 0.45, 0.2]), replace=False):
        changed = SCAN_EFFECTS[index](canvas, rng)
        # A mark may not take the writing away.
        if cv2.countNonZero(changed) > 0.6 * cv2.countNonZero(canvas):
            canvas = changed
    return canvas


def roughen(canvas: Image, rng: Generator) -> Image:
    """Ragged edges: ink on coarse paper, thresholded."""
    field = smooth_noise(canvas.shape, int(rng.integers(14, 40)), rng)
    soft = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(1, 2.2)) / 255.0
    return _binary((soft + rng.uniform(0.1, 0.35) * field > 0.5) & (soft > 0.08))


def fade(canvas: Image, rng: Generator) -> Image:
    """Parts of the strokes lighter, as with little pressure or a dry pen."""
    field = np.clip(1 + rng.uniform(0.2, 0.45) * smooth_noise(canvas.shape, int(rng.integers(3, 8)), rng), 0.25, 1)
    return np.asarray(np.rint(canvas * field), np.uint8)


def break_strokes(canvas: Image, rng: Generator) -> Image:
    """Small gaps across thin strokes."""
    field = smooth_noise(canvas.shape, int(rng.integers(6, 14)), rng)
    return np.asarray(np.where(field < -rng.uniform(1.6, 2.2), 0, canvas), np.uint8)


def cut_ruling(canvas: Image, rng: Generator) -> Image:
    """A ruled line was removed: a thin cut through the strokes, here and there a dash of it left."""
    bare = canvas.copy()
    across = bare if rng.random() < 0.7 else bare.T
    length, thick = len(across), rng.integers(1, 4)
    position = rng.integers(length // 5, 4 * length // 5)
    across[position : position + thick] = 0
    for _ in range(rng.integers(0, 3)):
        start = rng.integers(0, across.shape[1] - 8)
        across[position : position + thick, start : start + rng.integers(3, 24)] = 255
    return bare


def leave_line(canvas: Image, rng: Generator) -> Image:
    """A ruled line or the side of a frame that was not removed, whole or in part, near the rim or across."""
    left, top, width, height = _bounds(canvas)
    thick = int(rng.integers(1, 5))
    level = int(rng.integers(120, 256))
    at_rim = rng.random() < 0.65
    if rng.random() < 0.6:
        y = (
            (top - rng.integers(0, 8) if rng.random() < 0.4 else top + height + rng.integers(-2, 8))
            if at_rim
            else top + rng.uniform(0.2, 0.9) * height
        )
        start, end = _part(left - 8, left + width + 8, rng)
        line = (start, int(y)), (end, int(y + rng.normal(0, 1.5)))
    else:
        x = left - rng.integers(3, 10) if rng.random() < 0.5 else left + width + rng.integers(3, 10)
        start, end = _part(top - 4, top + height + 4, rng)
        line = (int(x), start), (int(x + rng.normal(0, 1.5)), end)
    marked = canvas.copy()
    cv2.line(marked, *line, level, thick, cv2.LINE_AA)
    return marked


def leave_neighbour(canvas: Image, rng: Generator) -> Image:
    """The end of a neighbour's stroke, or a speck, beside the digit."""
    left, top, width, height = _bounds(canvas)
    right = rng.random() < 0.5
    x = left + width + rng.integers(4, 10) if right else left - rng.integers(4, 10)
    y = top + rng.uniform(0, 1) * height
    reach = rng.uniform(0.04, 0.2, 2) * _HEIGHT * (1 if right else -1, rng.choice([-1, 1]))
    marked = canvas.copy()
    pen = int(rng.integers(2, 10))
    cv2.line(marked, (int(x), int(y)), (int(x + reach[0] * 0.6), int(y + reach[1] * 2)), 255, pen, cv2.LINE_AA)
    return marked


def leave_pattern(canvas: Image, rng: Generator) -> Image:
    """Thin stripes of a printed background, over a part of the digit."""
    left, top, width, height = _bounds(canvas)
    angle, gap = rng.uniform(0, math.pi), rng.uniform(6, 14)
    rows, columns = np.indices(canvas.shape)
    stripes = (columns * math.sin(angle) + rows * math.cos(angle)) % gap < rng.uniform(1, 2.5)
    patch = smooth_noise(canvas.shape, 3, rng) > rng.uniform(0, 1)
    patch[: max(top - 4, 0)] = patch[top + height + 4 :] = False
    patch[:, : max(left - 4, 0)] = patch[:, left + width + 4 :] = False
    return np.where(stripes & patch, np.maximum(canvas, np.uint8(rng.integers(120, 256))), canvas)


SCAN_EFFECTS: list[Callable[[Image, Generator], Image]] = [
    roughen,
    fade,
    break_strokes,
    cut_ruling,
    leave_line,
    leave_neighbour,
    leave_pattern,
]


def smooth_noise(shape: tuple[int, ...], cells: int, rng: Generator) -> NDArray[np.float32]:
    """Smooth noise, about standard normal, float32 `[height, width]`, with `cells` bumps to a side."""
    coarse = rng.standard_normal((cells, cells), np.float32)
    return np.asarray(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)


def _bounds(canvas: Image) -> tuple[int, int, int, int]:
    left, top, width, height = cv2.boundingRect(canvas)
    return left, top, width, height


def _part(start: int, end: int, rng: Generator) -> tuple[int, int]:
    """All of a line, or a piece of it."""
    if rng.random() < 0.4:
        return start, end
    first, second = sorted(rng.uniform(start, end, 2).tolist())
    return int(first), int(second)


def _binary(mask: NDArray[Any]) -> Image:
    return mask.astype(np.uint8) * np.uint8(255)


# --- digits -----------------------------------------------------------------------------------------------------------


def draw_digits(count: int, rng: Generator) -> tuple[Image, Image]:
    """`count` digits by as many hands, evenly of every class: images `[count, 28, 28]`, labels `[count]`, both uint8."""
    labels = rng.permutation(np.arange(count, dtype=np.uint8) % 10)
    return np.stack([draw_digit(int(label), rng) for label in labels]), labels


def draw_digit(label: int, rng: Generator) -> Image:
    """One digit in MNIST's geometry, in one of the shapes people write it in."""
    while True:
        canvas = draw(DIGITS[label](rng), random_writer(rng), rng)
        # A thin pen that faded may have left nothing.
        if (scanned := to_mnist(scan(canvas, rng))) is not None:
            return scanned
