"""Whether the rim of the picture cuts through a digit, or only touches it as a tight crop does.

Where a stroke was cut it runs into the rim at its full width and in full ink. A whole digit touches the rim with the
round end of a stroke, which is narrower there than further in, or with the side of one, soft and all along.
"""

import numpy as np

from service.marks import Mask

# Of the strokes' width, the least that one has where it is cut, and the most: it may cross the rim at a slant.
NARROWEST, WIDEST = 0.6, 3.0
# Of the width half a stroke further in, the least that a stroke still has where it is cut.
FULL_WIDTH = 0.85
# Of the side, how near to it ink comes in a box drawn around a digit.
NEAR = 0.04
# In stroke widths, how far a stroke that was cut goes on inwards.
DEEP = 1.5


def is_cut_off(ink: Mask, full: Mask) -> bool:
    """Whether a stroke of the digit runs into the rim of the picture at its full width.

    Args:
        ink: bool `[height, width]`, the digit's pixels.
        full: those of them that are as dark as the inside of its strokes.
    """
    sides = [
        (ink_rows, full_rows)
        for ink_rows, full_rows in ((ink, full), (ink[::-1], full[::-1]), (ink.T, full.T), (ink.T[::-1], full.T[::-1]))
        if full_rows[0].any()
    ]
    if not sides:
        return False
    stroke = _stroke_width(ink)
    if not _is_cut_out(ink):
        return any(end - start >= NARROWEST * stroke for _, full_rows in sides for start, end in _runs(full_rows[0]))
    return any(_is_cut(*rows, stroke) for rows in sides)


def _is_cut_out(ink: Mask) -> bool:
    """Whether the picture is a box drawn around the digit: ink comes near to opposite sides of it."""
    y, x = (max(1, round(NEAR * side)) for side in ink.shape)
    return bool((ink[:y].any() and ink[-y:].any()) or (ink[:, :x].any() and ink[:, -x:].any()))


def _stroke_width(mask: Mask) -> float:
    """Twice area over perimeter, in pixels; steps along rows and columns exceed the perimeter by 4/pi on average."""
    steps = int(np.count_nonzero(mask[1:] != mask[:-1])) + int(np.count_nonzero(mask[:, 1:] != mask[:, :-1]))
    return 8 / np.pi * int(np.count_nonzero(mask)) / max(steps, 1)


def _is_cut(ink: Mask, full: Mask, stroke: float) -> bool:
    """Whether the rim next to the first row cuts a stroke."""
    near, deep = max(1, round(stroke / 2)), round(DEEP * stroke) + 1
    if deep >= len(ink):
        return False
    for start, end in _runs(full[0]):
        further = [b - a for a, b in _runs(full[near]) if a <= end + near and b >= start - near]
        if end - start < max(NARROWEST * stroke, FULL_WIDTH * max(further, default=0)) or not further:
            continue
        before, behind = max(0, start - deep), end + deep
        if end - start > WIDEST * stroke:
            # A stroke all along the rim is cut only if it is an arc: both of its ends go on inwards.
            reach = round(2 * stroke)
            if ink[deep, before : start + reach].any() and ink[deep, max(0, end - reach) : behind].any():
                return True
        elif ink[deep, before:behind].any():
            return True
    return False


def _runs(row: Mask) -> list[tuple[int, int]]:
    """Start and end (exclusive) of the runs of one row."""
    edges = np.flatnonzero(np.diff(row, prepend=False, append=False)).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))
