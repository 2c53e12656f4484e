"""Ink -> a 28x28 digit as MNIST would have it.

MNIST's digits were cut from bilevel scans, fitted into 20x20 with their aspect kept and anti-aliased, and placed
with their centre of mass in the middle of 28x28 (LeCun, Bottou, Bengio, Haffner, 1998).
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.ink import Ink
from service.paper import dilate

PREPROCESSING_VERSION = "1"
SIZE = 28
BOX = 20
# Stroke width as part of the digit's longer side. Measured so, half of MNIST lies between 0.105 and 0.147 and nine
# in ten between 0.085 and 0.19; finer pens are brought to the edge of the former, broader ones to that of the latter.
THIN, BOLD = 0.105, 0.19
# Longer side at which strokes are widened or thinned, a pixel at a time.
STROKE_SIDE = 80
# MNIST's centres of mass lie within half a pixel of the middle of this pixel, right of and below the middle of 28.
CENTRE = 14
OFF_CENTRE = 0.55

# Where else a digit may be put: rows down and columns to the right.
_STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1))

_NUMBERS = np.arange(SIZE, dtype=np.float32)


def normalize(ink: Ink) -> NDArray[np.uint8] | None:
    """The digit as uint8 `[28, 28]`, white ink on black; None where there is no ink."""
    if ink.box is None:
        return None
    if ink.density.shape == (SIZE, SIZE) and _is_normal(ink.density, ink.box):
        return ink.density
    left, top, right, bottom = ink.box
    return normalize_crop(ink.density[top:bottom, left:right])


def normalize_crop(density: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The digit as uint8 `[28, 28]` of its ink, cut out along its box."""
    return _centre(_fit(_bring_to_width(density)))


def placed_elsewhere(digit: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A digit uint8 `[28, 28]` put elsewhere, uint8 `[N, 28, 28]`: by a pixel to each side, and with its box in the middle.

    The centre of mass says where MNIST would have put it, but a neighbour's end or a long stroke draws that aside. Ink is
    never pushed out of the picture.
    """
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    ink = digit[top : rows[-1] + 1, left : columns[-1] + 1]
    height, width = ink.shape
    middle = (SIZE - height) // 2, (SIZE - width) // 2
    places = [(top + down, left + right) for down, right in _STEPS] + [middle]
    elsewhere = np.zeros((len(places), SIZE, SIZE), np.uint8)
    for picture, place in zip(elsewhere, places, strict=True):
        y, x = (min(max(edge, 0), SIZE - length) for edge, length in zip(place, ink.shape, strict=True))
        picture[y : y + height, x : x + width] = ink
    return elsewhere


def _is_normal(density: NDArray[np.uint8], box: tuple[int, int, int, int]) -> bool:
    """Whether a picture of MNIST's size has MNIST's geometry already."""
    left, top, right, bottom = box
    if not BOX - 1 <= max(right - left, bottom - top) <= BOX:
        return False
    y, x = _centre_of_mass(density)
    return abs(y - CENTRE) <= OFF_CENTRE and abs(x - CENTRE) <= OFF_CENTRE


def _centre_of_mass(picture: NDArray[np.generic]) -> tuple[float, float]:
    """Row and column of the centre of mass of a picture of whole levels, of at most SIZE rows and columns."""
    # Sums of whole numbers this small are exact in any order, and so the same on every machine.
    levels = picture.astype(np.float32)
    rows, columns = levels.sum(axis=1), levels.sum(axis=0)
    mass = float(rows.sum())
    return float(rows @ _NUMBERS[: len(rows)]) / mass, float(columns @ _NUMBERS[: len(columns)]) / mass


def stroke_width(density: NDArray[np.uint8]) -> float:
    """Mean width of the strokes, in pixels: twice area over perimeter.

    The perimeter of soft-edged ink is the total variation along rows and columns, which exceeds it by 4/pi for
    strokes in all directions.
    """
    height, width = density.shape
    levels = np.zeros((height + 2, width + 2), np.int16)
    levels[1:-1, 1:-1] = density
    variation = np.abs(levels[1:] - levels[:-1]).sum() + np.abs(levels[:, 1:] - levels[:, :-1]).sum()
    return 8 / np.pi * float(levels.sum()) / max(float(variation), 1.0)


def _bring_to_width(digit: NDArray[np.uint8]) -> NDArray[np.uint8]:
    ratio = stroke_width(digit) / max(digit.shape)
    # A step widens by a pixel on both sides.
    widen = round((THIN - ratio) * STROKE_SIDE / 2)
    thin = round((ratio - BOLD) * STROKE_SIDE / 2)
    if widen <= 0 and thin <= 0:
        return digit
    digit = _resize(digit, STROKE_SIDE)
    if widen > 0:
        return dilate(_with_margin(digit, widen), widen)
    return _cut_out(255 - dilate(255 - digit, thin))


def _with_margin(picture: NDArray[np.uint8], margin: int) -> NDArray[np.uint8]:
    height, width = picture.shape
    larger = np.zeros((height + 2 * margin, width + 2 * margin), np.uint8)
    larger[margin : margin + height, margin : margin + width] = picture
    return larger


def _cut_out(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    inked = picture > 127
    rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
    if not len(rows):
        return picture
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _resize(digit: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Longer side brought to `side`: averaging on the way down as MNIST did, smooth on the way up."""
    height, width = digit.shape
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(digit).resize(size, how))


def _fit(digit: NDArray[np.uint8]) -> NDArray[np.float32]:
    fitted = _resize(digit, BOX).astype(np.float32)
    return np.asarray(np.rint(fitted * (255.0 / max(float(fitted.max()), 1.0))), np.float32)


def _centre(fitted: NDArray[np.float32]) -> NDArray[np.uint8]:
    height, width = fitted.shape
    y, x = _centre_of_mass(fitted)
    top = min(max(round(CENTRE - y), 0), SIZE - height)
    left = min(max(round(CENTRE - x), 0), SIZE - width)
    digit = np.zeros((SIZE, SIZE), np.uint8)
    digit[top : top + height, left : left + width] = fitted
    return digit
