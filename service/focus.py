"""All marks of a picture -> those of the one digit it was made for, and what lies beside it.

A cell cut out of a form shows one digit whole, near the middle; ends of its neighbours come in from the rim. A digit
may have fallen into parts (the bar of a 5, a stroke that ran dry), and a neighbour may touch it.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.marks import Box, Mark, Mask, Runs, bounding_box, find_marks, find_runs, paint, reaches_inside

# A digit is at least this long, as part of the picture's longer side, and this many pixels; a speck is less than
# this part of the digit's area.
MIN_SIZE = 0.05
MIN_AREA = 6
MIN_PART = 0.04
# The same, for a mark that is alone and at the rim, and how narrow it may be.
LONE_SIZE, LONE_WIDTH = 0.18, 0.08
# How much of a mark's weight is lost on the way from the middle to the rim, along and across the line of writing.
OFF_MIDDLE_X, OFF_MIDDLE_Y = 0.7, 0.5
# Parts of a digit are no further apart than this part of its longer side, or twice that one above the other.
MAX_GAP = 0.12
# Of a texture, only so many marks around the main one are looked at: no digit falls into more parts, and time grows with
# their square.
MOST_PARTS = 400
# A mark beside the digit and taller than this part of it is a digit of its own, unless it all but touches.
TALL = 0.6
TALL_GAP = 0.04
# A part of a digit at the left or right rim lies above or below the rest of it with this part of its width.
MIN_OVERLAP = 0.8
# ... and a part that runs to the upper or lower rim shares this part of its width with the main mark.
RIM_OVERLAP = 0.3
# How near to the rim a mark lies that may be a neighbour's end: in pixels, since cells that were enlarged have soft rims,
# and as part of the longer side.
NEAR_RIM, NEAR_RIM_PART = 2, 0.04
# Of the digit's height, what another mark in full view must reach to be a second digit.
SECOND_HEIGHT = 0.5
# So many further marks with this part of the digit's area make it one piece of a pattern.
MANY, ALIKE = 3, 0.5
# Of one side of the rim, what a shadow or an edge covers from corner to corner and no stroke does.
WHOLE_SIDE = 0.95
# Of the height, how near to the rim a ruled line ends, and of its length, how wide at most it is.
LINE_END, LINE_WIDTH = 0.05, 0.35
# Of the height, the width of ink from which on a neighbour may have been taken along; how far in from the rim, as
# part of the picture's width, it can be cut off; and the most ink in the column of the cut, as part of the height.
WIDE = 0.95
CUT_ZONE = 0.36
MAX_CUT = 0.3
# Of the height, by how much ink is less high at a valley than nearer to the rim, where a neighbour begins, and how
# high it is there at most, as part of the digit.
MIN_RISE, MAX_VALLEY = 0.1, 0.9
# Of the height, the least width that is left of a digit when its neighbours are cut off.
MIN_WIDTH = 0.2


@dataclass
class Digit:
    """The digit's pixels in the mask `[height, width]` it was found in, their box, and what was noticed."""

    mask: Mask
    box: Box
    noticed: set[str] = field(default_factory=set)


def find_digit(mask: Mask, *, framed: bool, cut: bool = True, rim: bool = True) -> Digit | None:
    """The digit in a mask `[height, width]` of all ink; None where nothing is large enough to be one.

    `framed` says that lines were removed: what is left along the rim is their remains. `cut` allows to cut off
    neighbours that touch the digit, `rim` to take marks at the rim for parts of it.
    """
    runs = find_runs(mask)
    marks = find_marks(runs)
    if framed:
        marks = [mark for mark in marks if reaches_inside(paint(runs, mark.runs))]
    parts = _gather(marks, mask.shape, framed=framed, rim=rim)
    if not parts:
        return None
    window = _between_neighbours(mask, bounding_box(parts)) if cut else None
    if window is not None:
        inner = find_digit(mask[:, window], framed=False, rim=rim)
        if inner is not None:
            return _shifted(inner, mask, window)
    return _whole(runs, marks, parts, framed=framed)


def _whole(runs: Runs, marks: list[Mark], parts: list[Mark], *, framed: bool) -> Digit:
    box = bounding_box(parts)
    mask = paint(runs, np.concatenate([mark.runs for mark in parts]))
    noticed: set[str] = set()
    own = set(parts)
    others = [mark for mark in marks if mark not in own]
    if any(_is_second(mark, box, runs.shape) for mark in others) or _is_one_of_many(parts[0], others, runs.shape):
        noticed.add("multiple_digits")
    if (framed and _is_line(box, runs.shape)) or _is_edge(parts[0], mask):
        noticed.add("cut_off")
    return Digit(mask, box, noticed)


def _shifted(inner: Digit, mask: Mask, window: slice) -> Digit:
    whole = np.zeros_like(mask)
    whole[:, window] = inner.mask
    left, top, right, bottom = inner.box
    return Digit(whole, (left + window.start, top, right + window.start, bottom), inner.noticed)


def _gather(marks: list[Mark], shape: tuple[int, ...], *, framed: bool, rim: bool) -> list[Mark]:
    """The main mark and, step by step, all that belongs to what was gathered so far."""
    large = [mark for mark in marks if mark.area >= MIN_AREA]
    candidates = [mark for mark in large if framed or not mark.hugs_rim(shape)]
    candidates = candidates or [mark for mark in large if _is_whole(mark, shape)]
    main = max(candidates, key=lambda mark: _weight(mark, shape), default=None)
    if main is None:
        return []
    parts = [main]
    rest = [mark for mark in marks if mark is not main and mark.area >= MIN_PART * main.area]
    if not main.touches_rim(shape):
        rest = [mark for mark in rest if not _comes_from_rim(mark, main, shape)]
    if not rim:
        apart = max(NEAR_RIM, NEAR_RIM_PART * max(shape))
        rest = [mark for mark in rest if not mark.is_near_rim(shape, apart)]
    if len(rest) > MOST_PARTS:
        rest = sorted(rest, key=lambda mark: _apart(mark, main))[:MOST_PARTS]
    gap, added, near = MAX_GAP * main.size + 1, parts, set[Mark]()
    while rest:
        # What was near to a part stays so; only those that were added have to be looked at.
        near |= {mark for mark in rest if mark not in near and any(_is_near(mark, part, gap) for part in added)}
        box = bounding_box(parts)
        added = [mark for mark in rest if _belongs(mark, box, shape, near=mark in near)]
        if not added:
            break
        parts += added
        taken = set(added)
        rest = [mark for mark in rest if mark not in taken]
    left, top, right, bottom = bounding_box(parts)
    return parts if max(right - left, bottom - top) >= MIN_SIZE * max(shape) else []


def _comes_from_rim(mark: Mark, main: Mark, shape: tuple[int, ...]) -> bool:
    """Whether a mark is the end of something outside: it touches the rim at a side, or else beside the digit."""
    overlap = min(mark.right, main.right) - max(mark.left, main.left)
    beside = mark.left == 0 or mark.right == shape[1] or overlap < RIM_OVERLAP * mark.width
    return beside and mark.touches_rim(shape)


def _is_whole(mark: Mark, shape: tuple[int, ...]) -> bool:
    """Whether a mark at the rim, the only one, is rather a digit put there than the end of a neighbour or a shadow."""
    side = max(shape)
    return mark.size >= LONE_SIZE * side and min(mark.width, mark.height) >= LONE_WIDTH * side


def _weight(mark: Mark, shape: tuple[int, ...]) -> float:
    """Area, the less the further from the middle."""
    height, width = shape
    x, y = (mark.left + mark.right) / width - 1, (mark.top + mark.bottom) / height - 1
    return mark.area * (1 - OFF_MIDDLE_X * x * x) * (1 - OFF_MIDDLE_Y * y * y)


def _belongs(mark: Mark, box: Box, shape: tuple[int, ...], *, near: bool) -> bool:
    """Whether a mark, `near` to a part or not, is a part of the digit within the box, rather than a neighbour or a speck."""
    left, top, right, bottom = box
    overlap = min(mark.right, right) - max(mark.left, left)
    if (mark.left == 0 or mark.right == shape[1]) and overlap < MIN_OVERLAP * mark.width:
        return False
    size = max(right - left, bottom - top)
    if overlap < 0 and mark.height > TALL * (bottom - top):
        return -overlap <= TALL_GAP * size
    return near


def _apart(mark: Mark, other: Mark) -> int:
    """How far apart the middles of two marks are, along and across, in half pixels."""
    return abs(mark.left + mark.right - other.left - other.right) + abs(
        mark.top + mark.bottom - other.top - other.bottom
    )


def _is_near(mark: Mark, part: Mark, gap: float) -> bool:
    x = max(mark.left - part.right, part.left - mark.right, 0)
    y = max(mark.top - part.bottom, part.top - mark.bottom, 0)
    return x + y <= gap or (x == 0 and y <= 2 * gap)


def _is_second(mark: Mark, box: Box, shape: tuple[int, ...]) -> bool:
    left, top, right, bottom = box
    overlap = min(mark.right, right) - max(mark.left, left)
    tall = mark.height >= SECOND_HEIGHT * (bottom - top)
    if not tall or overlap > MIN_WIDTH * mark.width:
        return False
    if top == 0 and bottom == shape[0] == mark.height:
        # A stripe from rim to rim beside another, or a digit beside one in a tightly cut row.
        return mark.left > 0 and mark.right < shape[1]
    return not mark.touches_rim(shape)


def _is_one_of_many(main: Mark, others: list[Mark], shape: tuple[int, ...]) -> bool:
    """Whether there are many marks of its size in full view: dots, hatching, a mesh."""
    least = max(ALIKE * main.area, MIN_AREA)
    return sum(mark.area >= least and not mark.hugs_rim(shape) for mark in others) >= MANY


def _is_line(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether what is left where lines were removed runs on from rim to rim, as one of them."""
    left, top, right, bottom = box
    end = LINE_END * shape[0]
    return top <= end and bottom >= shape[0] - end and right - left < LINE_WIDTH * (bottom - top)


def _is_edge(main: Mark, mask: Mask) -> bool:
    """Whether it fills one side of the picture from corner to corner: a shadow, or the edge of something dark."""
    height, width = mask.shape
    touched = (main.left == 0) + (main.right == width) + (main.top == 0) + (main.bottom == height)
    return touched == 3 and any(side.mean() >= WHOLE_SIDE for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))


def _between_neighbours(mask: Mask, box: Box) -> slice | None:
    """The columns between neighbours that touch the digit, where its ink runs to the left or right rim."""
    height, width = mask.shape
    left, top, right, bottom = box
    tall = bottom - top
    if (left > 0 and right < width) or tall == height:
        return None
    ink = mask[top:bottom]
    wide = right - left > WIDE * tall
    start = _cut(ink, wide=wide) if left == 0 else 0
    stop = width - _cut(ink[:, ::-1], wide=wide) if right == width else width
    if stop - start == width or stop - start < MIN_WIDTH * tall:
        return None
    return slice(start, stop)


def _cut(ink: Mask, *, wide: bool) -> int:
    """How many of the first columns, from the rim on, to cut off a digit's rows `[height, width]` of a mask.

    Either where ink that is too wide for one digit is a single thin stroke, or at a valley: where two digits touch,
    the ink is less high than on both sides.
    """
    tall, zone = len(ink), int(CUT_ZONE * ink.shape[1])
    if zone == 0:
        return 0
    reach = _reach(ink)
    cuts = []
    if wide:
        cost = _cost_of_cut(ink[:, :zone])
        thin = _last_least(cost)
        cuts += [thin] if cost[thin] <= MAX_CUT * tall else []
    valley = _last_least(reach[:zone])
    rise = int(reach[: valley + 1].max()) - int(reach[valley])
    if rise >= MIN_RISE * tall and reach[valley] <= MAX_VALLEY * int(reach[valley:].max()):
        cuts.append(valley)
    return min(cuts, key=lambda column: int(reach[column]), default=0)


def _last_least(values: NDArray[np.int_]) -> int:
    return len(values) - 1 - int(values[::-1].argmin())


def _reach(ink: Mask) -> NDArray[np.int_]:
    """In every column the rows from the uppermost to the lowest ink; 0 where there is none."""
    rows: NDArray[np.int_] = len(ink) - ink.argmax(axis=0) - ink[::-1].argmax(axis=0)
    return rows * ink.any(axis=0)


def _cost_of_cut(ink: Mask) -> NDArray[np.int_]:
    """Ink in every column; where it is more than one stroke, the cut would go through a loop, and costs all."""
    strokes = (ink[1:] & ~ink[:-1]).sum(axis=0) + ink[0]
    cost: NDArray[np.int_] = ink.sum(axis=0) + (strokes > 1) * len(ink)
    return cost
