"""Ruled lines and frames: found by a Hough transform of thin runs, removed without the strokes that cross them.

A line is a row of short runs across it whose middles lie on one straight line from rim to rim (P. V. C. Hough, 1962;
slope and intercept, as forms lie nearly straight). Where a stroke crosses the line the run is as long as the stroke,
so it is no part of the line and stays: nothing has to be repaired.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.marks import Mark, Mask, Runs, find_marks, find_runs, paint

# Slopes tried, in pixels per pixel: forms lie nearly straight on the scanner, less so before a camera.
SLOPES = np.linspace(-0.08, 0.08, 9)
# Of the shorter side, the most that a ruled line is thick; the frame at the rim may be more.
MAX_THICKNESS = 0.11
FRAME_THICKNESS = 0.25
# Of the side it runs along, the least that a line covers, and the least on which nothing crosses it.
MIN_COVER = 0.65
MIN_FREE = 0.4
# Lines looked for in one direction: double frames left and right, and one between.
MAX_LINES = 6
# Of the side, how near a line comes to the rim: with both ends, or in a frame with one while the other ends at a
# corner. A frame may also lie further in, if there is writing inside; without, it could be a square 0.
AT_RIM, AT_CORNER, INSIDE = 0.04, 0.25, 0.12
# Of the side, the zone along the rim where frames lie.
FRAME_ZONE = 0.25
# Of the longer side, the least that is writing, and of the side, how much further than the writing a line reaches
# on both ends; the foot of a 2 does not.
MIN_WRITING = 0.15
MIN_REACH = 0.06
# Positions may lie outside the picture by the slope of half its height.
_OUTSIDE = 8


@dataclass(frozen=True)
class Line:
    """A nearly upright line: its runs, first and last row, position at mid-height, slope and thickness."""

    runs: NDArray[np.intp]
    first: int
    last: int
    position: float
    slope: float
    thickness: float


@dataclass
class Direction:
    """The lines found in one direction, upright in the mask whose runs these are."""

    runs: Runs
    lines: list[Line]

    def keep_frames(self) -> None:
        """Without writing, a box away from the rim is a 0 and no frame."""
        height = self.runs.shape[0]
        self.lines = [line for line in self.lines if min(line.first, height - 1 - line.last) <= AT_RIM * height]

    def leave_a_one(self) -> None:
        """Without writing, an upright stroke in the middle is a 1 and no line."""
        self.lines = [line for line in self.lines if _in_frame(line.position, self.runs.shape[1])]

    def keep_beyond(self, first: int, end: int) -> None:
        """Drop what may be a stroke of the writing between rows `first` and `end`: what reaches hardly further."""
        reach = MIN_REACH * self.runs.shape[0]
        self.lines = [line for line in self.lines if first - line.first >= reach and line.last - end >= reach]

    def paint(self) -> Mask:
        if not self.lines:
            return np.zeros(self.runs.shape, np.bool_)
        return paint(self.runs, np.concatenate([line.runs for line in self.lines]))


def find_lines(mask: Mask) -> Mask | None:
    """Pixels of a mask `[height, width]` that belong to ruled lines and nothing else; None where there is no line."""
    upright, level = _find(mask), _find(mask.T)
    if not (upright.lines or level.lines):
        return None
    writing = _find_writing(mask & ~_paint(upright, level))
    if writing is None:
        upright.leave_a_one()
        upright.keep_frames()
        level.keep_frames()
    else:
        upright.keep_beyond(writing.top, writing.bottom)
        level.keep_beyond(writing.left, writing.right)
    if not (upright.lines or level.lines):
        return None
    return _paint(upright, level)


def _find_writing(rest: Mask) -> Mark | None:
    smallest = MIN_WRITING * max(rest.shape)
    marks = [mark for mark in find_marks(find_runs(rest)) if mark.size >= smallest and not mark.hugs_rim(rest.shape)]
    return max(marks, key=lambda mark: mark.area, default=None)


def _find(mask: Mask) -> Direction:
    """The nearly upright lines of a mask `[height, width]`."""
    height, width = mask.shape
    if not _may_hold_line(mask):
        return Direction(Runs(np.empty(0, np.intp), np.empty(0, np.intp), mask.shape), [])
    runs = find_runs(mask)
    row, left = np.divmod(runs.start, runs.stride)
    right = left + runs.end - runs.start
    middle = (left + right) / 2
    in_frame = np.abs(middle - width / 2) >= (0.5 - FRAME_ZONE) * width
    thickest = np.where(in_frame, FRAME_THICKNESS, MAX_THICKNESS) * min(mask.shape)
    free = np.flatnonzero(right - left <= np.maximum(thickest, 2))
    position = middle - SLOPES[:, None] * (row - height / 2)
    lines: list[Line] = []
    while len(lines) < MAX_LINES and len(free) >= MIN_FREE * height:
        slope, at = _peak(position[:, free], width)
        wobble = max(1.5, 0.25 * MAX_THICKNESS * min(mask.shape))
        near = free[np.abs(position[slope, free] - at) <= wobble]
        free = np.setdiff1d(free, near, assume_unique=True)
        if len(np.unique(row[near])) < MIN_FREE * height:
            break
        x = at + SLOPES[slope] * (row - height / 2)
        rows = np.unique(np.concatenate((row[near], row[(left <= x) & (x < right)])))
        thickness = float(np.median((right - left)[near]))
        line = Line(near, int(rows[0]), int(rows[-1]), at, float(SLOPES[slope]), thickness)
        if len(rows) >= MIN_COVER * height and _reaches_rim(line, height, width):
            lines.append(line)
    return Direction(runs, lines)


def _may_hold_line(mask: Mask) -> bool:
    """A cheap look: some strip of columns, as wide as the steepest line needs, holds the pixels of one."""
    height, width = mask.shape
    filled = np.concatenate(([0], mask.sum(axis=0).cumsum()))
    strip = min(width, int(2 * SLOPES[-1] * height) + 2)
    return bool((filled[strip:] - filled[:-strip]).max() >= MIN_FREE * height)


def _peak(position: NDArray[np.float64], width: int) -> tuple[int, float]:
    """Index of the slope and position at mid-height of the line with most runs, by bins two pixels wide."""
    bins = np.clip(position.astype(np.intp) + _OUTSIDE, 0, width + 2 * _OUTSIDE - 1)
    per_slope = width + 2 * _OUTSIDE
    bins += np.arange(len(bins))[:, None] * per_slope
    votes = np.bincount(bins.ravel(), minlength=len(bins) * per_slope).reshape(len(bins), per_slope)
    pairs = votes[:, :-1] + votes[:, 1:]
    slope, at = divmod(int(pairs.argmax()), per_slope - 1)
    return slope, float(at - _OUTSIDE + 1)


def _reaches_rim(line: Line, height: int, width: int) -> bool:
    nearer, further = sorted((line.first, height - 1 - line.last))
    if _in_frame(line.position, width):
        return nearer <= INSIDE * height and further <= AT_CORNER * height
    return further <= AT_RIM * height


def _in_frame(position: float, width: int) -> bool:
    return abs(position - width / 2) >= (0.5 - FRAME_ZONE) * width


def _paint(upright: Direction, level: Direction) -> Mask:
    """The lines' pixels, with those where two lines cross: there the runs are long in both directions."""
    painted = upright.paint() | level.paint().T
    height, width = painted.shape
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
