"""Picture -> ink: how dark each pixel is against its paper, with light, ruling and specks taken away.

    picture --reduce--> small picture --paper--> residue --lines--> writing --focus--> the digit's ink

Work happens at a reduced size: a digit ends as 20 pixels, so some 100 carry all that is needed of it. A digit that
is small in a large picture is found first and then looked at again at a size that suits it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from service.cuts import is_cut_off
from service.focus import MIN_AREA, Digit, find_digit
from service.lines import INSIDE, find_frame, find_lines, find_rules
from service.marks import Box, Mask
from service.padding import find_surrounded, find_unpadded
from service.paper import Counts, Grey, Residue, count_levels, dilate, find_residue, rim, threshold_otsu

# Longer side, in pixels, to which a picture is reduced at least before it is searched for ink.
WORK_SIDE = 112
# A digit smaller than this is looked at again at a finer scale, where the picture has one, with a margin around it.
FINE_SIDE = 40
FINE_MARGIN = 0.35
# MNIST's own size: a picture of it on spotless paper is taken as it is.
TINY = (28, 28)
FULL_INK = 215
MAX_TINY_RIM = 16
# Grey levels between paper and ink below which nothing is called ink (what remains is stains and folds), below
# which a digit is called faint, and below which it is none unless it is this part of the longer side.
MIN_CONTRAST = 12
LOW_CONTRAST = 30
CLEAR_CONTRAST = 40
MIN_PALE_SIZE = 0.15
# Ink stands this many standard deviations of the grain above the paper, unless the two fall apart so clearly
# (Otsu's separability; 0.64 for a single bell curve) that a patterned paper must have been taken for grain.
GRAIN_FACTOR = 3.5
SEPARABLE = 0.7
# Paper may be grainy and patterned, but not beyond this: what is, is something else, and never called blank.
MAX_GRAIN = 30
# Paper is smoothed where its grain exceeds this part of Otsu's threshold, or where more pixels than this part of
# the ink's lie between a third of it and it: strokes' edges are fewer.
MAX_SHARP_GRAIN = 0.12
MAX_BETWEEN = 1.0
SMOOTH = ImageFilter.GaussianBlur(1.0)
# Where strokes are cut out: at this part of Otsu's threshold, since thin ones are paler than the mean of ink, but
# not below this part of the darkest ink, since dark pattern on the paper is paler than any.
STROKE_LEVEL = 0.95
CORE_LEVEL = 0.4
# How much higher the cut is where only firm ink is looked for, and of the ink's mean level how high at most.
FIRM, FIRM_END = 1.25, 0.9
# Density rises from none to full between this part of the cut and this part of the ink's mean level.
RAMP_START, RAMP_END = 0.6, 1.0
# Grey levels between paper and the darkest shadow on it; what is darker and fades slowly is an enlarged picture.
DARKEST_SHADOW = 110
# From its outermost pixels to the second ones beyond, ink falls off by this part of its level, a shadow by less.
SHARPNESS = 0.35
# Lines may hide fainter ones, so they are looked for again, but not for ever.
MAX_PASSES = 4
# Of the strokes' mean level, the level from which on it is their inside and not their edge.
FULL_LEVEL = 0.8
# A single digit is not wider than this part of its height; what is may be two.
MAX_ASPECT = 1.1

_LEVELS = np.arange(256)
_NOTHING: frozenset[str] = frozenset()
_FAINT = frozenset({"low_contrast"})


@dataclass(frozen=True)
class Look:
    """How a picture is looked at. What rules decide at first sight may be decided otherwise at the second."""

    other_sharpness: bool = False  # paper is smoothed where the rules would not, and not where they would
    cut_neighbours: bool = True
    firm: bool = False  # fewer are taken for strokes, and parts that lie at the rim for a neighbour's


FIRST_LOOK = Look()
OTHER_LOOKS = (
    Look(cut_neighbours=False),
    Look(other_sharpness=True),
    Look(firm=True),
    Look(firm=True, other_sharpness=True),
)


@dataclass(frozen=True)
class Ink:
    """Ink map of one picture.

    `density` is uint8 `[height, width]`: 0 paper, 255 full ink. `noticed` holds what the decision needs to know,
    of `blank`, `low_contrast`, `cut_off`, `multiple_digits` and `line_removed`. `box` is that of the digit in the
    map, None where there is no ink. Pixel `(x, y)` of the map covers the picture from `offset + scale * (x, y)` on,
    `scale` picture pixels wide and high.
    """

    density: Grey
    noticed: frozenset[str]
    box: Box | None = None
    scale: int = 1
    offset: tuple[int, int] = (0, 0)


def find_ink(image: Image.Image, look: Look = FIRST_LOOK) -> Ink:
    """The ink of the one digit in an upright picture of mode "L" or "RGB"."""
    if image.size == TINY:
        tiny = _on_spotless_paper(image)
        if tiny is not None:
            return tiny
    # Made once: taking a small picture out of Pillow costs as much as looking through it.
    pixels = np.asarray(image)
    unpadded = find_unpadded(pixels)
    if unpadded is not None:
        inner = find_ink(image.crop(unpadded), look)
        return replace(inner, offset=(inner.offset[0] + unpadded[0], inner.offset[1] + unpadded[1]))
    ink = _look(image, pixels, look)
    if ink.box is None or ink.scale == 1 or _longer(ink.box) >= FINE_SIDE:
        return ink
    left, top, right, bottom = _around(ink.box, ink.scale, image.size)
    fine = _look(image.crop((left, top, right, bottom)), pixels[top:bottom, left:right], look)
    if fine.box is None:
        return ink
    return replace(fine, noticed=(fine.noticed - {"cut_off"}) | ink.noticed, offset=(left, top))


def _on_spotless_paper(image: Image.Image) -> Ink | None:
    """Ink of a picture whose rim is black or white, but for a stroke's end: only drawn and normalised ones are."""
    grey = image if image.mode == "L" else image.convert("L")
    paper = grey.getpixel((0, 0))
    if paper == 255:
        grey = ImageChops.invert(grey)
    elif paper != 0:
        return None
    density = np.asarray(grey)
    if np.count_nonzero(rim(density)) > MAX_TINY_RIM:
        return None
    darkest = int(density.max())
    if darkest < MIN_CONTRAST:
        return Ink(density, frozenset({"blank"}))
    if darkest < FULL_INK:
        density = (density * (255 / darkest)).astype(np.uint8)
    return Ink(density, _FAINT if darkest < LOW_CONTRAST else _NOTHING, grey.getbbox())


def _profile(mask: Mask) -> tuple[Box, bool]:
    """The box around all of a mask that is not empty, and whether every row and column of the box holds some."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top, right, bottom = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    return (left, top, right, bottom), len(rows) == bottom - top and len(columns) == right - left


def _longer(box: Box) -> int:
    return max(box[2] - box[0], box[3] - box[1])


def _around(box: Box, scale: int, size: tuple[int, int]) -> Box:
    """The box with a margin, in pixels of the picture."""
    margin = FINE_MARGIN * _longer(box) + 2
    left, top = (max(0, int((edge - margin) * scale)) for edge in box[:2])
    right, bottom = (min(end, int((edge + margin) * scale)) for edge, end in zip(box[2:], size, strict=True))
    return left, top, right, bottom


def _look(image: Image.Image, pixels: NDArray[np.uint8], look: Look) -> Ink:
    """The ink of the digit, at the scale at which the longer side is at most WORK_SIDE; `pixels` are the picture's."""
    scale = -(-max(image.size) // WORK_SIDE)
    if scale > 1:
        image = image.reduce(scale)
        pixels = np.asarray(image)
    cell = find_surrounded(pixels)
    if cell is None:
        ink = _find_digit_ink(*_residue_and_threshold(image, pixels, look), look)
        return ink if scale == 1 else replace(ink, scale=scale)
    left, top, right, bottom = cell
    residue, threshold = _residue_and_threshold(image.crop(cell), pixels[top:bottom, left:right], look)
    return replace(_in_surround(residue, threshold, image.size, cell, look), scale=scale)


def _residue_and_threshold(
    paper: Image.Image, pixels: NDArray[np.uint8], look: Look = FIRST_LOOK
) -> tuple[Residue, float | None]:
    """The residue, and the level beyond which it is ink; None where all of it is paper."""
    residue = find_residue(paper, pixels)
    otsu = threshold_otsu(residue.counts)
    if _is_cluttered(residue, otsu[0]) != look.other_sharpness:
        smooth = paper.filter(SMOOTH)
        residue = find_residue(smooth, np.asarray(smooth))
        otsu = threshold_otsu(residue.counts)
    return residue, _ink_threshold(residue, *otsu)


def _in_surround(residue: Residue, threshold: float | None, size: tuple[int, int], cell: Box, look: Look) -> Ink:
    """The ink of the digit in a cell with something put around it.

    Strokes along the cell's rim are no lines, since whoever put something there cut the cell out along its writing;
    what comes in from beyond the rim is a neighbour all the same.
    """
    left, top, right, bottom = cell
    sheet, threshold, noticed = _without_lines(residue.put_on(size, cell), threshold)
    levels = sheet.levels[top:bottom, left:right]
    within = Residue(levels, count_levels(levels), residue.grain)
    ink = _blank(within, noticed) if threshold is None else _among_others(within, threshold, noticed, look)
    density = np.zeros_like(sheet.levels)
    density[top:bottom, left:right] = ink.density
    box = ink.box and (ink.box[0] + left, ink.box[1] + top, ink.box[2] + left, ink.box[3] + top)
    return Ink(density, ink.noticed - {"cut_off"}, box)


@dataclass(frozen=True)
class Writing:
    """All ink of a picture: `density` as in `Ink`, `mask` bool of the same shape where strokes are, and their level.

    `level` is how much darker than the paper the strokes are on average, in grey levels.
    """

    density: Grey
    mask: Mask
    level: float


def find_writing(image: Image.Image, scale: int, find: Callable[[Mask], Mask | None] = find_rules) -> Writing | None:
    """All ink of an upright picture of mode "L" or "RGB", looked at `scale` times smaller; None where there is none.

    What `find` finds in a mask of all ink is printed and taken away: by default lines that run level through it.
    """
    if scale > 1:
        image = image.reduce(scale)
    residue, threshold = _residue_and_threshold(image, np.asarray(image))
    while threshold is not None and (printed := find(residue.levels > threshold)) is not None:
        residue, threshold = _without(residue, printed, threshold)
    if threshold is None:
        return None
    cut = _stroke_threshold(residue.counts, threshold)
    mask = residue.levels > cut
    level = float(residue.levels[mask].mean())
    return Writing(_ramp(cut, level).take(residue.levels), mask, level)


def _is_cluttered(residue: Residue, threshold: int) -> bool:
    """Whether grain and pattern of the paper are so much that they would grow together with strokes."""
    if residue.grain > MAX_SHARP_GRAIN * threshold:
        return True
    beyond = residue.counts.above(threshold)
    return residue.counts.above(max(threshold // 3 - 1, 0)) - beyond > MAX_BETWEEN * beyond


def _find_digit_ink(residue: Residue, threshold: float | None, look: Look) -> Ink:
    """The ink of the digit, by the shortest way: one mark alone, one in a frame, or one among lines and others."""
    noticed: frozenset[str] = frozenset()
    ink = _single(residue, threshold, noticed, look)
    if ink is not None:
        return ink
    if threshold is not None and (frame := find_frame(residue.levels > threshold)) is not None:
        noticed = frozenset({"line_removed"})
        residue, threshold = _without(residue, frame, threshold)
        ink = _single(residue, threshold, noticed, look)
        if ink is not None:
            return ink
    residue, threshold, removed = _without_lines(residue, threshold)
    noticed |= removed
    return _blank(residue, noticed) if threshold is None else _among_others(residue, threshold, noticed, look)


def _without_lines(residue: Residue, threshold: float | None) -> tuple[Residue, float | None, frozenset[str]]:
    noticed = _NOTHING
    for _ in range(MAX_PASSES):
        if threshold is None or (lines := find_lines(residue.levels > threshold)) is None:
            break
        noticed = frozenset({"line_removed"})
        residue, threshold = _without(residue, lines, threshold)
    return residue, threshold, noticed


def _blank(residue: Residue, noticed: frozenset[str]) -> Ink:
    return Ink(np.zeros_like(residue.levels), noticed | {"blank"})


def _among_others(residue: Residue, threshold: float, noticed: frozenset[str], look: Look) -> Ink:
    """The ink of the digit among neighbours, specks and shadows."""
    cut = _stroke_threshold(residue.counts, threshold, look)
    mask, framed = residue.levels > cut, "line_removed" in noticed
    digit = find_digit(mask, framed=framed, cut=look.cut_neighbours, rim=not look.firm)
    if digit is None:
        return _blank(residue, noticed)
    level = float(residue.levels[digit.mask].mean())
    small = _longer(digit.box) < MIN_PALE_SIZE * max(digit.mask.shape)
    if (small and level < CLEAR_CONTRAST) or _is_shadow(residue, digit, level):
        return _blank(residue, noticed)
    noticed |= digit.noticed | ({"low_contrast"} if level < LOW_CONTRAST else set())
    if is_cut_off(digit.mask, digit.mask & (residue.levels > FULL_LEVEL * level)):
        noticed |= {"cut_off"}
    return Ink(_ramp(cut, level).take(residue.levels * dilate(digit.mask, 1)), noticed, digit.box)


def _single(residue: Residue, threshold: float | None, noticed: frozenset[str], look: Look) -> Ink | None:
    """The ink of most cells: one mark away from the rim, so there are no lines, neighbours or specks."""
    if threshold is None:
        return None
    cut = _stroke_threshold(residue.counts, threshold, look)
    height, width = residue.levels.shape
    x, y = INSIDE * width + 1, INSIDE * height + 1
    # Frames are told by their upper edge, before anything is looked for.
    if residue.levels[: math.ceil(y)].max() > cut:
        return None
    box, whole = _profile(residue.levels > cut)
    left, top, right, bottom = box
    if not whole or left < x or right > width - x or bottom > height - y:
        return None
    if right - left > MAX_ASPECT * (bottom - top) or bottom - top < MIN_PALE_SIZE * max(height, width):
        return None
    level = residue.counts.mean_above(cut)
    return Ink(_ramp(cut, level).take(residue.levels), noticed, box) if level >= CLEAR_CONTRAST else None


def _ink_threshold(residue: Residue, otsu: int, separability: float) -> float | None:
    """The level of residue beyond which it is ink; None where all of it is paper."""
    threshold = float(max(otsu, MIN_CONTRAST))
    if residue.grain <= MAX_GRAIN and separability <= SEPARABLE:
        threshold = max(threshold, GRAIN_FACTOR * residue.grain)
    return threshold if residue.counts.above(threshold) >= MIN_AREA else None


def _stroke_threshold(counts: Counts, threshold: float, look: Look = FIRST_LOOK) -> float:
    """The level at which strokes are cut out, given the threshold between paper and ink."""
    mean = counts.mean_above(threshold)
    cut = max(STROKE_LEVEL * threshold, CORE_LEVEL * counts.mean_above(mean))
    return max(cut, min(FIRM * cut, FIRM_END * mean)) if look.firm else cut


def _without(residue: Residue, lines: Mask, threshold: float) -> tuple[Residue, float | None]:
    """The residue without lines and the soft edges that they leave behind, and its threshold."""
    levels = residue.levels * ~(lines | (dilate(lines, 2) & (residue.levels <= threshold)))
    rest = Residue(levels, count_levels(levels), residue.grain)
    return rest, _ink_threshold(rest, *threshold_otsu(rest.counts))


def _is_shadow(writing: Residue, digit: Digit, level: float) -> bool:
    """Whether what lies at the rim fades as slowly into the paper as shadows do and no stroke does."""
    left, top, right, bottom = digit.box
    if level > DARKEST_SHADOW:
        return False
    if left > 0 and top > 0 and right < digit.mask.shape[1] and bottom < digit.mask.shape[0]:
        return False
    edge = digit.mask & dilate(~digit.mask, 1)
    near = dilate(digit.mask, 1)
    beyond = dilate(near, 1) & ~near
    if not edge.any() or not beyond.any():
        return False
    return float(writing.levels[edge].mean()) - float(writing.levels[beyond].mean()) < SHARPNESS * level


def _ramp(cut: float, level: float) -> Grey:
    """Table from residue to density: soft edges stay soft, ink is full ink however faint."""
    start, end = RAMP_START * cut, max(RAMP_END * level, cut + 1)
    ramp = (_LEVELS - start) * (255 / (end - start))
    return np.asarray(np.minimum(np.maximum(ramp, 0), 255), np.uint8)
