"""Fifteen ways in which a picture of a digit goes wrong, after MNIST-C, to measure robustness with.

Source: N. Mu and J. Gilmer, "MNIST-C: A Robustness Benchmark for Computer Vision", arXiv 1906.02337, with the
severities published at github.com/google-research/mnist-c. The code is ours: whole batches, numpy and OpenCV.
Nothing here is trained on. Every corruption takes uint8 `[N, 28, 28]` and returns the same.
"""

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Generator = np.random.Generator
Corruption = Callable[[Images, Generator], Images]

_SIZE = 28
_MIDDLE = (_SIZE - 1) / 2


def corrupt(name: str, images: Images, seed: int = 0) -> Images:
    """Apply the corruption of this name; the same seed gives the same pictures."""
    return CORRUPTIONS[name](images, np.random.default_rng(seed))


def _to_uint8(values: NDArray[Any]) -> Images:
    """Floats in 0..1, clipped, to uint8."""
    return np.asarray(np.rint(np.clip(values, 0, 1) * 255), np.uint8)


def shot_noise(images: Images, rng: Generator) -> Images:
    """Poisson noise of three photons for full ink."""
    return _to_uint8(rng.poisson(images / 255.0 * 3) / 3.0)


def impulse_noise(images: Images, rng: Generator) -> Images:
    """17 % of the pixels black or white."""
    struck = rng.random(images.shape) < 0.17
    return np.where(struck, rng.choice(np.array([0, 255], np.uint8), images.shape), images)


def glass_blur(images: Images, rng: Generator) -> Images:
    """Neighbouring pixels swapped at random between two blurs."""
    shaken = _blurred(images, 0.7)
    every = np.arange(len(shaken))
    for row, column in [(row, column) for _ in range(2) for row in range(27, 1, -1) for column in range(27, 1, -1)]:
        swap = every[rng.random(len(every)) < 0.5]
        rows, columns = row + rng.integers(-1, 1, len(swap)), column + rng.integers(-1, 1, len(swap))
        here = shaken[swap, row, column]
        shaken[swap, row, column] = shaken[swap, rows, columns]
        shaken[swap, rows, columns] = here
    return _to_uint8(_blurred(shaken, 0.7) / 255.0)


def motion_blur(images: Images, rng: Generator) -> Images:
    """A one-sided Gaussian trail, sigma 3 pixels, within 45 degrees of level."""
    steps = np.arange(11)
    weights = np.exp(-(steps**2) / (2 * 3.0**2))
    weights /= weights.sum()
    blurred = np.empty_like(images)
    for index, angle in enumerate(np.radians(rng.uniform(-45, 45, len(images)))):
        kernel = np.zeros((21, 21), np.float32)
        kernel[10 + np.rint(steps * math.sin(angle)).astype(int), 10 + np.rint(steps * math.cos(angle)).astype(int)] = (
            weights
        )
        blurred[index] = cv2.filter2D(images[index], -1, kernel, borderType=cv2.BORDER_REPLICATE)
    return blurred


def shear(images: Images, rng: Generator) -> Images:
    """By 0.4 rad to either side."""
    angles = 0.4 * _signs(rng, len(images))
    return _warped(images, [np.array([[1, -math.sin(a)], [0, math.cos(a)]]) for a in angles])


def scale(images: Images, rng: Generator) -> Images:  # noqa: ARG001 - one signature for all
    """To 70 %."""
    return _warped(images, [np.eye(2) / 0.7] * len(images))


def rotate(images: Images, rng: Generator) -> Images:
    """By 0.4 rad (23 degrees) to either side."""
    angles = 0.4 * _signs(rng, len(images))
    return _warped(images, [np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]) for a in angles])


def translate(images: Images, rng: Generator) -> Images:
    """By three pixels along each axis."""
    moved = np.zeros_like(images)
    for index, (down, right) in enumerate(zip(3 * _signs(rng, len(images)), 3 * _signs(rng, len(images)), strict=True)):
        cv2.warpAffine(images[index], np.array([[1, 0, right], [0, 1, down]], np.float64), (_SIZE, _SIZE), moved[index])
    return moved


def brightness(images: Images, rng: Generator) -> Images:  # noqa: ARG001
    """Half of the full scale added."""
    return _to_uint8(images / 255.0 + 0.5)


def stripe(images: Images, rng: Generator) -> Images:  # noqa: ARG001
    """The outer quarters on the left and right inverted."""
    striped = images.copy()
    striped[:, :, :7] = 255 - striped[:, :, :7]
    striped[:, :, 21:] = 255 - striped[:, :, 21:]
    return striped


def fog(images: Images, rng: Generator) -> Images:
    """Plasma of three times the digit's brightness laid over it, the whole scaled back."""
    haze = np.concatenate([_plasma(min(64, len(images) - start), rng) for start in range(0, len(images), 64)])
    brightest = images.max(axis=(1, 2), keepdims=True) / 255.0
    return _to_uint8((images / 255.0 + 3 * haze) * brightest / (brightest + 3))


def spatter(images: Images, rng: Generator) -> Images:
    """Blots of mud, a quarter as bright as ink, that hide what is under them."""
    liquid = _blurred(rng.normal(0.65, 0.3, images.shape).astype(np.float32), 1)
    mud = _blurred((liquid > 0.65).astype(np.float32), 1.5)
    mud[mud < 0.8] = 0
    return _to_uint8(images / 255.0 * (1 - mud) + 63 / 255 * mud)


def dotted_line(images: Images, rng: Generator) -> Images:
    """A line across the picture, drawn and left out in turns of two pixels."""
    first, last = rng.integers(0, 27, (2, len(images)))
    dots = np.arange(_SIZE) // 2 % 2
    return _to_uint8(images / 255.0 + _line(np.zeros(len(images)), first, np.full(len(images), 27), last) * dots)


def zigzag(images: Images, rng: Generator) -> Images:
    """A zigzag across the picture, nearly level."""
    first = rng.integers(0, 27, len(images)).astype(float)
    angle = np.arctan(rng.integers(-5, 5, len(images)) / 23)
    marked = images / 255.0
    # Corners every four pixels along the line, two pixels to either side of it, from column 2 on.
    u = np.concatenate([[0.0], np.arange(2, 24, 4.0)])
    v = np.concatenate([[0.0], [2.0 * (-1) ** i for i in range(len(u) - 1)]])
    columns = 2 + u[:, None] * np.cos(angle) - v[:, None] * np.sin(angle)
    rows = first + u[:, None] * np.sin(angle) + v[:, None] * np.cos(angle)
    for corner in range(len(u) - 1):
        marked = np.minimum(marked + _line(columns[corner], rows[corner], columns[corner + 1], rows[corner + 1]), 1)
    return _to_uint8(marked)


def canny_edges(images: Images, rng: Generator) -> Images:  # noqa: ARG001
    """Canny's edges at sigma 1, thresholds 0.1 and 0.2 of the full scale."""
    smooth = _blurred(images, 1)
    return np.stack([np.asarray(cv2.Canny(image, 0.1 * 255, 0.2 * 255, L2gradient=True), np.uint8) for image in smooth])


def _signs(rng: Generator, count: int) -> NDArray[np.int64]:
    return rng.choice(np.array([-1, 1]), count)


def _blurred(images: NDArray[Any], sigma: float) -> NDArray[Any]:
    return np.stack([cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE) for image in images])


def _warped(images: Images, linear: list[NDArray[np.float64]]) -> Images:
    """Each output pixel read from `linear @ (x, y)` around the middle, bilinear, 0 outside."""
    warped = np.empty_like(images)
    for index, matrix in enumerate(linear):
        shift = _MIDDLE * (1 - matrix.sum(axis=1))
        cv2.warpAffine(
            images[index],
            np.column_stack([matrix, shift]),
            (_SIZE, _SIZE),
            warped[index],
            cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
    return warped


def _line(c0: NDArray[Any], r0: NDArray[Any], c1: NDArray[Any], r1: NDArray[Any]) -> NDArray[np.float64]:
    """Soft lines `[N, 28, 28]` from column and row 0 to 1: 1 on the line, falling to 0 within 2.3 pixels above and below."""
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(c1 == c0, 0, (r1 - r0) / (c1 - c0))
    columns, rows = np.arange(_SIZE), np.arange(_SIZE)[:, None]
    on_line = (slope[:, None] * (columns - c0[:, None]) + r0[:, None])[:, None, :]
    distance = np.minimum(np.abs(rows - on_line), 2.3 - 1e-10)
    value = np.clip(np.log(1 - distance / 2.3) + 1, 0, 1)
    inside = (columns >= np.floor(c0)[:, None]) & (columns < np.ceil(c1)[:, None])
    return np.asarray(value * inside[:, None, :], np.float64)


def _plasma(count: int, rng: Generator, side: int = 256, decay: float = 1.4) -> NDArray[np.float64]:
    """Corners `[count, 28, 28]` of height maps 0..1 made by the diamond-square method.

    Source: A. Fournier, D. Fussell, L. Carpenter, "Computer rendering of stochastic models", 1982.
    """
    heights = np.zeros((count, side, side))
    step, wibble = side, 100.0
    while step >= 2:
        half = step // 2
        corners = heights[:, ::step, ::step]
        pairs = corners + np.roll(corners, -1, axis=1)
        heights[:, half::step, half::step] = _wibbled(pairs + np.roll(pairs, -1, axis=2), wibble, rng)
        centres = heights[:, half::step, half::step]
        heights[:, ::step, half::step] = _wibbled(
            centres + np.roll(centres, 1, axis=1) + corners + np.roll(corners, -1, axis=2), wibble, rng
        )
        heights[:, half::step, ::step] = _wibbled(
            centres + np.roll(centres, 1, axis=2) + corners + np.roll(corners, -1, axis=1), wibble, rng
        )
        step, wibble = half, wibble / decay
    low, high = heights.min(axis=(1, 2), keepdims=True), heights.max(axis=(1, 2), keepdims=True)
    corner: NDArray[np.float64] = ((heights - low) / (high - low))[:, :_SIZE, :_SIZE]
    return corner


def _wibbled(sums: NDArray[np.float64], wibble: float, rng: Generator) -> NDArray[np.float64]:
    return np.asarray(sums / 4 + wibble * rng.uniform(-wibble, wibble, sums.shape))


CORRUPTIONS: dict[str, Corruption] = {
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
    "glass_blur": glass_blur,
    "motion_blur": motion_blur,
    "shear": shear,
    "scale": scale,
    "rotate": rotate,
    "brightness": brightness,
    "translate": translate,
    "stripe": stripe,
    "fog": fog,
    "spatter": spatter,
    "dotted_line": dotted_line,
    "zigzag": zigzag,
    "canny_edges": canny_edges,
}
