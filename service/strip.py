"""A line of writing as the column network takes it: digits of one height on one line, white ink on black.

marks --those of the number--> crop --height to DIGIT pixels, feet on one row--> strip uint8 [32, width]
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Height of the strip, and in it that of a digit and the row that digits stand on.
HEIGHT, DIGIT, FEET = 32, 22, 27
# Paper left and right of the writing, in pixels of the strip.
MARGIN = 8
# Pixels of the strip that share one answer of the network; the width of a strip is a multiple of STEP.
STRIDE, STEP = 2, 16
# Digits in a line of a field are hundreds of pixels apart at most.
MAX_WIDTH = 2048


@dataclass(frozen=True)
class Strip:
    """`pixels` uint8 `[32, width]`; a column `x` of the ink map lies at `(x - left) * scale` of it."""

    pixels: NDArray[np.uint8]
    left: float
    scale: float

    def frame_of(self, x: float) -> float:
        """The frame, of STRIDE columns each, that a column of the ink map lies in; a fraction within it."""
        return (x - self.left) * self.scale / STRIDE

    def column_of(self, frame: NDArray[np.float64]) -> NDArray[np.float64]:
        """The columns of the ink map that frames, or fractions of them, lie in."""
        return frame * STRIDE / self.scale + self.left


def make_strip(ink: NDArray[np.uint8], left: int, right: int, height: float, base: float) -> Strip:
    """The strip of the ink between two columns.

    Args:
        ink: uint8 `[rows, columns]`, 0 paper and 255 ink, of nothing but the number's marks.
        left: first column of the writing.
        right: the one after its last.
        height: of a digit, in pixels of the ink.
        base: the row digits stand on.
    """
    scale = min(DIGIT / height, MAX_WIDTH / (right - left + 2 * MARGIN * height / DIGIT))
    width = -(-round((right - left) * scale + 2 * MARGIN) // STEP) * STEP
    first, top = left - MARGIN / scale, base - FEET / scale
    window = first, top, first + width / scale, top + HEIGHT / scale
    before = max(0, int(-window[0]) + 1), max(0, int(-window[1]) + 1)
    after = max(0, int(window[2]) + 1 - ink.shape[1]), max(0, int(window[3]) + 1 - ink.shape[0])
    canvas = np.pad(ink, ((before[1], after[1]), (before[0], after[0])))
    box = window[0] + before[0], window[1] + before[1], window[2] + before[0], window[3] + before[1]
    how = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    pixels = np.asarray(Image.fromarray(canvas).resize((width, HEIGHT), how, box))
    return Strip(pixels, first, scale)
