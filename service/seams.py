"""Seams: paths from top to bottom of a mark that cross little ink, where it may be cut in two.

They are found by dynamic programming from the top and from the foot to the middle row (as in S. Avidan and A. Shamir,
"Seam carving for content-aware image resizing", 2007), for all marks of a line at once, side by side with walls between.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.marks import Mask

# How far from the border between two digits, as the column network sees it, they are cut at most, and the least
# distance of two cuts; of the height of the writing.
NEAR_BORDER, CUT_APART = 0.2, 0.1
# What a seam pays for a step to the side, in pixels of ink.
SIDESTEP = 0.4
# More ink than any seam crosses.
WALL = 1e6


@dataclass(frozen=True, eq=False)
class Wide:
    """A mark bool `[rows, columns]` that may be several digits.

    `allowed` bool `[columns]` are columns in which a seam may cross its middle row; near the columns `wanted` one
    should, however much ink it crosses.
    """

    ink: Mask
    allowed: NDArray[np.bool_]
    wanted: Sequence[int]


@dataclass(frozen=True, eq=False)
class Seams:
    """The seams of one mark from left to right: their column in each row, intp `[rows, N]`, and the ink they cross."""

    columns: NDArray[np.intp]
    costs: list[float]


def find_seams(marks: Sequence[Wide], height: float, dearest: float) -> list[Seams]:
    """The seams that may cut each of the marks.

    Args:
        marks: at least one.
        height: of the writing.
        dearest: the most ink that a seam crosses where none is wanted.
    """
    cost, lefts = _side_by_side(marks)
    total = _reach(cost)
    starts: list[NDArray[np.intp]] = []
    through: list[list[float]] = []
    for mark, (above, below) in zip(marks, lefts, strict=True):
        width = mark.ink.shape[1]
        ink = total[-1, above : above + width] + total[-1, below : below + width] - mark.ink[len(mark.ink) // 2]
        chosen = np.array(_choose(mark, ink, height, dearest), np.intp)
        starts.append(chosen)
        through.append(ink[chosen].tolist())
    ways = _trace(total, np.concatenate([left + at for at, pair in zip(starts, lefts, strict=True) for left in pair]))
    found: list[Seams] = []
    place = 0
    for mark, pair, costs in zip(marks, lefts, through, strict=True):
        count, middle = len(costs), len(mark.ink) // 2
        upper, lower = ways[:, place : place + count] - pair[0], ways[:, place + count : place + 2 * count] - pair[1]
        found.append(Seams(np.concatenate((upper[middle::-1], lower[1 : len(mark.ink) - middle])), costs))
        place += 2 * count
    return found


def _side_by_side(marks: Sequence[Wide]) -> tuple[NDArray[np.float32], list[tuple[int, int]]]:
    """Upper halves and lower ones, upside down, with their middle rows on the last one; and where each half begins."""
    rows = max(len(mark.ink) for mark in marks) // 2 + 1
    cost = np.zeros((rows, 1 + sum(2 * (mark.ink.shape[1] + 1) for mark in marks)), np.float32)
    lefts: list[tuple[int, int]] = []
    left = 1
    cost[:, 0] = WALL
    for mark in marks:
        middle, width = len(mark.ink) // 2, mark.ink.shape[1]
        lefts.append((left, left + width + 1))
        for half in (mark.ink[: middle + 1], mark.ink[middle:][::-1]):
            cost[rows - len(half) :, left : left + width] = half
            cost[:, left + width] = WALL
            left += width + 1
    return cost, lefts


def _reach(cost: NDArray[np.float32]) -> NDArray[np.float32]:
    """The least ink on the way from the first row to each pixel."""
    total = cost.copy()
    inner = total[:, 1:-1]
    aside = np.empty_like(inner[0])
    for row in range(1, len(total)):
        before = total[row - 1]
        np.minimum(before[:-2], before[2:], out=aside)
        aside += np.float32(SIDESTEP)
        np.minimum(aside, inner[row - 1], out=aside)
        inner[row] += aside
    return total


def _trace(total: NDArray[np.float32], columns: NDArray[np.intp]) -> NDArray[np.intp]:
    """The ways back from the last row to the first, `[rows, paths]`, from the last row on."""
    ways = [columns]
    for before in total[-2::-1]:
        at = ways[-1]
        left, right = before[at - 1], before[at + 1]
        aside = np.minimum(left, right) + np.float32(SIDESTEP) < before[at]
        ways.append(at + aside * np.where(right < left, 1, -1))
    return np.stack(ways)


def _choose(mark: Wide, through: NDArray[np.float32], height: float, dearest: float) -> list[int]:
    """Where seams cross the middle row: where they are wanted, then the cheapest with no other near; left to right."""
    kept = sorted({_cheapest_near(column, through, height) for column in mark.wanted})
    candidates = np.flatnonzero(mark.allowed & (through <= dearest))
    for column in candidates[np.argsort(through[candidates], kind="stable")].tolist():
        if all(abs(column - other) >= CUT_APART * height for other in kept):
            kept.append(column)
    return sorted(kept)


def _cheapest_near(column: int, through: NDArray[np.float32], height: float) -> int:
    """The column not far from another in which a path crosses least ink, the nearer the better."""
    reach = max(1, round(NEAR_BORDER * height))
    first = max(0, column - reach)
    near = through[first : column + reach + 1]
    away = np.abs(np.arange(first, first + len(near)) - column)
    return first + int((near + away * SIDESTEP).argmin())
