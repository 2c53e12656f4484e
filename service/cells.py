"""Printed cells of a field: the frames found as marks that fill all four sides of their box, and taken away.

In a form most fields are combs of cells with one digit each. Where the cells are, the digits need not be looked for.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from service.lines import find_grid
from service.marks import Box, Mark, Mask, Runs, bounding_box, find_marks, find_runs, paint

# How far in from the box of a mark, as part of its shorter side, its frame's lines lie, tilted as they may be, and
# how much of a side they cover.
BAND, COVER = 0.12, 0.93
# A frame is at least this high, as part of the picture, and thin: this part of its box's inside is paper.
MIN_HEIGHT, MAX_FILL = 0.45, 0.4
# Frames of one row of cells differ by less than this part of their height.
UNEVEN = 0.2
# A cell is at least so wide, as part of its height and of the usual width; what is narrower is between two boxes.
NARROW, GAP = 0.25, 0.5


@dataclass(frozen=True)
class Cells:
    """Pixels of the frames, and the box of each cell's inside from left to right."""

    lines: Mask
    boxes: list[Box]


def find_cells(mask: Mask) -> Cells | None:
    """The printed cells in a mask `[height, width]` of all ink; None where there is no frame."""
    runs = find_runs(mask)
    marks = find_marks(runs)
    frames = [mark for mark in marks if _is_frame(mark, runs)]
    if not frames:
        return None
    tallest = max(frames, key=lambda mark: mark.area)
    frames = [mark for mark in frames if abs(mark.height - tallest.height) <= UNEVEN * tallest.height]
    left, top, right, bottom = bounding_box(frames)
    framed = paint(runs, [run for mark in frames for run in mark.runs])
    lines = np.zeros_like(mask)
    lines[top:bottom, left:right] = find_grid(framed[top:bottom, left:right])[0]
    boxes: list[Box] = []
    for frame in sorted(frames, key=lambda mark: mark.left):
        window = slice(frame.top, frame.bottom), slice(frame.left, frame.right)
        inside = paint(runs, frame.runs)[window]
        upright = _full_columns(inside)
        lines[window] |= inside & (upright | _full_columns(inside.T)[:, np.newaxis])
        boxes += _divide(frame, inside, upright)
    usual = float(np.median([box[2] - box[0] for box in boxes]))
    return Cells(lines, [box for box in boxes if box[2] - box[0] >= GAP * usual])


def _full_columns(ink: Mask) -> Mask:
    """Columns that a line fills from top to bottom, with their neighbours: where it lies straight."""
    full: Mask = np.asarray(ink.mean(axis=0) >= COVER)
    grown = full.copy()
    grown[1:] |= full[:-1]
    grown[:-1] |= full[1:]
    return grown


def _is_frame(mark: Mark, runs: Runs) -> bool:
    """Whether ink lies along all four sides of the mark's box and hardly inside it."""
    height = runs.shape[0]
    if mark.height < MIN_HEIGHT * height or mark.width < NARROW * mark.height:
        return False
    if mark.area > MAX_FILL * mark.width * mark.height:
        return False
    ink = paint(runs, mark.runs)[mark.top : mark.bottom, mark.left : mark.right]
    band = max(2, round(BAND * min(ink.shape)))
    sides = ink[:band].any(axis=0), ink[-band:].any(axis=0), ink[:, :band].any(axis=1), ink[:, -band:].any(axis=1)
    return all(float(side.mean()) >= COVER for side in sides)


def _divide(frame: Mark, inside: Mask, upright: Mask) -> list[Box]:
    """The boxes between the upright lines of one frame."""
    _, positions = find_grid(inside)
    straight = np.flatnonzero(upright).tolist()
    edges = sorted([0.0, *positions, *straight, float(frame.width)])
    return [
        (frame.left + round(left), frame.top, frame.left + round(right), frame.bottom)
        for left, right in pairwise(edges)
        if right - left >= NARROW * frame.height
    ]
