"""Ink of a field -> pieces that no digit is smaller than, and the segments of them that may be one digit each.

    ink --marks--> connected marks --cuts--> pieces, from left to right --neighbours joined--> segments

A mark wider than one digit is cut along every path from top to bottom that crosses little ink: where two digits
touch, such a path crosses one stroke; within a digit it mostly has to cross two (compare R. G. Casey and
E. Lecolinet, "A survey of methods and strategies in character segmentation", 1996). There are too many cuts rather
than too few: which of them are right is for the network to say.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from service.ink import Writing
from service.marks import Box, Mark, Mask, bounding_box, find_marks, find_runs, paint
from service.preprocessing import stroke_width

Labels = NDArray[np.intp]

# Marks at least this part of the tallest tell the height of the writing.
TALL = 0.5
# Of the squared height of the writing: the area of what is a speck, and the least of a piece.
SPECK, LEAST = 0.004, 0.02
# Of the height of the writing: the width of a mark from which on it may be two digits, and the least distance of
# two cuts.
CUT_FROM, CUT_APART = 0.4, 0.1
# How far from the border between two digits, as the column network sees it, they are cut at most.
NEAR_BORDER = 0.2
# The most ink that a cut goes through, in widths of a stroke: where digits touch it is one, through a loop two.
MAX_CUT = 4.0
# A mark up to this height is a dash, a point or the like, however wide; up to this height, or width, at the rim it is
# what remains of something else.
FLAT, REMAINS = 0.38, 0.25
# But a 1 may be cut out close: what is narrow at a side remains of a line if it is shorter than this part of the
# writing's height, or as high as the picture.
SHORT, WHOLE = 0.6, 0.95
# What a cut pays for a step to the side, in pixels of ink.
SIDESTEP = 0.4
# A digit is not wider than this, in parts of the writing's height, has no wider gap between its pieces, and not
# more pieces.
MAX_WIDTH, MAX_GAP, MAX_PIECES = 1.35, 0.25, 10


@dataclass(frozen=True)
class Piece:
    """A mark or a part of one: its box in the ink map, its area, and the mark it belongs to.

    `before` and `after` are the pixels of ink that were cut through on its left and right, 0 where the mark ends.
    """

    box: Box
    area: int
    mark: int
    before: float = 0.0
    after: float = 0.0

    @property
    def width(self) -> int:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> int:
        return self.box[3] - self.box[1]

    @property
    def middle(self) -> float:
        return (self.box[0] + self.box[2]) / 2


@dataclass(frozen=True)
class Segment:
    """Pieces `first` to `last` (inclusive), which may be one digit, the box around them, and the widest gap in it."""

    first: int
    last: int
    box: Box
    gap: float = 0.0


@dataclass(frozen=True)
class Pieces:
    """The pieces of a field from left to right; `labels` holds 1 + the piece's index at each pixel, 0 for paper.

    `height` is that of the writing, in pixels; `base` the row that it stands on.
    """

    pieces: list[Piece]
    labels: Labels
    height: float
    base: float
    in_cells: bool = False

    @property
    def boxes(self) -> list[Box]:
        return [piece.box for piece in self.pieces]

    @property
    def soft(self) -> Labels:
        """The labels, which hold the soft edges of the strokes."""
        return self.labels

    def cut_out(self, density: NDArray[np.uint8], segment: Segment) -> NDArray[np.uint8]:
        """The ink of a segment, uint8 `[height, width]` of its box."""
        left, top, right, bottom = segment.box
        labels = self.labels[top:bottom, left:right]
        inside = (labels > segment.first) & (labels <= segment.last + 1)
        return density[top:bottom, left:right] * inside


@dataclass(frozen=True)
class Guide:
    """Where cuts make sense, by the column network; for each column of the ink map.

    `middles` bool `[width]` may be in the middle of a digit, `gaps` bool `[width]` between two; `borders` are the
    columns between neighbours that it sees.
    """

    middles: NDArray[np.bool_]
    gaps: NDArray[np.bool_]
    borders: Sequence[float]

    def within(self, mark: Mark) -> tuple[NDArray[np.bool_], list[int]]:
        """The columns of a mark in which it may be cut, and where it should be."""
        columns = slice(mark.left, mark.right)
        middles = np.flatnonzero(self.middles[columns])
        allowed = self.gaps[columns].copy()
        if not len(middles):
            return np.zeros_like(allowed), []
        allowed[: middles[0]] = allowed[middles[-1] + 1 :] = False
        return allowed, [round(border) - mark.left for border in self.borders if mark.left < border < mark.right]


@dataclass(frozen=True)
class Marks:
    """The connected marks of all writing; `labels` holds 1 + the mark's index at each pixel, 0 for paper.

    `soft` is the same with the soft edges of the strokes.
    """

    marks: list[Mark]
    labels: Labels
    soft: Labels
    height: float

    @property
    def boxes(self) -> list[Box]:
        return [(mark.left, mark.top, mark.right, mark.bottom) for mark in self.marks]

    @property
    def base(self) -> float:
        """The row that digits stand on: the median bottom of the tall marks, each weighed by its width."""
        tall = sorted((mark for mark in self.marks if mark.height >= TALL * self.height), key=lambda mark: mark.bottom)
        half = sum(mark.width for mark in tall) / 2
        for mark in tall:
            half -= mark.width
            if half <= 0:
                return float(mark.bottom)
        return float(max(mark.bottom for mark in self.marks))

    def may_be_several(self, index: int) -> bool:
        mark = self.marks[index]
        return mark.width >= CUT_FROM * self.height and mark.height > FLAT * self.height


def label_marks(writing: Writing) -> Marks | None:
    """The marks of all writing; None where there is nothing but specks."""
    runs = find_runs(writing.mask)
    marks = find_marks(runs)
    height = writing_height(marks)
    speck = max(3.0, SPECK * height * height)
    marks = [mark for mark in marks if mark.area >= speck and not _is_remains(mark, height, runs.shape)]
    if not marks:
        return None
    numbers = np.zeros(len(runs.start), np.intp)
    for number, mark in enumerate(marks, start=1):
        numbers[mark.runs] = number
    labels = _paint(runs.start, runs.end, numbers, runs.shape)
    return Marks(marks, labels, _spread(labels), height)


def pieces_in_cells(writing: Writing, boxes: Sequence[Box]) -> Pieces | None:
    """One piece for each printed cell that is written in: its ink but for specks and what sticks in at the rim.

    None where nothing is written, or where tall marks stand in no cell: then not all cells were found.
    """
    runs = find_runs(writing.mask)
    marks = find_marks(runs)
    height = writing_height(marks)
    if any(mark.height >= TALL * height and not _is_in_one(mark, boxes) for mark in marks):
        return None
    labels = np.zeros(writing.mask.shape, np.intp)
    pieces: list[Piece] = []
    for number, (left, top, right, bottom) in enumerate(boxes):
        inside = [mark for mark in marks if _lies_in(mark, (left, top, right, bottom), height)]
        if not inside:
            continue
        chosen = paint(runs, [run for mark in inside for run in mark.runs])
        labels[chosen] = len(pieces) + 1
        pieces.append(Piece(bounding_box(inside), sum(mark.area for mark in inside), number))
    if not pieces:
        return None
    height = float(np.median([piece.height for piece in pieces]))
    base = float(np.median([piece.box[3] for piece in pieces]))
    return Pieces(pieces, _spread(labels), height, base, in_cells=True)


def _is_in_one(mark: Mark, boxes: Sequence[Box]) -> bool:
    middle, centre = (mark.left + mark.right) / 2, (mark.top + mark.bottom) / 2
    return any(left <= middle < right and top <= centre < bottom for left, top, right, bottom in boxes)


def _lies_in(mark: Mark, box: Box, height: float) -> bool:
    left, top, right, bottom = box
    middle, centre = (mark.left + mark.right) / 2, (mark.top + mark.bottom) / 2
    if not (left <= middle < right and top <= centre < bottom) or mark.area < SPECK * height * height:
        return False
    room = 0.12 * min(right - left, bottom - top)
    at_rim = (
        mark.right <= left + room or mark.left >= right - room or mark.bottom <= top + room or mark.top >= bottom - room
    )
    return not at_rim


def _is_remains(mark: Mark, height: float, shape: tuple[int, ...]) -> bool:
    """Whether it is what is left of a line or a neighbour: low at the upper or lower rim, or narrow at a side."""
    if (mark.top <= 1 or mark.bottom >= shape[0] - 1) and mark.height <= REMAINS * height:
        return True
    if mark.left > 1 and mark.right < shape[1] - 1:
        return False
    return mark.width <= REMAINS * height and not SHORT * height <= mark.height < WHOLE * shape[0]


def writing_height(marks: list[Mark]) -> float:
    """The usual height of a digit: the median of the marks that are not small, each weighed by its width."""
    tallest = max((mark.height for mark in marks), default=0)
    tall = sorted((mark for mark in marks if mark.height >= TALL * tallest), key=lambda mark: mark.height)
    half = sum(mark.width for mark in tall) / 2
    for mark in tall:
        half -= mark.width
        if half <= 0:
            return float(mark.height)
    return 1.0


def find_segments(pieces: Pieces) -> Iterator[Segment]:
    """All runs of neighbouring pieces that may be one digit."""
    found, height = pieces.pieces, pieces.height
    if pieces.in_cells:
        yield from (Segment(index, index, piece.box) for index, piece in enumerate(found))
        return
    for first, piece in enumerate(found):
        box, gap = piece.box, 0.0
        yield Segment(first, first, box)
        for last in range(first + 1, min(first + MAX_PIECES, len(found))):
            after = found[last].box
            if after[0] - box[2] > MAX_GAP * height:
                break
            gap = max(gap, float(after[0] - box[2]))
            box = min(box[0], after[0]), min(box[1], after[1]), max(box[2], after[2]), max(box[3], after[3])
            if box[2] - box[0] > MAX_WIDTH * max(height, box[3] - box[1]):
                break
            if not _are_two(found[first : last + 1], height):
                yield Segment(first, last, box, gap)


def _are_two(pieces: list[Piece], height: float) -> bool:
    """Whether pieces of different marks are tall and stand beside each other: no digit is made so, but of cuts."""
    for piece, after in pairwise(pieces):
        if piece.mark != after.mark and min(piece.height, after.height) > 0.6 * height:
            overlap = piece.box[2] - after.box[0]
            if overlap < 0.3 * min(piece.width, after.width):
                return True
    return False


def _paint(start: NDArray[np.intp], end: NDArray[np.intp], numbers: Labels, shape: tuple[int, ...]) -> Labels:
    height, width = shape
    steps = np.zeros(height * (width + 1) + 1, np.intp)
    steps[start] = numbers
    steps[end] -= numbers
    return steps[:-1].cumsum().reshape(height, width + 1)[:, :width]


def split(found: Marks, writing: Writing, guide: Guide) -> Pieces:
    """Cut the wide marks where it makes sense, and number all pieces from left to right."""
    labels, height = found.labels, found.height
    sides, costs = _sides_of_cuts(found, guide, MAX_CUT * stroke_width(writing.density))
    # A piece is what of a mark lies between two cuts: numbered as the pairs come, then from left to right.
    flat = np.flatnonzero(labels)
    most = max(len(cost) for cost in costs) + 1
    keys, index = np.unique((labels.ravel()[flat] - 1) * most + sides.ravel()[flat], return_inverse=True)
    into = _merge_small(keys // most, np.bincount(index), LEAST * height * height)
    pieces = _measure(flat, into[index], labels.shape[1])
    for key, piece in pieces.items():
        mark, merged = int(keys[key]) // most, keys[into == key] % most
        before, after = [0.0, *costs[mark]][int(merged.min())], [*costs[mark], 0.0][int(merged.max())]
        pieces[key] = replace(piece, mark=mark, before=before, after=after)
    order = sorted(pieces, key=lambda key: pieces[key].middle)
    rank = np.zeros(len(keys), np.intp)
    rank[order] = np.arange(1, len(order) + 1)
    numbered = np.zeros(labels.size, np.intp)
    numbered[flat] = rank[into[index]]
    listed = [pieces[key] for key in order]
    base = float(np.median([piece.box[3] for piece in listed if piece.height >= TALL * height] or [0]))
    return Pieces(listed, _spread(numbered.reshape(labels.shape)), height, base)


def _merge_small(owners: Labels, areas: NDArray[np.intp], least: float) -> Labels:
    """For each part of a mark the part that it belongs to: one that is too small goes to its neighbour."""
    into = np.arange(len(owners))
    grown = areas.astype(float)
    for key in range(len(owners) - 1, -1, -1):
        if grown[key] >= least:
            continue
        for other in (key - 1, key + 1):
            if 0 <= other < len(owners) and owners[other] == owners[key]:
                into[key] = into[other]
                grown[other] += grown[key]
                break
    while (into[into] != into).any():
        into = into[into]
    return into


def _measure(flat: Labels, index: Labels, width: int) -> dict[int, Piece]:
    """Box and area of the pixels at flattened positions `flat` that share an index."""
    order = np.argsort(index, kind="stable")
    rows, columns = np.divmod(flat[order], width)
    keys, starts, areas = np.unique(index[order], return_index=True, return_counts=True)
    lows = np.minimum.reduceat(columns, starts), np.minimum.reduceat(rows, starts)
    highs = np.maximum.reduceat(columns, starts) + 1, np.maximum.reduceat(rows, starts) + 1
    columns_of = (part.tolist() for part in (keys, areas, *lows, *highs))
    return {
        key: Piece((left, top, right, bottom), area, 0)
        for key, area, left, top, right, bottom in zip(*columns_of, strict=True)
    }


def _spread(labels: Labels) -> Labels:
    """Labels with a rim of one pixel, where the ink is soft."""
    for axis in (0, 1):
        for step in (1, -1):
            moved = np.roll(labels, step, axis)
            labels = np.where(labels == 0, moved, labels)
    return labels


# --- cuts -------------------------------------------------------------------------------------------------------------


def _sides_of_cuts(found: Marks, guide: Guide, dearest: float) -> tuple[Labels, list[list[float]]]:
    """For each pixel of a mark how many cuts of this mark lie left of it, and for each mark what its cuts cost."""
    sides = np.zeros_like(found.labels)
    costs: list[list[float]] = [[] for _ in found.marks]
    for index, mark in enumerate(found.marks):
        allowed, wanted = guide.within(mark)
        if not found.may_be_several(index) or not allowed.any():
            continue
        window = slice(mark.top, mark.bottom), slice(mark.left, mark.right)
        inside = found.labels[window] == index + 1
        cuts, costs[index] = find_cuts(inside, found.height, dearest, allowed, wanted)
        columns = np.arange(inside.shape[1])
        for path in cuts:
            sides[window] += inside & (columns > path[:, None])
    return sides, costs


def find_cuts(
    ink: Mask, height: float, dearest: float, allowed: NDArray[np.bool_], wanted: Sequence[int]
) -> tuple[list[NDArray[np.intp]], list[float]]:
    """Paths from top to bottom of a mark `[rows, columns]` that cross little ink, from left to right.

    Args:
        ink: the mark.
        height: of the writing.
        dearest: the most ink that a path crosses.
        allowed: columns that a path may cross the middle row in.
        wanted: columns near which a path is wanted, however much ink it crosses.

    Returns:
        The column in each row of each path, and the pixels of ink that it crosses.
    """
    cost = ink.astype(np.float32)
    middle = len(ink) // 2
    down, up = _reach(cost[: middle + 1]), _reach(cost[middle:][::-1])
    through = down[-1] + up[-1] - cost[middle]
    chosen = [_cheapest_near(column, through, height) for column in wanted]
    starts = np.array(_cheapest(through, height, dearest, allowed, chosen), np.intp)
    if not len(starts):
        return [], []
    upper, lower = _trace(down, starts), _trace(up, starts)
    return list(np.concatenate((upper[::-1], lower[1:])).T), through[starts].tolist()


def _cheapest_near(column: int, through: NDArray[np.float32], height: float) -> int:
    """The column not far from another in which a path crosses least ink, the nearer the better."""
    reach = max(1, round(NEAR_BORDER * height))
    first = max(0, column - reach)
    near = through[first : column + reach + 1]
    away = np.abs(np.arange(first, first + len(near)) - column)
    return first + int((near + away * SIDESTEP).argmin())


def _cheapest(
    through: NDArray[np.float32], height: float, dearest: float, allowed: NDArray[np.bool_], chosen: Sequence[int]
) -> list[int]:
    """Where cuts go through the middle row, the cheapest first and no other near it, from left to right."""
    kept = sorted(set(chosen))
    candidates = np.flatnonzero(allowed & (through <= dearest))
    for column in candidates[np.argsort(through[candidates], kind="stable")].tolist():
        if all(abs(column - other) >= CUT_APART * height for other in kept):
            kept.append(column)
    return sorted(kept)


def _reach(cost: NDArray[np.float32]) -> NDArray[np.float32]:
    """The least ink on the way from the first row to each pixel."""
    total = cost.copy()
    for row in range(1, len(cost)):
        before = total[row - 1]
        best = before.copy()
        np.minimum(best[1:], before[:-1] + SIDESTEP, out=best[1:])
        np.minimum(best[:-1], before[1:] + SIDESTEP, out=best[:-1])
        total[row] += best
    return total


def _trace(total: NDArray[np.float32], columns: NDArray[np.intp]) -> NDArray[np.intp]:
    """The ways back from the last row to the first, `[rows, paths]`, from the last row on."""
    width = total.shape[1]
    ways = [columns]
    for row in range(len(total) - 2, -1, -1):
        around = np.clip(ways[-1] + np.array([[0], [-1], [1]]), 0, width - 1)
        costs = total[row][around] + np.array([[0], [SIDESTEP], [SIDESTEP]], np.float32)
        ways.append(np.take_along_axis(around, costs.argmin(axis=0)[None], axis=0)[0])
    return np.stack(ways)
