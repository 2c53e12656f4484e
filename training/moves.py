"""Digits turned, zoomed and shifted a little, as the 887,530-parameter network's recipe asks.

Turning, zooming and shifting make one map, and the picture is read once: each interpolation more would blur it more.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from training.batches import Batch
from training.data import Digits
from training.recipe import Recipe

ROTATION = 10.0  # degrees to either side
ZOOM = 0.1  # of the size, each axis on its own
SHIFT = 0.1  # of the width and of the height


def moved(digits: Digits, recipe: Recipe, rng: np.random.Generator, _progress: float = 0.0) -> Iterator[Batch]:
    """Every digit once, in random order, each moved in its own way."""
    order = rng.permutation(len(digits))
    for start in range(0, len(order), recipe.batch_size):
        index = order[start : start + recipe.batch_size]
        yield Batch.of(move(digits.images[index], rng), digits.labels[index])


def move(images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Images uint8 `[N, size, size]`, moved; what was outside is paper."""
    size = images.shape[1]
    middle = (size - 1) / 2
    angle = np.radians(rng.uniform(-ROTATION, ROTATION, len(images)))
    zoom = rng.uniform(1 - ZOOM, 1 + ZOOM, (2, len(images)))
    shift = rng.uniform(-SHIFT * size, SHIFT * size, (2, len(images)))
    cosine, sine = np.cos(angle), np.sin(angle)
    # Where each pixel is read from: rows of [x, y] from [x, y] around the middle.
    linear = np.array([[cosine * zoom[0], -sine * zoom[1]], [sine * zoom[0], cosine * zoom[1]]]).transpose(2, 0, 1)
    offset = middle + shift.T - linear.sum(axis=2) * middle
    moved_images = np.empty_like(images)
    for image, matrix, target in zip(
        images, np.concatenate([linear, offset[:, :, None]], axis=2), moved_images, strict=True
    ):
        cv2.warpAffine(image, matrix, (size, size), target, cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return moved_images
