"""Ruled lines and frames: found by a Hough transform of thin runs, removed without the strokes that cross them.

A line is a row of short runs across it whose middles lie on one straight line from rim to rim (P. V. C. Hough, 1962;
slope and intercept, as forms lie nearly straight). Where a stroke crosses the line the run is as long as the stroke,
so it is no part of the line and stays: nothing has to be repaired.
"""

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from service.marks import Mark, Mask, Runs, find_marks, find_runs, paint, reaches_inside

# Slopes tried, in pixels per pixel: forms lie nearly straight on the scanner, less so before a camera.
SLOPES = np.linspace(-0.07, 0.07, 5)
# Of the shorter side, the most that a ruled line is thick; the frame at the rim may be more.
MAX_THICKNESS = 0.11
FRAME_THICKNESS = 0.25
# A run so much thicker than most of the line's, and a pixel, is a stroke's.
THICKER = 1.5
# Of the side it runs along, the least that a line covers, and the least on which nothing crosses it.
MIN_COVER = 0.65
MIN_FREE = 0.4
# Beside writing lines are whole and thin: feet of digits in a row cover much of a line, and strokes are thick.
WHOLE = 0.85
MAX_BESIDE = 0.1
# Lines looked for in one direction: double frames left and right, and one between.
MAX_LINES = 6
# And in a grid: the double lines of 15 cells.
MAX_GRID_LINES = 32
# Of what lies between its ends, the least that an upright line of a grid covers.
MIN_GRID_COVER = 0.95
# Of the side, how near a line comes to the rim: with both ends, or in a frame with one while the other ends at a
# corner. A frame may also lie further in, if there is writing inside; without, it could be a square 0.
AT_RIM, AT_CORNER, INSIDE = 0.04, 0.25, 0.12
# Of the side, the zone along the rim where frames lie.
FRAME_ZONE = 0.25
# Of the longer side, the least that is writing, and of the side, how much further than the writing a line reaches
# on both ends; the foot of a 2 does not.
MIN_WRITING = 0.15
MIN_REACH = 0.06
# Of the side, the length of a mark from rim to rim, and of one around the writing.
RIM_TO_RIM = 0.9
AROUND = 0.75
# Of the shorter side, how far from the line the middles of its runs lie.
WOBBLE = 0.0275
# Positions may lie outside the picture by the slope of half its height.
_OUTSIDE = 8


@dataclass(frozen=True)
class Line:
    """A nearly upright line: which runs are its own, first and last row, position at mid-height, slope, thickness, cover."""

    runs: Mask
    first: int
    last: int
    position: float
    slope: float
    thickness: float
    cover: float


NO_RUNS = Runs(np.empty(0, np.intp), np.empty(0, np.intp), (0, 0))


@dataclass
class Direction:
    """The lines found in one direction, upright in the mask whose runs these are."""

    runs: Runs
    lines: list[Line]

    def keep_from_rim(self) -> None:
        """A box away from the rim is a 0, or the foot of a digit, and no frame."""
        height = self.runs.shape[0]
        self.lines = [line for line in self.lines if min(line.first, height - 1 - line.last) <= AT_RIM * height]

    def leave_a_one(self) -> None:
        """Without writing, an upright stroke in the middle is a 1 and no line."""
        self.lines = [line for line in self.lines if _in_frame(line.position, self.runs.shape[1])]

    def keep_beyond(self, first: int, end: int) -> None:
        """Drop what may be a stroke of the writing between rows `first` and `end`: what reaches hardly further."""
        reach, thickest = MIN_REACH * self.runs.shape[0], MAX_BESIDE * min(self.runs.shape)
        self.lines = [
            line
            for line in self.lines
            if first - line.first >= reach and line.last - end >= reach
            if line.cover >= WHOLE and line.thickness <= thickest
        ]

    def paint(self) -> Mask:
        return paint(self.runs, np.logical_or.reduce([line.runs for line in self.lines]))


def find_lines(mask: Mask) -> Mask | None:
    """Pixels of a mask `[height, width]` that belong to ruled lines and nothing else; None where there is no line."""
    upright, level = _find(mask), _find(mask.T)
    if not (upright.lines or level.lines):
        return None
    found = len(upright.lines), len(level.lines)
    painted = _paint(upright, level, mask.shape)
    writing = _find_writing(mask & ~painted)
    if writing is None or min(found) < 2:
        upright.keep_from_rim()
        level.keep_from_rim()
    if writing is None:
        upright.leave_a_one()
    else:
        upright.keep_beyond(writing.top, writing.bottom)
        level.keep_beyond(writing.left, writing.right)
    kept = len(upright.lines), len(level.lines)
    if kept != found:
        painted = _paint(upright, level, mask.shape)
    return painted if any(kept) else None


def find_frame(mask: Mask) -> Mask | None:
    """The short way where nothing is entangled: marks that are lines from rim to rim or a frame, the writing apart.

    None where there is no such mark, or no such writing.
    """
    height, width = mask.shape
    if max(np.count_nonzero(mask.any(axis=1)) / height, np.count_nonzero(mask.any(axis=0)) / width) < AROUND:
        return None
    runs = find_runs(mask)
    frame: list[Mask] = []
    writing = False
    for mark in find_marks(runs):
        x, y = mark.width / width, mark.height / height
        if max(x, y) >= RIM_TO_RIM or min(x, y) >= AROUND:
            painted = paint(runs, mark.runs)
            if min(x, y) > MAX_THICKNESS + SLOPES[-1] and reaches_inside(painted):
                return None
            frame.append(painted)
        elif max(x, y) >= MIN_WRITING and not mark.lies_at_rim(mask.shape):
            if mark.touches_rim(mask.shape):
                return None
            writing = True
    return reduce(np.logical_or, frame) if frame and writing else None


def _find_writing(rest: Mask) -> Mark | None:
    smallest = MIN_WRITING * max(rest.shape)
    marks = [mark for mark in find_marks(find_runs(rest)) if mark.size >= smallest and not mark.lies_at_rim(rest.shape)]
    return max(marks, key=lambda mark: mark.area, default=None)


def find_rules(mask: Mask) -> Mask | None:
    """Pixels of nearly level lines that run through a mask of several digits; None where there is none."""
    level = _find(mask.T)
    return level.paint().T if level.lines else None


def find_grid(mask: Mask) -> tuple[Mask, list[float]]:
    """Pixels of all lines of a mask that is cut out along a frame, and where at mid-height the upright ones stand."""
    upright, level = _find(mask, MAX_GRID_LINES), _find(mask.T, MAX_GRID_LINES)
    # A 1 that touches the frame does not reach from side to side.
    upright.lines = [line for line in upright.lines if line.cover >= MIN_GRID_COVER]
    return _paint(upright, level, mask.shape), sorted(line.position for line in upright.lines)


def _find(mask: Mask, most: int = MAX_LINES) -> Direction:
    """The nearly upright lines of a mask `[height, width]`, at most so many."""
    height, width = mask.shape
    if not _may_hold_line(mask):
        return Direction(NO_RUNS, [])
    runs = find_runs(mask)
    row, left = np.divmod(runs.start, runs.stride)
    length = runs.end - runs.start
    middle = left + length / 2
    in_frame = np.abs(middle - width / 2) >= (0.5 - FRAME_ZONE) * width
    thickest = np.where(in_frame, FRAME_THICKNESS, MAX_THICKNESS) * min(mask.shape)
    free = length <= np.maximum(thickest, 2)
    position = middle - SLOPES[:, None] * (row - height / 2)
    wobble = max(1.5, WOBBLE * min(mask.shape))
    bins = _bins(position, width)
    lines: list[Line] = []
    for _ in range(most):
        slope, at = _peak(bins[:, free], width)
        near = free & (np.abs(position[slope] - at) <= wobble)
        free &= ~near
        lengths = np.sort(length[near])
        if len(lengths) < MIN_FREE * height:
            break
        thickness = float(lengths[len(lengths) // 2])
        # What is thicker is a stroke that the line runs along.
        near &= length <= THICKER * thickness + 1
        covered = np.zeros(height, np.bool_)
        covered[row[near]] = True
        if np.count_nonzero(covered) < MIN_FREE * height:
            break
        # Where something crosses the line, its runs are longer, but there.
        covered[row[np.abs(middle - at - SLOPES[slope] * (row - height / 2)) * 2 <= length]] = True
        rows = np.flatnonzero(covered)
        cover = len(rows) / int(rows[-1] - rows[0] + 1)
        line = Line(near, int(rows[0]), int(rows[-1]), at, float(SLOPES[slope]), thickness, cover)
        if len(rows) >= MIN_COVER * height and _reaches_rim(line, height, width):
            lines.append(line)
    return Direction(runs, lines)


def _may_hold_line(mask: Mask) -> bool:
    """A cheap look: ink comes near the rim, and some strip, as wide as the steepest line needs, holds a line's."""
    height, width = mask.shape
    near = int(INSIDE * height) + 1
    if not (mask[:near].any() or mask[-near:].any()):
        return False
    filled = np.zeros(width + 1, np.intp)
    np.cumsum(np.add.reduce(mask, axis=0), out=filled[1:])
    strip = min(width, int(2 * SLOPES[-1] * height) + 2)
    return bool((filled[strip:] - filled[:-strip]).max() >= MIN_COVER * height)


def _bins(position: NDArray[np.float64], width: int) -> NDArray[np.intp]:
    """Bin of every run, by slope and position at mid-height, one pixel wide."""
    bins = (position + _OUTSIDE).astype(np.intp).clip(0, width + 2 * _OUTSIDE - 1)
    bins += (np.arange(len(bins)) * (width + 2 * _OUTSIDE))[:, None]
    return bins


def _peak(bins: NDArray[np.intp], width: int) -> tuple[int, float]:
    """Index of the slope and position at mid-height of the line with most runs in two neighbouring bins."""
    per_slope = width + 2 * _OUTSIDE
    votes = np.bincount(bins.ravel(), minlength=len(bins) * per_slope)
    slope, at = divmod(int((votes[:-1] + votes[1:]).argmax()), per_slope)
    return slope, float(at - _OUTSIDE + 1)


def _reaches_rim(line: Line, height: int, width: int) -> bool:
    nearer, further = sorted((line.first, height - 1 - line.last))
    if _in_frame(line.position, width):
        return nearer <= INSIDE * height and further <= AT_CORNER * height
    return further <= AT_RIM * height


def _in_frame(position: float, width: int) -> bool:
    return abs(position - width / 2) >= (0.5 - FRAME_ZONE) * width


def _paint(upright: Direction, level: Direction, shape: tuple[int, ...]) -> Mask:
    """The lines' pixels, with those where two lines cross: there the runs are long in both directions."""
    height, width = shape
    painted = np.zeros(shape, np.bool_)
    if upright.lines:
        painted |= upright.paint()
    if level.lines:
        painted |= level.paint().T
    for a in upright.lines:
        for b in level.lines:
            x = a.position + a.slope * (b.position - height / 2)
            y = b.position + b.slope * (x - width / 2)
            rows, columns = _around(y, b.thickness), _around(x, a.thickness)
            painted[rows, columns] = True
    return painted


def _around(middle: float, thickness: float) -> slice:
    half = thickness / 2 + 1.5
    return slice(max(0, int(middle - half)), max(0, int(middle + half) + 1))
