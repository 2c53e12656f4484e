"""What forms, pens and scanners do to a digit in MNIST's geometry; whole batches, cheap enough to redo every epoch.

    uint8 [N, 28, 28] --bend: one interpolation--> --thicken or thin--> --at most one effect--> uint8 [N, 28, 28]

Affine and elastic distortion are composed into one map and the picture is read once: each interpolation more
would blur it more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
Generator = np.random.Generator

_SIZE = 28
_MIDDLE = (_SIZE - 1) / 2
_CHUNK = 2048  # images whose maps are held at once, 25 MB


@dataclass(frozen=True)
class Augmentation:
    """How much of what. Angles in degrees, shifts in pixels, scales as the logarithm's bound."""

    rotation: float = 12.0
    scale: float = 0.12
    shear: float = 0.2
    shift: float = 1.5
    elastic: float = 0.9  # standard deviation of the displacement, upper bound
    wide: float = 0.15  # share bent about twice as far, and shrunk to as little as 60 %
    weight: float = 0.3  # share of strokes made thicker or thinner
    effect: float = 0.4  # share with one of EFFECTS


STANDARD = Augmentation()
# For the last epochs: what remains is close to the digits themselves.
GENTLE = Augmentation(rotation=8, scale=0.08, shear=0.12, shift=1.0, elastic=0.5, wide=0.08, weight=0.2, effect=0.3)


def augment(images: Images, rng: Generator, how: Augmentation = STANDARD) -> Images:
    """Every image changed in its own way, uint8 `[N, 28, 28]`."""
    bent = np.concatenate([_bend(images[start : start + _CHUNK], rng, how) for start in range(0, len(images), _CHUNK)])
    weighed = rng.random(len(bent)) < how.weight
    bent[weighed] = change_weight(bent[weighed], rng)
    return _apply_effects(bent, rng, how.effect)


# --- geometry ---------------------------------------------------------------------------------------------------------


def _bend(images: Images, rng: Generator, how: Augmentation) -> Images:
    maps = _affine_maps(len(images), rng, how) + _elastic_maps(len(images), rng, how.elastic)
    bent = np.empty_like(images)
    for index, image in enumerate(images):
        # Cubic keeps edges as sharp as they were; bilinear would teach a blurred MNIST.
        bent[index] = cv2.remap(image, maps[index, 0], maps[index, 1], cv2.INTER_CUBIC)
    return bent


def _affine_maps(count: int, rng: Generator, how: Augmentation) -> Floats:
    """Where each pixel is read from, x and y, `[count, 2, 28, 28]`."""
    far = np.where(rng.random(count) < how.wide, 2.0, 1.0)
    angle = np.radians(rng.uniform(-how.rotation, how.rotation, count) * far)
    shear = rng.uniform(-how.shear, how.shear, count) * far
    # One scale for both axes, and a little for each; shrinking reads from further out.
    zoom = rng.uniform(-how.scale / 2, how.scale / 2, (2, count)) + rng.uniform(-how.scale, how.scale, count) / 2
    zoom = np.exp(zoom + np.where(far > 1, rng.uniform(-0.1, 0.5, count), 0))
    cosine, sine = np.cos(angle), np.sin(angle)
    linear = np.array(
        [[cosine * zoom[0], (cosine * shear - sine) * zoom[0]], [sine * zoom[1], (sine * shear + cosine) * zoom[1]]]
    )
    shift = rng.uniform(-how.shift, how.shift, (2, count)) * far
    rows, columns = np.indices((_SIZE, _SIZE)) - _MIDDLE
    maps = np.einsum("ijn,jhw->nihw", linear, np.stack([columns, rows])) + shift.T[:, :, None, None] + _MIDDLE
    return np.asarray(maps, np.float32)


def _elastic_maps(count: int, rng: Generator, deviation: float) -> Floats:
    """Smooth displacements `[count, 2, 28, 28]` in pixels: cubic B-splines over a grid of 5x5.

    Twice differentiable and at most a quarter of the grid's spacing apart, so strokes bend and never tear.
    """
    amount = rng.uniform(0, deviation, (count, 1, 1, 1))
    # A B-spline averages its neighbours: 1.6 brings the displacement back to the deviation asked for.
    nodes = (rng.standard_normal((count, 2, 5, 5)) * amount * 1.6).astype(np.float32)
    return np.asarray(np.einsum("hi,ncij,wj->nchw", _BASIS, nodes, _BASIS, optimize=True), np.float32)


def _b_spline_basis() -> Floats:
    """Value of each of five cubic B-splines at each of 28 pixels, `[28, 5]`."""
    distance = np.abs(np.arange(_SIZE)[:, None] / (_SIZE - 1) * 4 - np.arange(5))
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - np.minimum(distance, 2)) ** 3 / 6
    return np.asarray(np.where(distance < 1, near, far), np.float32)


_BASIS = _b_spline_basis()


# --- strokes ----------------------------------------------------------------------------------------------------------


def change_weight(images: Images, rng: Generator) -> Images:
    """Strokes thicker or thinner by up to a pixel; those that would vanish only get thicker."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    cross = [padded[:, 1 + y : 29 + y, 1 + x : 29 + x] for y, x in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))]
    thick, thin = np.stack(cross).max(axis=0), np.stack(cross).min(axis=0)
    bold = images.sum(axis=(1, 2)) * 0.35 < thin.sum(axis=(1, 2))
    target = np.where((bold & (rng.random(len(images)) < 0.5))[:, None, None], thin, thick)
    part = rng.uniform(0.2, 1, (len(images), 1, 1)).astype(np.float32)
    return np.asarray(images + part * (target.astype(np.float32) - images), np.uint8)


# --- effects: float32 [N, 28, 28], 0..255, changed and returned -------------------------------------------------------


def _apply_effects(images: Images, rng: Generator, share: float) -> Images:
    names = list(EFFECTS)
    weights = np.array([EFFECTS[name][0] for name in names])
    chosen = rng.choice(len(names), len(images), p=weights / weights.sum())
    chosen[rng.random(len(images)) >= share] = -1
    for index, name in enumerate(names):
        some = np.flatnonzero(chosen == index)
        if len(some):
            changed = EFFECTS[name][1](images[some].astype(np.float32), rng)
            images[some] = np.rint(np.clip(changed, 0, 255)).astype(np.uint8)
    return images


def _each(images: Any, rng: Generator, low: float, high: float) -> Floats:
    """A number for each image, `[N, 1, 1]`."""
    return rng.uniform(low, high, (len(images), 1, 1)).astype(np.float32)


def add_noise(images: Floats, rng: Generator) -> Floats:
    """Gaussian noise on paper and ink alike."""
    return images + 255 * _each(images, rng, 0.05, 0.35) * rng.standard_normal(images.shape, np.float32)


def add_grain(images: Floats, rng: Generator) -> Floats:
    """Noise in the ink alone: pencil, rough paper."""
    return images * (1 + _each(images, rng, 0.1, 0.8) * rng.standard_normal(images.shape, np.float32))


def add_specks(images: Floats, rng: Generator) -> Floats:
    """Single pixels black or white."""
    struck = rng.random(images.shape, np.float32) < _each(images, rng, 0.01, 0.2)
    return np.where(struck, 255.0 * (rng.random(images.shape, np.float32) < 0.5), images).astype(np.float32)


def blur(images: Floats, rng: Generator) -> Floats:
    """Out of focus, or moved along a line."""
    for image, sigma, trail in zip(
        images, rng.uniform(0.4, 1.4, len(images)), rng.random(len(images)) < 0.4, strict=True
    ):
        if trail:
            cv2.filter2D(image, -1, _trail(rng), image, borderType=cv2.BORDER_REPLICATE)
        else:
            cv2.GaussianBlur(image, (0, 0), sigma, image)
    return images


def _trail(rng: Generator) -> Floats:
    kernel = np.zeros((13, 13), np.float32)
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(2, 6)
    cv2.line(kernel, (6, 6), (round(6 + length * np.cos(angle)), round(6 + length * np.sin(angle))), 1.0)
    return np.asarray(kernel / kernel.sum(), np.float32)


def fade(images: Floats, rng: Generator) -> Floats:
    """Faint ink, grey paper."""
    return images * _each(images, rng, 0.25, 1) + 255 * _each(images, rng, 0, 0.5)


def shade(images: Floats, rng: Generator) -> Floats:
    """Faint ink under uneven light or on patterned paper."""
    gain = _each(images, rng, 0.25, 1)
    for image, amount, part in zip(images, rng.uniform(40, 200, len(images)), gain[:, 0, 0], strict=True):
        cells = int(rng.integers(2, 9))
        field = cv2.resize(rng.random((cells, cells), np.float32), (_SIZE, _SIZE), interpolation=cv2.INTER_CUBIC)
        image[:] = image * part + amount * field
    return images


def erase(images: Floats, rng: Generator) -> Floats:
    """A small part missing."""
    for image in images:
        (top, left), (height, width) = rng.integers(4, 20, 2), rng.integers(2, 7, 2)
        image[top : top + height, left : left + width] = 0
    return images


def blot(images: Floats, rng: Generator) -> Floats:
    """Spots of one grey that hide what is under them."""
    for image in images:
        cells = int(rng.integers(8, 20))
        field = cv2.resize(
            rng.standard_normal((cells, cells), np.float32), (_SIZE, _SIZE), interpolation=cv2.INTER_CUBIC
        )
        image[field > rng.uniform(0.5, 1.6)] = rng.uniform(0, 160)
    return images


def rule(images: Floats, rng: Generator) -> Floats:
    """One or two thin lines, whole, dashed or broken, across or along a side."""
    for image in images:
        layer = np.zeros((_SIZE, _SIZE), np.float32)
        for _ in range(rng.integers(1, 3)):
            _rule_once(layer, rng)
        if rng.random() < 0.3:
            layer[:, np.arange(_SIZE) // rng.integers(1, 4) % 2 == 0] = 0
        if rng.random() < 0.15:
            np.multiply(image, 1 - layer / 255, out=image)  # the line was removed, and the ink under it with it
        else:
            np.maximum(image, layer, out=image)
    return images


def _rule_once(layer: Floats, rng: Generator) -> None:
    first, last = rng.integers(0, _SIZE, 2).tolist()
    if rng.random() < 0.6:  # ruling is level or upright
        last = first + int(rng.integers(-2, 3))
    line = (0, first), (_SIZE - 1, last)
    if rng.random() < 0.35:
        line = (first, 0), (last, _SIZE - 1)
    if rng.random() < 0.3:  # handmade: a zigzag
        xs = np.arange(2, 27, int(rng.integers(2, 5)))
        ys = np.linspace(first, last, len(xs)) + rng.uniform(1, 3) * (-1) ** np.arange(len(xs))
        cv2.polylines(layer, [np.stack([xs, ys], axis=1).round().astype(np.int32)], False, 255.0, 1, cv2.LINE_AA)
        return
    cv2.line(layer, *line, float(rng.uniform(100, 255)), int(rng.choice([1, 2], p=[0.8, 0.2])), cv2.LINE_8)


def coarsen(images: Floats, rng: Generator) -> Floats:
    """As from a scan with 8 to 18 pixels for the whole field, read back with or without smoothing."""
    for image, side in zip(images, rng.integers(9, 19, len(images)), strict=True):
        small = cv2.resize(image, (int(side), int(side)), interpolation=cv2.INTER_AREA)
        image[:] = cv2.resize(
            small, (_SIZE, _SIZE), interpolation=cv2.INTER_NEAREST if rng.random() < 0.15 else cv2.INTER_CUBIC
        )
    return images


def harden(images: Floats, rng: Generator) -> Floats:
    """Binarised at some level."""
    return 255 * (images > 255 * _each(images, rng, 0.15, 0.75)).astype(np.float32)


def outline(images: Floats, rng: Generator) -> Floats:
    """Only the rims of the strokes, as thin pens around a filled or hollow letter."""
    kernel = np.ones((3, 3), np.uint8)
    for image in images:
        level = rng.uniform(60, 190)
        solid = (image > level).astype(np.uint8)
        image[:] = 255.0 * (
            cv2.dilate(solid, kernel) - solid if rng.random() < 0.6 else solid - cv2.erode(solid, kernel)
        )
    return images


def invert_part(images: Floats, rng: Generator) -> Floats:
    """A band or a corner of the picture with ink and paper exchanged: the edge of a dark print."""
    for image in images:
        low, high = sorted(rng.integers(0, _SIZE, 2).tolist())
        if rng.random() < 0.6:  # from a side inwards
            low, high = (0, min(high, 12)) if rng.random() < 0.5 else (max(low, 16), _SIZE)
        part = image[:, low:high] if rng.random() < 0.6 else image[low:high]
        part[:] = 255 - part
        if rng.random() < 0.3:
            other = image[:, : _SIZE - high] if low > 0 else image[:, _SIZE - high :]
            other[:] = 255 - other
    return images


EFFECTS: dict[str, tuple[float, Callable[[Floats, Generator], Floats]]] = {
    "noise": (1.0, add_noise),
    "grain": (1.0, add_grain),
    "specks": (1.0, add_specks),
    "blur": (1.5, blur),
    "fade": (0.7, fade),
    "shade": (1.0, shade),
    "erase": (1.0, erase),
    "blot": (1.0, blot),
    "rule": (2.0, rule),
    "coarsen": (1.5, coarsen),
    "harden": (0.8, harden),
    "outline": (0.6, outline),
    "invert_part": (0.8, invert_part),
}
