"""What programs put around a cell: its outermost rows and columns once more, or one level all around.

They fill so what lies outside the page, or bring a cell to a square. Ruling and strokes drawn out into streaks, and
the step from the paper to a level that is not its own, would be taken for ink.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.marks import Box

# Of neighbouring pixels in a row, the most that are equal where paper has grain: clean rows are all alike anyway.
MAX_EQUAL = 0.5
# Of the pixels within one level all around, the most that have it too: on clean paper most do.
MAX_ALIKE = 0.1
# Rows and columns that must be left.
MIN_LEFT = 8


def find_unpadded(pixels: NDArray[Any]) -> Box | None:
    """The box of the picture without rows and columns that were repeated at its rim; None where there are none.

    `pixels` is uint8 `[height, width]` or `[height, width, 3]`.
    """
    height, width = pixels.shape[:2]
    top, bottom = _count_repeated(pixels), height - _count_repeated(pixels[::-1])
    if bottom - top < MIN_LEFT:
        return None
    across = pixels[top:bottom].swapaxes(0, 1)
    left, right = _count_repeated(across), width - _count_repeated(across[::-1])
    if right - left < MIN_LEFT or (left, top, right, bottom) == (0, 0, width, height):
        return None
    return left, top, right, bottom


def find_surrounded(pixels: NDArray[Any]) -> Box | None:
    """The box of a cell that has one level on all its sides; None where there is none, or much of the cell has it.

    `pixels` is uint8 `[height, width]` or `[height, width, 3]`.
    """
    outside = pixels[0, 0]
    if not ((pixels[0] == outside).all() and (pixels[-1] == outside).all()):
        return None
    other = pixels != outside
    if other.ndim == 3:
        other = other.any(axis=2)
    rows, columns = np.flatnonzero(other.any(axis=1)), np.flatnonzero(other.any(axis=0))
    if not len(rows) or np.ptp(rows) < MIN_LEFT or np.ptp(columns) < MIN_LEFT:
        return None
    left, top, right, bottom = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    return (left, top, right, bottom) if 1 - other[top:bottom, left:right].mean() <= MAX_ALIKE else None


def _count_repeated(rows: NDArray[Any]) -> int:
    """How many of the first rows only repeat the row after them."""
    first = rows[0]
    # Of so few pixels the bytes are compared sooner than the arrays.
    if min(rows.shape[:2]) == 1 or first.tobytes() != rows[1].tobytes() or np.mean(first[1:] == first[:-1]) > MAX_EQUAL:
        return 0
    same = (rows == first).reshape(len(rows), -1).all(axis=1)
    return len(rows) - 1 if same.all() else int(same.argmin()) - 1
