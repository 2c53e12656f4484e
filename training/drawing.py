"""Strokes, pens, rulings and scans: the one place that draws.

    glyph (strokes in a unit box) --Writer--> paths in pixels --Pen--> canvas --scan--> canvas --to_mnist--> 28x28

A stroke is a list of control points, x to the right and y down, in a box of height 1. A Catmull-Rom spline runs
through them; a point given twice is a corner. A canvas is uint8, 0 paper and 255 ink, four times as
fine as MNIST (`[CANVAS, CANVAS]` for a single digit), so that what pens and scanners do to ink happens at a scale where it looks like that.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from service.preprocessing import BOX, CENTRE, SIZE

Image = NDArray[np.uint8]
Point = tuple[float, float]
Stroke = list[Point]
Generator = np.random.Generator

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


def arc(centre: Point, radius: Point, start: float, sweep: float, points: int = 10) -> Stroke:
    """Control points along an ellipse; angles in degrees, 0 right, 90 down, 270 up."""
    angles = np.radians(start + sweep * np.arange(points) / (points - 1))
    x, y = centre[0] + radius[0] * np.cos(angles), centre[1] + radius[1] * np.sin(angles)
    return list(zip(x.tolist(), y.tolist(), strict=True))


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


# --- digits as people write them --------------------------------------------------------------------------------------


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


def zero(rng: Generator) -> list[Stroke]:
    """Closed, overlapping, flat or open at the top; slashed, with a curl inside, or with a stroke that leads away."""
    rx = rng.uniform(0.45, 0.85) if rng.random() < 0.1 else rng.uniform(0.22, 0.45)
    form = rng.random()
    if form < 0.1:  # begun and ended at its foot, the pen coming from the left or leading on to the right, or both
        ring = arc((0.4, 0.5), (rx, 0.5), rng.uniform(60, 105), rng.choice([-1, 1]) * rng.uniform(340, 385), 11)
        foot = 1 + rng.normal(0, 0.04)
        reaches = rx * rng.uniform(0.5, 1.4, 2)
        before: Stroke = [(0.4 - reaches[0], foot)] if rng.random() < 0.5 else []
        after: Stroke = [(0.4 + reaches[1], foot + rng.normal(0, 0.03))] if not before or rng.random() < 0.6 else []
        return [[*before, *ring, *after]]
    if form < 0.24:  # closed at its right, from where the pen goes on to the next digit
        ring = arc((0.4, 0.5), (rx, 0.5), rng.uniform(-75, 10), -rng.uniform(350, 385), 11)
        edge, drop = 0.4 + rx, rng.uniform(0.35, 1.02)
        end = (edge + rng.uniform(0.02, 0.3), drop + rng.normal(0, 0.02))
        return [[*ring, (edge + rng.normal(0.02, 0.04), 0.3 + 0.4 * drop), end]]
    turning = -1 if rng.random() < 0.8 else 1
    sweep = turning * (rng.uniform(290, 335) if rng.random() < 0.15 else rng.uniform(345, 400))
    ring = arc((0.4, 0.5), (rx, 0.5), rng.uniform(235, 320), sweep, 11)
    if form < 0.36:
        ring += [(0.4 + rx * 0.9, 0.06 + rng.normal(0, 0.04)), (0.4 + rx * rng.uniform(1.1, 1.6), rng.normal(0, 0.06))]
    elif form < 0.43:
        ring += [
            (0.4 + rng.uniform(-0.1, 0.2), rng.uniform(0.12, 0.25)),
            (0.4 + rx * rng.uniform(0.2, 0.8), rng.uniform(0.08, 0.2)),
        ]
    if rng.random() < 0.14:
        reach = rng.uniform(0.6, 1.25)
        rise = reach * (0.36 if rng.random() < 0.7 else rng.normal(0, 0.08))  # across, or level
        slash: Stroke = [(0.4 + reach * rx * 0.8, 0.5 - rise), (0.4 - reach * rx * 0.8, 0.5 + rise)]
        return [ring, slash]
    return [ring]


def one(rng: Generator) -> list[Stroke]:
    """A bare stroke, or with an upstroke from short to as long as the stem, sometimes with a loop, a foot or a hook."""
    stem: Stroke = [(0.5, 0), (0.5 + rng.normal(0, 0.02), 0.5), (0.5 + rng.normal(0, 0.03), 1)]
    ending = rng.random()
    if ending < 0.06:  # the pen leads on to the right, or came from the left
        stem += [(0.54 + 0.1 * rng.random(), 0.98), (0.6 + 0.15 * rng.random(), rng.uniform(0.86, 0.96))]
    elif ending < 0.1:
        stem += [(0.46 - 0.06 * rng.random(), 0.99), (0.4 - 0.15 * rng.random(), rng.uniform(0.86, 0.96))]
    if rng.random() < 0.22:
        return [stem]
    if rng.random() < 0.05:  # the upstroke comes down again in a narrow loop
        low, wide = rng.uniform(0.45, 0.95), rng.uniform(0.05, 0.13)
        return [
            [(0.5 - rng.uniform(0.25, 0.45), low), (0.5 + wide * 0.6, 0.2), (0.5 + wide, 0.04), (0.5, 0.02), *stem[1:]]
        ]
    length = rng.uniform(0.12, 0.95) if rng.random() < 0.6 else rng.uniform(0.6, 1.08)
    # The longer the upstroke, the steeper: a long flat one would be the bar of a 7.
    angle = math.radians(rng.uniform(32 + 22 * length, 70 + 5 * length))
    start = (0.5 - length * math.cos(angle), length * math.sin(angle))
    middle = (0.5 - length * math.cos(angle) * 0.5, length * math.sin(angle) * 0.5 + rng.normal(0, 0.04))
    top: Stroke = [(0.5, 0), *stem] if rng.random() < 0.75 else [(0.5 - 0.04 * rng.random(), 0.02), *stem[1:]]
    strokes = [[start, middle, *top]]
    if ending >= 0.1 and rng.random() < 0.25:
        y, left, right = 1 + rng.normal(0, 0.02), rng.uniform(0.1, 0.32), rng.uniform(0.1, 0.32)
        strokes.append([(0.5 - left, y), (0.5 + right, y + rng.normal(0, 0.03))])
    return strokes


def two(rng: Generator) -> list[Stroke]:
    """With a loop at the foot, a flat or a wavy one, angular, or a ring at the start of the bow."""
    top: Stroke = [
        (rng.uniform(0.02, 0.14), rng.uniform(0.12, 0.3)),
        (0.2, 0.05),
        (0.42, 0),
        (0.66, 0.17),
        (0.58, 0.42),
    ]
    start = rng.random()
    if start < 0.08:  # closed, as the ring of a 9
        depth = rng.uniform(0.4, 0.6)
        top = [(0.5, depth - 0.12), (0.3, depth), (0.04, depth - 0.14), (0.1, 0.06), *top[2:]]
    elif start < 0.22:
        depth = rng.uniform(0.2, 0.4)
        top = [(0.34, depth - 0.1), (0.22, depth), (0.08, depth - 0.08), (0.12, 0.08), *top[2:]]
    elif start < 0.34:
        depth = rng.uniform(0.3, 0.52)
        top = [(rng.uniform(0.1, 0.35), depth), (0.03, depth - 0.12), (0.12, 0.06), (0.4, 0), (0.68, 0.2), (0.6, 0.46)]
    y = 1 + rng.normal(0, 0.03)
    form = rng.random()
    if form < 0.05:  # angular: what tells it from a Z is its bow, however flat
        bow: Stroke = [(0.05, rng.uniform(0.1, 0.22)), (0.3, 0), (0.6, rng.uniform(0.06, 0.16)), (0.58, 0.24)]
        return [[*bow, (0.02, y), (0.02, y), (rng.uniform(0.55, 0.85), y + rng.normal(0, 0.03))]]
    if form < 0.38:
        return [[*top, (0.3, 0.74), (0.02, y), (0.02, y), (0.4, y + rng.normal(0, 0.03)), (rng.uniform(0.6, 0.9), y)]]
    if form < 0.7:
        loop = rng.uniform(0.06, 0.16)
        foot: Stroke = [(0.14, 0.97), (0.0, 0.95 - loop / 2), (0.1, 0.9 - loop), (0.32, 0.92), (0.55, 1)]
        return [[*top, (0.32, 0.78), *foot, (rng.uniform(0.68, 0.9), 0.92)]]
    return [[*top, (0.28, 0.72), (0.08, 0.93), (0.08, 0.93), (0.3, 0.88), (0.55, 0.99), (rng.uniform(0.7, 0.95), 0.93)]]


def three(rng: Generator) -> list[Stroke]:
    """Two bows, sharp or looped in the middle, or a flat top with a diagonal."""
    bow: Stroke = [(0.55, 0.52), (0.68, 0.75), (0.38, 1), (rng.uniform(0, 0.1), rng.uniform(0.8, 0.93))]
    waist = (rng.uniform(0.2, 0.35), 0.46 + rng.normal(0, 0.02))
    form = rng.random()
    if form < 0.25:
        return [[(0.05, 0.02), (0.62, 0), (0.62, 0), waist, waist, *bow]]
    top: Stroke = [(rng.uniform(0.02, 0.14), rng.uniform(0.06, 0.2)), (0.34, 0), (0.6, 0.19), (0.48, 0.4)]
    if form < 0.45:
        return [[*top, (waist[0], 0.48), (waist[0] - 0.04, 0.42), (waist[0] + 0.08, 0.42), *bow]]
    return [[*top, waist, waist, *bow]]


def four(rng: Generator) -> list[Stroke]:
    """Open, closed or rounded, the bar high or low, the stem long or short, crossing the bar or hanging from its end."""
    bar_y, bar_end = rng.uniform(0.48, 0.72), rng.uniform(0.62, 0.98)
    stem_x, lean = rng.uniform(0.46, 0.64), rng.normal(-0.02, 0.06)
    form = rng.random()
    if form < 0.14:  # in one go: the pen hardly leaves the paper between the bar and the stem
        left, low = rng.uniform(0, 0.12), rng.uniform(0.48, 0.62)
        corner, turn = (left, low), (rng.uniform(0.5, 0.62), low - rng.uniform(0, 0.06))
        if rng.random() < 0.4:  # like a flash
            return [
                [(left + rng.uniform(0.05, 0.3), 0), corner, corner, turn, turn, (turn[0] - rng.uniform(0, 0.3), 1)]
            ]
        top_right = (turn[0] + rng.uniform(-0.02, 0.06), rng.uniform(0.1, 0.35))
        return [[(left + rng.uniform(0.05, 0.3), 0), corner, corner, turn, top_right, top_right, (turn[0] + lean, 1)]]
    if form < 0.25:  # a long slope, a low bar and hardly a stem
        low, stem_top = rng.uniform(0.7, 0.86), rng.uniform(0.45, 0.68)
        corner = (rng.uniform(-0.02, 0.06), low)
        slope: Stroke = [
            (rng.uniform(0.3, 0.62), 0),
            corner,
            corner,
            (rng.uniform(0.5, 0.85), low + rng.normal(0, 0.04)),
        ]
        return [slope, [(stem_x - 0.08, stem_top), (stem_x - 0.08 + lean, 1)]]
    if form < 0.4:
        left = rng.uniform(0.02, 0.2)
        bar: Stroke = [(left - 0.02, bar_y), (left - 0.02, bar_y), (bar_end, bar_y + rng.normal(0, 0.04))]
        stem: Stroke = [(stem_x, rng.uniform(0, 0.55)), (stem_x + lean, rng.uniform(0.88, 1))]
        return [[(left + rng.uniform(0, 0.3), rng.uniform(0, 0.12)), *bar[rng.integers(2) :]], stem]
    if form < 0.5:
        bowl: Stroke = [
            (0.12, 0.02),
            (0.05, 0.35),
            (0.16, bar_y - 0.02),
            (0.4, bar_y),
            (stem_x + rng.uniform(0, 0.2), bar_y - 0.08),
        ]
        return [bowl, [(stem_x + 0.02, rng.uniform(0, 0.15)), (stem_x + lean, 1)]]
    if form < 0.6:
        corner, end = (0, bar_y - 0.08), (rng.uniform(0.5, 0.7), bar_y - 0.12)
        return [
            [(rng.uniform(0.1, 0.6), 0), corner, corner, end],
            [(end[0] + rng.uniform(0, 0.12), rng.uniform(0.05, 0.3)), end, (end[0] - rng.uniform(0, 0.3), 1)],
        ]
    slope = [(stem_x - rng.uniform(0, 0.15), 0), (0, bar_y), (0, bar_y), (bar_end, bar_y + rng.normal(0, 0.04))]
    if form < 0.78:
        return [slope, [slope[0], (stem_x, 0.5), (stem_x + lean, 1)]]
    return [slope, [(stem_x, rng.uniform(0.22, 0.5)), (stem_x + lean - 0.03, 1)]]


def five(rng: Generator) -> list[Stroke]:
    """In one stroke, angular or as an S, or with a bar of its own that may not quite touch."""
    shoulder = (rng.uniform(0.08, 0.16), rng.uniform(0.36, 0.46))
    bowl: Stroke = [
        shoulder,
        shoulder,
        (0.38, 0.35),
        (0.64, 0.52),
        (0.62, 0.82),
        (0.34, 1),
        (rng.uniform(0, 0.08), rng.uniform(0.84, 0.95)),
    ]
    start = (0.18, rng.uniform(0, 0.05))
    if rng.random() < 0.18:  # in one bow, as an S
        top = (rng.uniform(0.55, 0.9), rng.normal(0.05, 0.04))
        return [[top, (0.36, 0.02), (0.13, 0.18), (0.26, 0.4), (0.52, 0.56), *bowl[4:]]]
    if rng.random() < 0.08:  # the back goes down by itself, from a long bar on the right the bowl
        back, low = rng.uniform(0.02, 0.14), rng.uniform(0.62, 0.98)
        hang = rng.uniform(0.3, 0.5)
        end = (rng.uniform(0.1, 0.3), rng.uniform(0.86, 1))
        turn: Stroke = [(hang, 0.4), (hang + 0.24, 0.5), (hang + 0.22, 0.82), (hang, 1), end]
        return [[(back + 0.1, low * 0.62), (back + 0.12, 0.02), (back + 0.12, 0.02), (rng.uniform(0.6, 1), 0)], turn]
    reach = rng.uniform(0.9, 1.4) if rng.random() < 0.25 else rng.uniform(0.5, 0.8)
    if rng.random() < 0.4:
        return [[(reach, rng.normal(0, 0.03)), start, start, *bowl]]
    gap = rng.uniform(-0.05, 0.05)
    return [
        [start, *bowl],
        [(start[0] + gap, start[1] + rng.normal(0, 0.02)), (reach, rng.normal(0, 0.05))],
    ]


def six(rng: Generator) -> list[Stroke]:
    """A curved or nearly straight back, sometimes with a hook at its top, and a loop, large or small, at times open."""
    top, right = rng.uniform(0.35, 0.62), rng.uniform(0.5, 0.68)
    loop = rng.uniform(0.3, 0.42) if rng.random() < 0.12 else rng.uniform(0.4, 0.64)
    end: Stroke = [(0.12, loop + 0.2)] if rng.random() < 0.75 else [(0.26, loop + 0.06)]
    if rng.random() < 0.1:  # the loop goes on across the back
        end = [(0.1, loop + 0.14), (-0.06 - 0.1 * rng.random(), loop + rng.uniform(0.16, 0.3))]
    back: Stroke = [(top, 0), (top * 0.5 + rng.normal(0, 0.03), 0.22), (0.08, 0.58)]
    if rng.random() < 0.3:
        back = [(top + rng.uniform(0.02, 0.22), rng.uniform(0.06, 0.28)), (top, 0.02), (top * 0.55, 0.08), *back[1:]]
    return [[*back, (0.1, 0.85), (0.34, 1), (right, 0.86), (right - 0.02, loop + 0.1), (0.36, loop), *end]]


def seven(rng: Generator) -> list[Stroke]:
    """Plain or crossed, the bar straight, wavy, begun with a tick or ended by a loop, sometimes with a foot."""
    right, foot = rng.uniform(0.45, 0.7), rng.uniform(0.02, 0.42)
    bar_y = rng.normal(0.02, 0.05)
    bar: Stroke = [(0, bar_y), (right, 0), (right, 0)]
    if rng.random() < 0.25:
        bar = [(0, bar_y + 0.05), (right * 0.35, bar_y - 0.03), (right * 0.7, bar_y + 0.06), (right, 0), (right, 0)]
    serif = rng.random()
    if serif < 0.25:  # from below
        tick = (rng.normal(-0.02, 0.04), rng.uniform(0.1, 0.34))
        bar = [tick, bar[0], *bar]
    elif serif < 0.55:  # from above, the bar rising from its foot
        dip = (rng.uniform(-0.02, 0.12), rng.uniform(0.08, 0.24))
        bar = [
            (rng.normal(-0.02, 0.04), rng.normal(-0.02, 0.04)),
            *[dip] * int(rng.integers(1, 3)),
            (right, 0),
            (right, 0),
        ]
    bend = rng.uniform(-0.14, 0.06)
    if rng.random() < 0.06:  # a small loop where the bar turns down
        bar = [*bar[:-2], (right, 0.03), (right + 0.08, -0.06), (right - 0.02, -0.06), (right - 0.02, 0.1)]
    strokes = [[*bar, ((right + foot) / 2 + bend, 0.48), (foot, 1)]]
    crossed = rng.random() < 0.55
    if crossed and rng.random() < 0.34:  # the pen leads on to the right
        strokes[0] += [(foot + 0.06, 1.02), (foot + rng.uniform(0.15, 0.35), rng.uniform(0.9, 1.02))]
    if crossed and rng.random() < 0.2:  # hardly a bar: the cross tells it
        strokes[0] = [(right - rng.uniform(0.06, 0.2), rng.normal(0.04, 0.03)), *strokes[0][len(bar) - 2 :]]
    if crossed:
        y, half, tilt = rng.uniform(0.38, 0.64), rng.uniform(0.12, 0.36), rng.normal(-0.03, 0.08)
        x = right + (foot - right) * y + bend * 0.9 + rng.normal(0, 0.05)
        strokes.append([(x - half, y - tilt), (x, y + rng.normal(0, 0.02)), (x + half, y + tilt)])
    if rng.random() < 0.05:
        strokes.append([(foot - rng.uniform(0.08, 0.2), 1), (foot + rng.uniform(0.08, 0.2), 1)])
    return strokes


def eight(rng: Generator) -> list[Stroke]:
    """In one crossing stroke, closed or open at the top, or as two rings."""
    if rng.random() < 0.25:
        waist, rx = rng.uniform(0.42, 0.5), rng.uniform(0.2, 0.28)
        lower = (1 - waist) / 2
        upper = arc((0.35, waist / 2), (rx, waist / 2), 90, 365, 9)
        return [upper, arc((0.35, 1 - lower), (rx * rng.uniform(1, 1.3), lower), 270, -365, 10)]
    last: Stroke = [(0.56, 0.2), (0.46, 0.04)] if rng.random() < 0.75 else [(0.62, rng.uniform(0.05, 0.15))]
    return [
        [
            (0.52, 0.1),
            (0.34, 0),
            (0.13, 0.16),
            (0.24, 0.38),
            (0.5, 0.58),
            (0.62, 0.8),
            (0.35, 1),
            (0.07, 0.82),
            (0.2, 0.6),
            (0.46, 0.4),
            *last,
        ]
    ]


def nine(rng: Generator) -> list[Stroke]:
    """A loop, closed or open, with a straight, slanted, hooked or curled tail from its side or its foot."""
    rx, ry = rng.uniform(0.18, 0.32), rng.uniform(0.18, 0.3)
    sweep = -rng.uniform(300, 350)
    loop = arc((0.36, ry), (rx, ry), rng.uniform(-35, -5), sweep, 9)
    edge, form = 0.36 + rx, rng.random()
    if rng.random() < 0.07:  # the pen leads on to the right
        low = edge - rng.uniform(0.02, 0.2)
        return [[*loop, (edge, ry), (low, 0.92), (low + 0.06, 1), (low + rng.uniform(0.15, 0.35), rng.uniform(0.9, 1))]]
    if form < 0.2:
        ring = arc((0.36, ry), (rx, ry), rng.uniform(30, 125), -rng.uniform(345, 370), 10)
        return [[*ring, ring[-1], (rng.uniform(0.25, 0.5), 0.75), (rng.uniform(0.1, 0.5), 1)]]
    if form < 0.45:
        return [
            [
                *loop,
                (edge, ry * 0.8),
                (edge, ry * 0.8),
                (edge - rng.uniform(-0.02, 0.08), 0.6),
                (edge - rng.uniform(-0.04, 0.36), 1),
            ]
        ]
    if form < 0.75:
        return [
            [
                *loop,
                (edge, ry),
                (edge - 0.02, 0.6),
                (edge - 0.08, 0.88),
                (0.36, 1),
                (rng.uniform(0.02, 0.2), rng.uniform(0.82, 0.96)),
            ]
        ]
    return [
        [
            *loop,
            (edge, ry),
            (edge + 0.02, 0.65),
            (0.42, 0.97),
            (0.14, 0.97),
            (0.05, rng.uniform(0.74, 0.86)),
            (0.2, rng.uniform(0.72, 0.8)),
        ]
    ]


DIGITS: list[Callable[[Generator], list[Stroke]]] = [zero, one, two, three, four, five, six, seven, eight, nine]
