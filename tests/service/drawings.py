"""Pictures drawn for the tests: digits as strokes, on papers, in frames, under lights."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

# Strokes of digits in a unit square, x to the right, y down.
STROKES: dict[int, list[list[tuple[float, float]]]] = {
    1: [[(0.5, 0.0), (0.5, 1.0)]],
    4: [[(0.15, 0.0), (0.1, 0.55), (0.8, 0.55)], [(0.6, 0.2), (0.6, 1.0)]],
    5: [[(0.75, 0.0), (0.25, 0.0), (0.2, 0.4), (0.7, 0.5), (0.75, 0.75), (0.5, 1.0), (0.15, 0.95)]],
    7: [[(0.1, 0.0), (0.8, 0.0), (0.4, 1.0)]],
}


def draw_digit(
    digit: int = 5, size: int = 100, *, height: float = 0.6, pen: float = 0.06, ink: int = 20, paper: int = 240
) -> Image.Image:
    """A digit in the middle of a square picture of mode "L"; height and pen are parts of its side."""
    image = Image.new("L", (size, size), paper)
    draw = ImageDraw.Draw(image)
    tall = height * size
    left, top = (size - 0.9 * tall) / 2, (size - tall) / 2
    for stroke in STROKES[digit]:
        points = [(left + x * tall, top + y * tall) for x, y in stroke]
        draw.line(points, fill=ink, width=max(1, round(pen * size)), joint="curve")
    return image


def with_grain(image: Image.Image, deviation: float = 4.0, seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).normal(0, deviation, (image.height, image.width))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def with_shadow(image: Image.Image, darkest: float = 0.35) -> Image.Image:
    """Light that falls off to `darkest` of it from left to right."""
    light = np.linspace(1.0, darkest, image.width)
    return Image.fromarray((np.asarray(image) * light).astype(np.uint8))


def with_frame(image: Image.Image, inset: int = 2, width: int = 2, ink: int = 30) -> Image.Image:
    framed = image.copy()
    right, bottom = image.width - 1 - inset, image.height - 1 - inset
    ImageDraw.Draw(framed).rectangle((inset, inset, right, bottom), outline=ink, width=width)
    return framed


def with_rules(image: Image.Image, rows: list[int], width: int = 2, ink: int = 90, tilt: int = 0) -> Image.Image:
    ruled = image.copy()
    for row in rows:
        ImageDraw.Draw(ruled).line((-1, row, image.width, row + tilt), fill=ink, width=width)
    return ruled


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def overlap(a: NDArray[Any], b: NDArray[Any]) -> float:
    """How alike two uint8 pictures are, but for a shift by one pixel: 1 where equal, 0 where no ink is shared."""
    shifted = [np.roll(b, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return max(float(np.minimum(a, c).sum() / np.maximum(a, c).sum()) for c in shifted)
