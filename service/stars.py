"""Stars, as in ***123,45**, with which amounts are filled up so that nobody adds a digit: told by their shape.

From the middle of a star all of its ink is in sight (a star-shaped set of pixels), and circles around the middle cross
five arms or more, on all sides; an x or a + has four, and of a digit much is hidden behind paper.
"""

from collections.abc import Sequence
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from service.marks import Mark, Mask, Runs, cut_out

# Of a mark that may be a star: width over height, pixels of its shorter side, share of its box that is ink.
ASPECT = 0.7, 1.43
MIN_SIDE = 7
DENSITY = 0.15, 0.85
# Rays from the middle, and the circles on which they are looked at, in parts of the mean of width and height.
RAYS = 48
RADII = np.arange(1, 15) * 0.05
# What a pen leaves open near the middle, where strokes do not meet in one point, hides nothing.
OPEN = 0.15
# The least of the ink that is in sight, weighed as the pixels are.
IN_SIGHT = 0.95
# Circles on which arms are counted; arms, on so many of the circles at least; from one arm to the next, in rays.
FIRST, LAST = 6, 10
ARMS, CIRCLES, APART = 5, 2, 14

_RAY_BEFORE = np.arange(-1, RAYS - 1)
_ANGLES = 2 * np.pi * np.arange(RAYS) / RAYS
_X, _Y = np.outer(np.cos(_ANGLES), RADII), np.outer(np.sin(_ANGLES), RADII)


def find_fill(runs: Runs, marks: Sequence[Mark]) -> list[Mark]:
    """The stars among the marks that stand before all others or after them."""
    ordered = sorted(marks, key=lambda mark: mark.left + mark.right)
    before = list(takewhile(lambda mark: _is_star(runs, mark), ordered))
    after = takewhile(lambda mark: _is_star(runs, mark), reversed(ordered[len(before) :]))
    return [*before, *after]


def _is_star(runs: Runs, mark: Mark) -> bool:
    """The cheap looks first, which most digits do not pass."""
    aspect, density = mark.width / mark.height, mark.area / (mark.width * mark.height)
    if not (ASPECT[0] <= aspect <= ASPECT[1] and DENSITY[0] <= density <= DENSITY[1]):
        return False
    return min(mark.width, mark.height) >= MIN_SIDE and is_star(cut_out(runs, mark))


def is_star(mark: Mask) -> bool:
    """Whether a mark bool `[height, width]`, cut out along its ink, has the shape of a star."""
    height, width = mark.shape
    ink = np.zeros((height + 2, width + 2), np.bool_)
    ink[1:-1, 1:-1] = mark
    at = _look_around(ink)
    found = ink[at]
    # Most digits have not as many strokes around their middle, whether in sight or not.
    return _has_arms(found) and _is_in_sight(found, seen := _see(ink, found, at)) and _has_arms(seen)


def _look_around(ink: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the pixels on rays from the middle of all ink, each `[RAYS, RADII]`."""
    height, width = ink.shape
    columns, rows = np.add.reduce(ink, axis=0, dtype=np.intp), np.add.reduce(ink, axis=1, dtype=np.intp)
    total, size = int(rows.sum()), (height + width) / 2 - 2
    x = float(columns @ np.arange(width)) / total + 0.5
    y = float(rows @ np.arange(height)) / total + 0.5
    return (_Y * size + y).astype(np.intp).clip(0, height - 1), (_X * size + x).astype(np.intp).clip(0, width - 1)


def _see(ink: Mask, found: Mask, at: tuple[NDArray[np.intp], NDArray[np.intp]]) -> Mask:
    """Which of the ink that was found on the rays is in sight from the middle.

    Sight reaches through the pixels beside ink too, since a ray runs along thin arms no better than they were drawn.
    """
    near = ink.copy()
    near[1:] |= ink[:-1]
    near[:-1] |= ink[1:]
    near[:, 1:] |= ink[:, :-1]
    near[:, :-1] |= ink[:, 1:]
    clear = near[at]
    clear[:, RADII < OPEN] = True
    return np.asarray(np.logical_and.accumulate(clear, axis=1) & found)


def _is_in_sight(found: Mask, seen: Mask) -> bool:
    """Rays lie further apart further out, where each stands for more pixels."""
    return bool(np.count_nonzero(seen, axis=0) @ RADII >= IN_SIGHT * (np.count_nonzero(found, axis=0) @ RADII))


def _has_arms(rays: Mask) -> bool:
    """Whether circles cross enough arms, on all sides."""
    rings = rays[:, FIRST:LAST]
    begins = rings & ~rings[_RAY_BEFORE]
    many = np.flatnonzero(np.count_nonzero(begins, axis=0) >= ARMS)
    if len(many) < CIRCLES:
        return False
    return sum(_stand_around(np.flatnonzero(begins[:, ring])) for ring in many) >= CIRCLES


def _stand_around(begins: NDArray[np.intp]) -> bool:
    return int(np.diff(np.append(begins, begins[0] + RAYS)).max()) <= APART
