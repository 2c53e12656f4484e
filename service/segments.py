"""Ink of a field -> pieces that no digit is smaller than, and the segments of them that may be one digit each.

    ink --marks--> connected marks --cuts--> pieces, from left to right --neighbours joined--> segments

A mark wider than one digit is cut along every path from top to bottom that crosses little ink: where two digits
touch, such a path crosses one stroke; within a digit it mostly has to cross two (compare R. G. Casey and
E. Lecolinet, "A survey of methods and strategies in character segmentation", 1996). There are too many cuts rather
than too few: which of them are right is for the network to say.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from service.ink import Writing
from service.marks import Box, Mark, Runs, bounding_box, find_marks, find_runs, paint
from service.preprocessing import stroke_width
from service.seams import Wide, find_seams
from service.stars import find_fill

Labels = NDArray[np.int32]

# Marks at least this part of the tallest tell the height of the writing.
TALL = 0.5
# Of the squared height of the writing: the area of what is a speck, and the least of a piece.
SPECK, LEAST = 0.004, 0.02
# Of the height of the writing: the width of a mark from which on it may be two digits.
CUT_FROM = 0.4
# The most ink that a cut goes through, in widths of a stroke: where digits touch it is one, through a loop two.
MAX_CUT = 4.0
# A mark up to this height is a dash, a point or the like, however wide; up to this height, or width, at the rim it is
# what remains of something else.
FLAT, REMAINS = 0.38, 0.25
# But a 1 may be cut out close: what is narrow at a side remains of a line if it is shorter than this part of the
# writing's height, or as high as the picture.
SHORT, WHOLE = 0.6, 0.95
# A star that fills up alone is lower than digits are, by this part of their height at most; a taller one may be a digit.
ALONE = 0.8
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

    `height` is that of the writing, in pixels; `base` the row that it stands on. `stars` are the boxes of those that
    fill it up, which are no pieces.
    """

    pieces: list[Piece]
    labels: Labels
    height: float
    base: float
    in_cells: bool = False
    stars: Sequence[Box] = ()

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

    `soft` is the same with the soft edges of the strokes, `stars` as in `Pieces`.
    """

    marks: list[Mark]
    labels: Labels
    soft: Labels
    height: float
    stars: Sequence[Box] = ()

    @property
    def boxes(self) -> list[Box]:
        return [mark.box for mark in self.marks]

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
    """The marks of all writing but for stars that fill it up; None where there is nothing but specks."""
    runs = find_runs(writing.mask)
    found = find_marks(runs)
    height = writing_height(found)
    marks = _without_specks(found, height, runs.shape)
    stars = _find_stars(runs, marks)
    if stars:
        # Among stars the height of the writing may have been theirs.
        rest = _without(found, stars)
        height = writing_height(rest)
        marks = _without_specks(rest, height, runs.shape)
    if not marks:
        return None
    numbers = np.zeros(len(runs.start), np.int32)
    for number, mark in enumerate(marks, start=1):
        numbers[mark.runs] = number
    labels = _paint(runs.start, runs.end, numbers, runs.shape)
    return Marks(marks, labels, _spread(labels), height, [star.box for star in stars])


def _without_specks(marks: list[Mark], height: float, shape: tuple[int, ...]) -> list[Mark]:
    speck = max(3.0, SPECK * height * height)
    return [mark for mark in marks if mark.area >= speck and not _is_remains(mark, height, shape)]


def _find_stars(runs: Runs, marks: list[Mark]) -> list[Mark]:
    """The stars that fill up a number; none where there is nothing else, or where it may be a digit."""
    stars = find_fill(runs, marks)
    if not stars:
        return []
    rest = _without(marks, stars)
    return stars if rest and (len(stars) > 1 or stars[0].height <= ALONE * writing_height(rest)) else []


def _without(marks: list[Mark], others: list[Mark]) -> list[Mark]:
    return [mark for mark in marks if mark not in others]


def pieces_in_cells(writing: Writing, boxes: Sequence[Box]) -> Pieces | None:
    """One piece for each printed cell that is written in: its ink but for specks and what sticks in at the rim.

    None where nothing is written, or where tall marks stand in no cell: then not all cells were found.
    """
    runs = find_runs(writing.mask)
    marks = find_marks(runs)
    height = writing_height(marks)
    if any(mark.height >= TALL * height and not _is_in_one(mark, boxes) for mark in marks):
        return None
    labels = np.zeros(writing.mask.shape, np.int32)
    pieces: list[Piece] = []
    written = [[mark for mark in marks if _lies_in(mark, box, height)] for box in boxes]
    stars = _find_stars(runs, [mark for inside in written for mark in inside])
    for number, every in enumerate(written):
        inside = _without(every, stars)
        if not inside:
            continue
        chosen = paint(runs, [run for mark in inside for run in mark.runs])
        labels[chosen] = len(pieces) + 1
        pieces.append(Piece(bounding_box(inside), sum(mark.area for mark in inside), number))
    if not pieces:
        return None
    height = float(np.median([piece.height for piece in pieces]))
    base = float(np.median([piece.box[3] for piece in pieces]))
    return Pieces(pieces, _spread(labels), height, base, in_cells=True, stars=[star.box for star in stars])


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
    steps = np.zeros(height * (width + 1) + 1, np.int32)
    steps[start] = numbers
    steps[end] -= numbers
    return steps[:-1].cumsum(dtype=np.int32).reshape(height, width + 1)[:, :width]


def split(found: Marks, writing: Writing, guide: Guide) -> Pieces:
    """Cut the wide marks where it makes sense, and number all pieces from left to right."""
    labels, height = found.labels, found.height
    sides, costs = _sides_of_cuts(found, guide, MAX_CUT * stroke_width(writing.density))
    # A part is what of a mark lies between two cuts; pieces are parts, small ones merged with their neighbours.
    flat = np.flatnonzero(labels)
    most = max(len(cost) for cost in costs) + 1
    pairs = (labels.ravel()[flat] - 1) * most + sides.ravel()[flat]
    areas = np.bincount(pairs)
    parts = np.flatnonzero(areas)
    marks, places = (parts // most).tolist(), (parts % most).tolist()
    into = _merge_small(marks, areas[parts].tolist(), LEAST * height * height)
    numbers = np.zeros(len(areas), np.int32)
    numbers[parts] = into
    boxes = _measure(flat, numbers[pairs], labels.shape[1])
    pieces = {}
    for key, (box, area) in boxes.items():
        merged = [place for place, other in zip(places, into, strict=True) if other == key]
        mark = marks[key]
        pieces[key] = Piece(box, area, mark, [0.0, *costs[mark]][merged[0]], [*costs[mark], 0.0][merged[-1]])
    order = sorted(pieces, key=lambda key: pieces[key].middle)
    rank = np.zeros(len(parts), np.int32)
    rank[order] = np.arange(1, len(order) + 1)
    numbered = np.zeros(labels.size, np.int32)
    numbered[flat] = rank[numbers[pairs]]
    listed = [pieces[key] for key in order]
    base = float(np.median([piece.box[3] for piece in listed if piece.height >= TALL * height] or [0]))
    return Pieces(listed, _spread(numbered.reshape(labels.shape)), height, base, stars=found.stars)


def _sides_of_cuts(found: Marks, guide: Guide, dearest: float) -> tuple[Labels, list[list[float]]]:
    """For each pixel of a mark how many cuts of this mark lie left of it, and for each mark what its cuts cost."""
    sides = np.zeros_like(found.labels)
    costs: list[list[float]] = [[] for _ in found.marks]
    wide: dict[int, Wide] = {}
    for index, mark in enumerate(found.marks):
        if found.may_be_several(index):
            allowed, wanted = guide.within(mark)
            if allowed.any():
                wide[index] = Wide(found.labels[_window(mark)] == index + 1, allowed, wanted)
    if not wide:
        return sides, costs
    for index, seams in zip(wide, find_seams(list(wide.values()), found.height, dearest), strict=True):
        costs[index], ink = seams.costs, wide[index].ink
        left_of = (np.arange(ink.shape[1])[:, np.newaxis] > seams.columns[:, np.newaxis]).sum(axis=2)
        sides[_window(found.marks[index])] += left_of.astype(np.int32) * ink
    return sides, costs


def _window(mark: Mark) -> tuple[slice, slice]:
    return slice(mark.top, mark.bottom), slice(mark.left, mark.right)


def _merge_small(owners: Sequence[int], areas: Sequence[float], least: float) -> list[int]:
    """For each part of a mark the part that it belongs to: one that is too small goes to its neighbour."""
    into, grown = list(range(len(owners))), list(areas)
    for key in range(len(owners) - 1, -1, -1):
        if grown[key] >= least:
            continue
        for other in (key - 1, key + 1):
            if 0 <= other < len(owners) and owners[other] == owners[key]:
                into[key] = into[other]
                grown[other] += grown[key]
                break
    while (further := [into[key] for key in into]) != into:
        into = further
    return into


def _measure(flat: NDArray[np.intp], index: Labels, width: int) -> dict[int, tuple[Box, int]]:
    """Box and area of the pixels at flattened positions `flat` that share an index."""
    order = np.argsort(index, kind="stable")
    index = index[order]
    rows, columns = np.divmod(flat[order], width)
    starts = np.append(0, np.flatnonzero(index[1:] != index[:-1]) + 1)
    edges = (
        np.minimum.reduceat(columns, starts),
        np.minimum.reduceat(rows, starts),
        np.maximum.reduceat(columns, starts) + 1,
        np.maximum.reduceat(rows, starts) + 1,
    )
    areas = np.diff(starts, append=len(index)).tolist()
    boxes = zip(*(part.tolist() for part in edges), strict=True)
    return dict(zip(index[starts].tolist(), zip(boxes, areas, strict=True), strict=True))


def _spread(labels: Labels) -> Labels:
    """Labels with a rim of one pixel, where the ink is soft; above and below before left and right."""
    height, width = labels.shape
    padded = np.zeros((height + 2, width + 2), labels.dtype)
    padded[1:-1, 1:-1] = labels
    rows = padded[1:-1] + padded[:-2] * (padded[1:-1] == 0)
    rows += padded[2:] * (rows == 0)
    spread = rows[:, 1:-1] + rows[:, :-2] * (rows[:, 1:-1] == 0)
    spread += rows[:, 2:] * (spread == 0)
    return np.asarray(spread)
