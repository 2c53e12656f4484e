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
    seen, share = _look_around(mark)
    if share < IN_SIGHT:
        return False
    rings = seen[:, FIRST:LAST]
    begins = rings & ~np.roll(rings, 1, axis=0)
    return sum(_are_arms(np.flatnonzero(ring)) for ring in begins.T) >= CIRCLES


def _look_around(mark: Mask) -> tuple[Mask, float]:
    """Which ink is in sight from the middle, bool `[RAYS, RADII]`, and what share of all ink that is.

    Sight reaches through the pixels beside the ink too, since a ray runs along thin arms no better than they were drawn.
    """
    height, width = mark.shape
    ink = np.zeros((height + 2, width + 2), np.bool_)
    ink[1:-1, 1:-1] = mark
    total = np.count_nonzero(mark)
    x = np.count_nonzero(ink, axis=0) @ np.arange(width + 2) / total + 0.5
    y = np.count_nonzero(ink, axis=1) @ np.arange(height + 2) / total + 0.5
    size = (height + width) / 2
    at = (_Y * size + y).astype(np.intp).clip(0, height + 1), (_X * size + x).astype(np.intp).clip(0, width + 1)
    near = ink.copy()
    near[1:] |= ink[:-1]
    near[:-1] |= ink[1:]
    near[:, 1:] |= ink[:, :-1]
    near[:, :-1] |= ink[:, 1:]
    found, clear = ink[at], near[at]
    clear[:, RADII < OPEN] = True
    seen = np.logical_and.accumulate(clear, axis=1) & found
    # Rays lie further apart further out, where each stands for more pixels.
    inside, everywhere = (np.count_nonzero(part, axis=0) @ RADII for part in (seen, found))
    return seen, float(inside / everywhere) if everywhere else 0.0


def _are_arms(begins: NDArray[np.intp]) -> bool:
    """Whether arms that begin at these rays of a circle are enough and stand on all sides."""
    if len(begins) < ARMS:
        return False
    return int(np.diff(np.append(begins, begins[0] + RAYS)).max()) <= APART
