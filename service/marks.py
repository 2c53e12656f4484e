"""Connected marks of a mask, found by joining runs of pixels row by row.

Run-length labelling (Rosenfeld, Pfaltz, "Sequential operations in digital picture processing", 1966) works on the
few hundred runs of a digit instead of its thousands of pixels, and knows area and box of every mark at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
# left, top, right, bottom; right and bottom are exclusive
Box = tuple[int, int, int, int]

# Of the side, how far in from the rim frames, shadows and neighbours' ends lie.
RIM_ZONE = 0.25


@dataclass(frozen=True)
class Runs:
    """Maximal horizontal runs of a mask `[height, width]`, in reading order.

    `start` and `end` (exclusive) are positions in the flattened mask padded by one empty column, `stride` wide.
    """

    start: NDArray[np.intp]
    end: NDArray[np.intp]
    shape: tuple[int, ...]

    @property
    def stride(self) -> int:
        return self.shape[1] + 1


@dataclass(frozen=True, eq=False)
class Mark:
    """One connected mark: its area in pixels, its box, and the runs it is made of."""

    area: int
    left: int
    top: int
    right: int
    bottom: int
    runs: NDArray[np.intp]

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def box(self) -> Box:
        return self.left, self.top, self.right, self.bottom

    @property
    def size(self) -> int:
        return max(self.width, self.height)

    def touches_rim(self, shape: tuple[int, ...]) -> bool:
        return self.left == 0 or self.top == 0 or self.right == shape[1] or self.bottom == shape[0]

    def lies_at_rim(self, shape: tuple[int, ...]) -> bool:
        """Whether it stays within the zone along one side of the rim."""
        height, width = shape
        x, y = RIM_ZONE * width, RIM_ZONE * height
        return self.right <= x or self.left >= width - x or self.bottom <= y or self.top >= height - y

    def hugs_rim(self, shape: tuple[int, ...]) -> bool:
        """Whether it touches the rim, but for a pixel, and stays within the zone along one side of it."""
        return self.is_near_rim(shape, 1) and self.lies_at_rim(shape)

    def is_near_rim(self, shape: tuple[int, ...], pixels: float) -> bool:
        """Whether there are no more than so many pixels between it and the rim."""
        height, width = shape
        return (
            self.left <= pixels or self.top <= pixels or self.right >= width - pixels or self.bottom >= height - pixels
        )


def find_runs(mask: Mask) -> Runs:
    """The horizontal runs of a mask `[height, width]`."""
    height, width = mask.shape
    padded = np.zeros(height * (width + 1) + 1, np.bool_)
    padded[1:].reshape(height, width + 1)[:, :width] = mask
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return Runs(edges[::2], edges[1::2], (height, width))


def find_marks(runs: Runs) -> list[Mark]:
    """Marks connected over edges and corners (8-connectivity), in reading order of their first pixel."""
    if not len(runs.start):
        return []
    root = _join(runs)
    members = root.argsort(kind="stable")
    root = root[members]
    last = np.append(np.flatnonzero(root[1:] != root[:-1]) + 1, len(members))
    first = np.append(0, last[:-1])
    row, left = np.divmod(runs.start[members], runs.stride)
    length = (runs.end - runs.start)[members]
    columns = zip(
        np.add.reduceat(length, first).tolist(),
        np.minimum.reduceat(left, first).tolist(),
        row[first].tolist(),
        np.maximum.reduceat(left + length, first).tolist(),
        (row[last - 1] + 1).tolist(),
        [members[begin:end] for begin, end in zip(first.tolist(), last.tolist(), strict=True)],
        strict=True,
    )
    return [Mark(*numbers) for numbers in columns]


def _join(runs: Runs) -> NDArray[np.intp]:
    """For every run the first run of the mark that it belongs to.

    Each run hangs on the first one that it touches in the row above, so whole strokes are joined by following these
    links, two, four, eight rows at once. Where strokes meet, few places, their ends are joined one by one.
    """
    number = np.arange(len(runs.start))
    first = runs.end.searchsorted(runs.start - runs.stride)
    touching = runs.start.searchsorted(runs.end - runs.stride, side="right") - first
    root = np.where(touching > 0, first, number)
    for _ in range(runs.shape[0].bit_length()):
        root = root[root]
    meeting = np.flatnonzero(touching > 1)
    if not len(meeting):
        return root
    begin = first[meeting]
    joined = _join_ends(root, begin.tolist(), (begin + touching[meeting]).tolist())
    number[list(joined)] = list(joined.values())
    return number[root]


def _join_ends(root: NDArray[np.intp], first: list[int], last: list[int]) -> dict[int, int]:
    """Of strokes that the runs `first` to `last` (exclusive) belong to, each later one's root and the earliest's."""
    parent: dict[int, int] = {}
    for begin, end in zip(first, last, strict=True):
        ends = sorted({_follow(parent, stroke) for stroke in root[begin:end].tolist()})
        parent |= dict.fromkeys(ends[1:], ends[0])
    return {stroke: _follow(parent, stroke) for stroke in parent}


def _follow(parent: dict[int, int], stroke: int) -> int:
    while stroke in parent:
        stroke = parent[stroke]
    return stroke


def paint(runs: Runs, chosen: Sequence[int] | NDArray[np.intp]) -> Mask:
    """The mask `[height, width]` of the chosen runs."""
    height, width = runs.shape
    steps = np.zeros(height * runs.stride + 1, np.int8)
    steps[runs.start[chosen]] = 1
    steps[runs.end[chosen]] = -1
    return steps[:-1].cumsum(dtype=np.int8).view(np.bool_).reshape(height, runs.stride)[:, :width]


def cut_out(runs: Runs, mark: Mark) -> Mask:
    """The mask `[height, width]` of one mark in its box."""
    row, left = np.divmod(runs.start[mark.runs], runs.stride)
    start = (row - mark.top) * (mark.width + 1) + left - mark.left
    end = start + (runs.end - runs.start)[mark.runs]
    return paint(Runs(start, end, (mark.height, mark.width)), np.arange(len(start)))


def bounding_box(marks: Sequence[Mark]) -> Box:
    """The box around all of the marks."""
    return (
        min(mark.left for mark in marks),
        min(mark.top for mark in marks),
        max(mark.right for mark in marks),
        max(mark.bottom for mark in marks),
    )


def reaches_inside(mask: Mask) -> bool:
    """Whether any of a mask `[height, width]` lies further in than the zone along the rim."""
    height, width = mask.shape
    y, x = int(RIM_ZONE * height), int(RIM_ZONE * width)
    return bool(mask[y : height - y, x : width - x].any())
