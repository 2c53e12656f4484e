"""Ink -> a 28x28 digit as MNIST would have it.

MNIST's digits were cut from bilevel scans, fitted into 20x20 with their aspect kept and anti-aliased, and placed
with their centre of mass in the middle of 28x28 (LeCun, Bottou, Bengio, Haffner, 1998).
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.ink import Ink, threshold_otsu

PREPROCESSING_VERSION = "1"
SIZE = 28
BOX = 20


def normalize(ink: Ink) -> NDArray[np.uint8] | None:
    """The digit as uint8 `[28, 28]`, white ink on black; None where there is no ink."""
    if "blank" in ink.noticed:
        return None
    density = ink.density
    mask = density > threshold_otsu(density)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    return _centre(_fit(density[top:bottom, left:right]))


def _fit(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    height, width = crop.shape
    scale = BOX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    resized = Image.fromarray(crop).resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR)
    fitted = np.asarray(resized, dtype=np.float32)
    return fitted * (255.0 / max(float(fitted.max()), 1.0))


def _centre(fitted: NDArray[np.float32]) -> NDArray[np.uint8]:
    height, width = fitted.shape
    mass = float(fitted.sum())
    centre_y = float(fitted.sum(axis=1) @ np.arange(height)) / mass
    centre_x = float(fitted.sum(axis=0) @ np.arange(width)) / mass
    top = min(max(round(SIZE / 2 - 0.5 - centre_y), 0), SIZE - height)
    left = min(max(round(SIZE / 2 - 0.5 - centre_x), 0), SIZE - width)
    digit = np.zeros((SIZE, SIZE), np.uint8)
    digit[top : top + height, left : left + width] = np.rint(fitted)
    return digit
