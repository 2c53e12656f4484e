"""Picture of a field -> the one line of writing in it: its marks, or what stands in its cells, at a suitable scale.

picture --reduce--> ink --printed cells and lines away--> marks --crop, finer scale--> TextLine
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from service import cells, ink, segments
from service.lines import find_rules
from service.marks import Box, Mask
from service.segments import Marks, Pieces
from service.strip import Strip, make_strip

# Shorter side, in pixels, to which a picture is reduced at least: digits of a field are about half as high. Where
# they are less than FINE_HEIGHT the writing is looked at again at a finer scale, with a margin around it.
WORK_SIDE = 84
FINE_HEIGHT, FINE_MARGIN = 22, 0.4


@dataclass(frozen=True)
class TextLine:
    """The ink of a field and its marks, or its pieces where they stand in printed cells.

    Pixel `(x, y)` of the ink map covers the picture from `offset + scale * (x, y)` on, `scale` pixels wide and high.
    """

    writing: ink.Writing
    found: Marks | Pieces
    scale: int
    offset: tuple[int, int]

    @property
    def height(self) -> float:
        """Of a digit, in pixels of the ink map."""
        return self.found.height

    def strip(self) -> Strip:
        """The line as the column network takes it."""
        return self.strip_at(self.height, self.found.base)

    def strip_at(self, height: float, base: float) -> Strip:
        """The line as it were if digits were so high and stood on that row."""
        boxes = self.found.boxes
        left, right = min(box[0] for box in boxes), max(box[2] for box in boxes)
        kept = np.where(self.found.soft > 0, self.writing.density, np.uint8(0))
        return make_strip(kept, left, right, height, base)


def find_text_line(image: Image.Image) -> TextLine | None:
    """The line of writing in an upright picture of mode "L" or "RGB"; None where there is no ink."""
    scale = -(-min(image.size) // WORK_SIDE)
    found = _look(image, scale)
    if found is None or scale == 1 or found.height >= FINE_HEIGHT:
        return found
    # Cells are found by their frames, so these must stay in view.
    offset, window = ((0, 0), (0, 0, *image.size)) if isinstance(found.found, Pieces) else _around(found, image.size)
    finer = max(1, int(scale * found.height / (2 * FINE_HEIGHT)))
    return _look(image.crop(window), finer, offset) or found


def _look(image: Image.Image, scale: int, offset: tuple[int, int] = (0, 0)) -> TextLine | None:
    printed = _Printed()
    writing = ink.find_writing(image, scale, printed)
    if writing is None:
        return None
    if printed.cells is not None and len(printed.cells.boxes) > 1:
        pieces = segments.pieces_in_cells(writing, printed.cells.boxes)
        if pieces is not None:
            return TextLine(writing, pieces, scale, offset)
    marks = segments.label_marks(writing)
    return None if marks is None else TextLine(writing, marks, scale, offset)


class _Printed:
    """Finds what is printed in a mask of all ink: cells once, then ruled lines."""

    def __init__(self) -> None:
        self.cells: cells.Cells | None = None

    def __call__(self, mask: Mask) -> Mask | None:
        if self.cells is None:
            self.cells = cells.find_cells(mask)
            if self.cells is not None:
                return self.cells.lines
        return find_rules(mask)


def _around(found: TextLine, size: tuple[int, int]) -> tuple[tuple[int, int], Box]:
    """The window around all of the line, with a margin, in pixels of the picture."""
    margin, boxes = FINE_MARGIN * found.height, [*found.found.boxes, *found.found.stars]
    left = max(0, int((min(box[0] for box in boxes) - margin) * found.scale))
    top = max(0, int((min(box[1] for box in boxes) - margin) * found.scale))
    right = min(size[0], int((max(box[2] for box in boxes) + margin) * found.scale))
    bottom = min(size[1], int((max(box[3] for box in boxes) + margin) * found.scale))
    return (left, top), (left, top, right, bottom)
