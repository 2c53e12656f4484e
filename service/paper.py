"""Picture -> residue: how much darker each pixel is than the paper under it, and how grainy that paper is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Grey = NDArray[np.uint8]

# A grey level and its neighbours up to this far count as one flat paper if they are this share of picture and rim
# (a digit cut out along its box leaves little paper), and if what lies on the other side of them than ink is no more
# than this part of the ink.
FLAT_WITHIN = 10
FLAT_SHARE = 0.35
FLAT_STRAY = 0.1
FLAT_STRAY_SHARE = 0.02
# Paper is most of the picture and of its rim: the share of dark pixels plus this much of their share of the rim,
# beyond the limit, makes dark paper. Half and half would be 0.8; dark ink is by far the more common.
RIM_WEIGHT = 0.6
DARK_PAPER = 1.0
# So near to it two tones of paper may have been taken for paper and ink, and what is narrow decides.
IN_DOUBT = 0.7
SKEW_WEIGHT = 0.4
# Blocks along the longer side on which light is estimated, and how many of them next to each other ink may cover.
LIGHT_BLOCKS = 14
INK_BLOCKS = 5
# Light that varies more than so is evened out; what is darker than MIN_LIGHT is not amplified further.
UNEVEN = 1.2
MIN_LIGHT = 40
# A channel is preferred to plain grey when ink stands out so much more in it.
CLEARER = 1.1

_LEVELS = np.arange(256.0)
_POWERS = np.stack([np.ones(256), _LEVELS])
_SQUARES = _LEVELS**2
_TAILS = np.array([0.02, 0.5, 0.98])
# Half of a bell curve lies within 0.67 standard deviations.
_MEDIAN_TO_DEVIATION = 1.48


class Counts:
    """How many pixels have each of the 256 levels, with sums of them that are asked for again and again."""

    def __init__(self, counts: NDArray[np.intp]) -> None:
        self.counts = counts
        # Of the pixels up to each level: their number and the sum of their levels.
        self.number, self.sum = (counts * _POWERS).cumsum(axis=1)

    def above(self, level: float) -> int:
        """How many pixels are above a level."""
        return int(self.number[-1] - self.number[int(level)])

    def mean_above(self, level: float) -> float:
        """The mean of the pixels above a level; 0 where there are none."""
        level = int(level)
        return float(self.sum[-1] - self.sum[level]) / max(float(self.number[-1] - self.number[level]), 1.0)


@dataclass(frozen=True)
class Residue:
    """How much darker than paper: `levels` uint8 `[height, width]`, their `counts`, and the paper's `grain`.

    The grain is the standard deviation of the paper itself, in grey levels.
    """

    levels: Grey
    counts: Counts
    grain: float

    def put_on(self, size: tuple[int, int], box: tuple[int, int, int, int]) -> "Residue":
        """The same residue on a larger sheet of clean paper of a size, width and height."""
        left, top, right, bottom = box
        sheet = np.zeros((size[1], size[0]), np.uint8)
        sheet[top:bottom, left:right] = self.levels
        return Residue(sheet, count_levels(sheet), self.grain)


def find_residue(image: Image.Image, pixels: NDArray[np.uint8]) -> Residue:
    """Residue of a picture of mode "L" or "RGB", here and as an array, whichever of ink and paper is darker."""
    grey = pixels if image.mode == "L" else best_channel(image)
    counts = np.bincount(grey.ravel(), minlength=256)
    residue = _on_flat_paper(grey, counts)
    if residue is not None:
        return residue
    if _paper_is_dark(grey, Counts(counts)):
        grey = 255 - grey
    return _under_uneven_light(grey)


def count_levels(grey: NDArray[Any]) -> Counts:
    """How many pixels of a picture have each of the levels 0 to 255."""
    return Counts(np.bincount(grey.ravel(), minlength=256))


def best_channel(image: Image.Image) -> Grey:
    """A colour picture as grey `[height, width]`: of red, green and blue the one in which ink and paper differ most.

    Blue ink is darkest in red, red ink in green and blue. Grey of all three has less noise and is taken where no
    channel is clearly better.
    """
    channels = image.split()
    spans = [_span(channel) for channel in channels]
    clearest = spans.index(max(spans))
    grey = image.convert("L")
    return np.asarray(channels[clearest] if spans[clearest] > CLEARER * _span(grey) else grey)


def _span(channel: Image.Image) -> int:
    """Grey levels between the middle of the pixels and the furthest two in a hundred."""
    below = np.cumsum(channel.histogram())
    low, middle, high = np.searchsorted(below, below[-1] * _TAILS)
    return int(max(middle - low, high - middle))


def _on_flat_paper(grey: Grey, counts: NDArray[np.intp]) -> Residue | None:
    """Residue on paper of one grey level (a scan, a drawing), or None where light or paper vary."""
    paper = int(counts.argmax())
    low, high = max(0, paper - FLAT_WITHIN), paper + FLAT_WITHIN + 1
    darker, lighter = int(counts[:low].sum()), int(counts[high:].sum())
    if darker + lighter > (1 - FLAT_SHARE) * grey.size or min(darker, lighter) > max(
        FLAT_STRAY * max(darker, lighter), FLAT_STRAY_SHARE * grey.size
    ):
        return None
    edge = rim(grey)
    if np.count_nonzero((edge >= low) & (edge < high)) < FLAT_SHARE * len(edge):
        return None
    if lighter > darker:
        grey, counts, paper = 255 - grey, counts[::-1], 255 - paper
    levels = paper - np.minimum(grey, paper)
    of_levels = np.zeros(256, np.intp)
    of_levels[: paper + 1] = counts[paper::-1]
    lighter_side = counts[paper : paper + 4 * FLAT_WITHIN].cumsum()
    of_levels[0] += int(counts[paper + 1 :].sum())
    grain = _MEDIAN_TO_DEVIATION * int(lighter_side.searchsorted(0.5 * lighter_side[-1]))
    return Residue(levels, Counts(of_levels), grain)


def rim(grey: Grey) -> Grey:
    """The outermost pixels."""
    return np.concatenate((grey[0], grey[-1], grey[:, 0], grey[:, -1]))


def _paper_is_dark(grey: Grey, counts: Counts) -> bool:
    threshold, _ = threshold_otsu(counts)
    edge = rim(grey)
    dark, dark_edge = float(counts.number[threshold]) / grey.size, int(np.count_nonzero(edge <= threshold)) / len(edge)
    darkness = dark + RIM_WEIGHT * dark_edge - DARK_PAPER
    if abs(darkness) > IN_DOUBT:
        return darkness > 0
    return darkness + SKEW_WEIGHT * _skewness(grey) > 0


def _skewness(grey: Grey) -> float:
    """Skewness of the differences to the surroundings: below 0 where what is narrow is dark."""
    surroundings = Image.fromarray(grey).filter(ImageFilter.BoxBlur(max(grey.shape) / 8))
    difference = grey - np.asarray(surroundings, np.float64)
    spread = float(np.mean(difference**2))
    return float(np.mean(difference**3)) / max(float(np.sqrt(spread**3)), 1.0)


def _under_uneven_light(grey: Grey) -> Residue:
    light = _light(grey)
    signed = light.astype(np.int16) - grey
    brightest = int(light.max())
    if brightest > UNEVEN * int(light.min()):
        signed = (signed * (max(brightest, MIN_LIGHT) / np.maximum(light, MIN_LIGHT))).astype(np.int16)
    # The commonest residue, five levels taken together, is the paper's; the lighter side of it is grain alone.
    counts = np.bincount((_clip(signed, -20, 235) + 20).ravel(), minlength=256)
    below = counts.cumsum()
    mode = int((below[5:] - below[:-5])[:150].argmax()) + 3
    lighter_side = below[: mode + 1]
    grain = _MEDIAN_TO_DEVIATION * (mode - int(lighter_side.searchsorted(0.5 * lighter_side[-1])))
    levels = _clip(signed - (mode - 20), 0, 255).astype(np.uint8)
    if counts[-1]:  # among them may be some that are even darker
        return Residue(levels, count_levels(levels), grain)
    of_levels = np.zeros(256, np.intp)
    of_levels[: 256 - mode] = counts[mode:]
    of_levels[0] = below[mode]
    return Residue(levels, Counts(of_levels), grain)


def _clip(values: NDArray[Any], low: int, high: int) -> NDArray[Any]:
    """As `numpy.clip`, which takes as long for its own as for so few values."""
    clipped: NDArray[Any] = np.minimum(np.maximum(values, low), high)
    return clipped


def _light(grey: Grey) -> Grey:
    """The paper's grey at every pixel: a closing by blocks, which fills what is dark and narrow."""
    height, width = grey.shape
    block = max(1, -(-max(height, width) // LIGHT_BLOCKS))
    rows, columns = -(-height // block), -(-width // block)
    whole = np.empty((rows * block, columns * block), np.uint8)
    whole[:height, :width] = grey
    whole[height:, :width] = grey[-1]
    whole[:, width:] = whole[:, width - 1 : width]
    lightest = whole.reshape(rows, block, -1).max(axis=1).reshape(rows, columns, block).max(axis=2)
    closed = 255 - dilate(255 - dilate(lightest, INK_BLOCKS // 2), INK_BLOCKS // 2)
    smooth = Image.fromarray(closed).resize((columns * block, rows * block), Image.Resampling.BILINEAR)
    return np.asarray(smooth)[:height, :width]


def dilate(picture: NDArray[Any], pixels: int) -> NDArray[Any]:
    """Maximum over the square around every pixel that reaches so many pixels in each direction.

    Found by doubling: of two neighbours, of four and so on, down and then across.
    """
    height, width = picture.shape
    # What lies outside is as low as can be, and never the maximum.
    highest = np.zeros((height + 2 * pixels, width + 2 * pixels), picture.dtype)
    highest[pixels : pixels + height, pixels : pixels + width] = picture
    reach, full = 1, 2 * pixels + 1
    while reach < full:
        step = min(reach, full - reach)
        highest = np.maximum(highest[:-step], highest[step:])
        highest = np.maximum(highest[:, :-step], highest[:, step:])
        reach += step
    return highest


def threshold_otsu(counts: Counts) -> tuple[int, float]:
    """Threshold between two classes of levels, and how separable they are, 0 to 1 (N. Otsu, 1979)."""
    number, total, whole = counts.number, float(counts.number[-1]), float(counts.sum[-1])
    difference = whole * number - total * counts.sum
    between = difference * difference / np.maximum(number * (total - number), 1.0)
    first = int(between.argmax())
    # Levels that do not occur leave the measure flat: the middle between the classes is the safest place.
    last = 255 - int(between[::-1].argmax())
    variance = float(counts.counts @ _SQUARES) * total - whole * whole
    return (first + last) // 2, float(between[first]) / max(variance, 1.0)
