"""Rows and columns that repeat the picture's outermost ones, as programs that cut out cells fill what lies outside.

What they draw out into streaks, ruling and strokes at the rim, would be taken for ink.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.marks import Box

# Of neighbouring pixels in a row, the most that are equal where paper has grain: clean rows are all alike anyway.
MAX_EQUAL = 0.5
# Rows and columns that must be left.
MIN_LEFT = 8


def find_unpadded(image: Image.Image) -> Box | None:
    """The box of the picture without rows and columns that were repeated at its rim; None where there are none."""
    pixels = np.asarray(image)
    height, width = pixels.shape[:2]
    top, bottom = _count_repeated(pixels), height - _count_repeated(pixels[::-1])
    if bottom - top < MIN_LEFT:
        return None
    across = pixels[top:bottom].swapaxes(0, 1)
    left, right = _count_repeated(across), width - _count_repeated(across[::-1])
    if right - left < MIN_LEFT or (left, top, right, bottom) == (0, 0, width, height):
        return None
    return left, top, right, bottom


def _count_repeated(rows: NDArray[Any]) -> int:
    """How many of the first rows only repeat the row after them."""
    first = rows[0]
    if min(rows.shape[:2]) == 1 or not np.array_equal(first, rows[1]) or np.mean(first[1:] == first[:-1]) > MAX_EQUAL:
        return 0
    same = (rows == first).reshape(len(rows), -1).all(axis=1)
    return len(rows) - 1 if same.all() else int(same.argmin()) - 1
