"""Picture -> ink: how dark each pixel is against its paper, and what was noticed on the way."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Below this difference of grey between paper and the darkest ink there is nothing to read.
MIN_CONTRAST = 24


@dataclass(frozen=True)
class Ink:
    """Ink map of one picture.

    `density` is uint8 `[height, width]`: 0 paper, 255 full ink. `noticed` holds what the decision needs to know,
    of `blank`, `low_contrast`, `cut_off`, `multiple_digits` and `line_removed`.
    """

    density: NDArray[np.uint8]
    noticed: frozenset[str]


def find_ink(image: Image.Image) -> Ink:
    """Separate ink from paper in an upright picture of mode "L" or "RGB"."""
    grey = np.asarray(image.convert("L"))
    rim = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    paper = int(np.median(rim))
    dark, light = paper - int(grey.min()), int(grey.max()) - paper
    contrast = max(dark, light)
    if contrast < MIN_CONTRAST:
        return Ink(np.zeros(grey.shape, np.uint8), frozenset({"blank"}))
    signed = grey.astype(np.int16) - paper
    ink = np.clip(signed if light > dark else -signed, 0, None)
    density = np.clip(ink * (255.0 / contrast), 0, 255).astype(np.uint8)
    noticed = {"low_contrast"} if contrast < 2 * MIN_CONTRAST else set()
    return Ink(density, frozenset(noticed))


def threshold_otsu(values: NDArray[Any]) -> int:
    """Threshold that separates two classes of uint8 values best (N. Otsu, 1979)."""
    counts = np.bincount(values.ravel(), minlength=256).astype(np.float64)
    weight = np.cumsum(counts)
    mass = np.cumsum(counts * np.arange(256))
    rest = weight[-1] - weight
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (mass[-1] * weight / weight[-1] - mass) ** 2 / (weight * rest)
    return int(np.nanargmax(between)) if np.isfinite(between).any() else 0
