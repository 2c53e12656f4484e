"""What the network of our own is taught: MNIST, digits in shapes that MNIST lacks, cells of forms, and what is no digit.

Drawing takes longer than bending what was drawn, so a stock of pictures is drawn once, and every epoch takes
other ones from it and augments them anew.
"""

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import lru_cache, partial
from types import MappingProxyType

import numpy as np

from training.augment import GENTLE, STANDARD, Augmentation, augment
from training.batches import Batch, BatchSource
from training.cells import make_cells, make_negative_cells
from training.data import Digits
from training.drawing import draw_digits, rescan
from training.negatives import NOT_A_DIGIT, make_negatives
from training.recipe import Recipe


@dataclass(frozen=True)
class Shares:
    """Of every epoch; the rest is MNIST, augmented. `plain` is MNIST as it is."""

    drawn: float = 0.2
    negatives: float = 0.16
    rescanned: float = 0.04
    cells: float = 0.18
    plain: float = 0.05


# For a network that knows the other kinds already, which it does not forget from half as many of them.
MOSTLY_MNIST = Shares(drawn=0.1, negatives=0.08, rescanned=0.02, cells=0.09)

# In the last part of a training the pictures come close to the digits themselves.
GENTLE_FROM = 0.8

# With 40,000 the network knew the drawings by heart: 0.31 % of them misread, and 0.43 % of others.
STOCK_SIZE = 100_000
STOCK_SEED = 1
NEGATIVES_IN_CELLS = 0.2
# Drawn by one process at a time.
_PORTION = 5_000
_CHUNK = 8192  # pictures made at a time: numpy works on whole arrays


@dataclass(frozen=True)
class Stock:
    """Pictures drawn once, of each kind the same number; some of the negatives stand in cells too."""

    drawn: Digits
    negatives: Digits
    rescanned: Digits
    cells: Digits


def make_stock(digits: Digits, size: int = STOCK_SIZE) -> Stock:
    """Digits, negatives and cells, `size` of each, drawn when they are first asked for, and as many of MNIST scanned again."""
    return _draw_stock(digits, size)


# Behind a function, since its calls with and without the default would be two.
@lru_cache(maxsize=1)
def _draw_stock(digits: Digits, size: int) -> Stock:
    """Draw on all cores.

    Each portion has random numbers of its own, so what is drawn does not depend on how many cores there are.
    """
    keys = [(STOCK_SEED, start, min(_PORTION, size - start)) for start in range(0, size, _PORTION)]
    if len(keys) == 1:
        return _draw_portion(digits, *keys[0])
    # Started afresh: TensorFlow, which may run here already, does not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(mp_context=context, initializer=_begin_drawing, initargs=(digits,)) as pool:
        portions = list(pool.map(_draw, keys))
    return Stock(*(_joined([getattr(portion, field.name) for portion in portions]) for field in fields(Stock)))


def _draw_portion(digits: Digits, seed: int, start: int, count: int) -> Stock:
    rng = np.random.default_rng([seed, start])
    drawn = Digits(*draw_digits(count, rng))
    in_cells = round(NEGATIVES_IN_CELLS * count)
    bare, _ = make_negatives(count - in_cells, (digits.images, digits.labels), rng)
    celled = make_negative_cells(digits, in_cells, rng)
    some = digits.take(rng.choice(len(digits), count, replace=count > len(digits)))
    rescanned = np.stack([rescan(image, rng) for image in some.images])
    return Stock(
        drawn,
        Digits(np.concatenate([bare, celled.images]), np.full(count, NOT_A_DIGIT, np.uint8)),
        Digits(rescanned, some.labels),
        make_cells(digits, count, rng),
    )


def _joined(parts: Sequence[Digits]) -> Digits:
    return Digits(np.concatenate([part.images for part in parts]), np.concatenate([part.labels for part in parts]))


# What a process that draws has been given.
_given: dict[str, Digits] = {}


def _begin_drawing(digits: Digits) -> None:
    _given["digits"] = digits


def _draw(key: tuple[int, int, int]) -> Stock:
    return _draw_portion(_given["digits"], *key)


def taught(
    digits: Digits,
    recipe: Recipe,
    rng: np.random.Generator,
    progress: float,
    shares: Shares = Shares(),
    unbent: Mapping[str, float] = MappingProxyType({}),
    gentle: Augmentation = GENTLE,
    stock_size: int = STOCK_SIZE,
) -> Iterator[Batch]:
    """The batches of one epoch, as many pictures in all as there are digits.

    Args:
        digits: MNIST.
        recipe: says how large a batch is.
        rng: of this epoch.
        progress: 0 to 1 over the training.
        shares: of the epoch.
        unbent: what is augmented otherwise than usual, by the field of `Augmentation`.
        gentle: how the last part is augmented.
        stock_size: how many of each kind are drawn; fewer are enough to look at.
    """
    stock = make_stock(digits, stock_size)
    how = replace(gentle if progress >= GENTLE_FROM else STANDARD, **unbent)
    order = rng.permutation(len(digits))
    # A chunk ends where a batch does, so that only the last batch of the epoch may be short.
    chunk = max(1, _CHUNK // recipe.batch_size) * recipe.batch_size
    chunks = (
        mix(digits.take(order[start : start + chunk]), stock, rng, how, shares) for start in range(0, len(order), chunk)
    )
    for mixed in _made_ahead(chunks):
        for first in range(0, len(mixed.labels), recipe.batch_size):
            yield mixed.take(slice(first, first + recipe.batch_size))


def _made_ahead(chunks: Iterator[Batch]) -> Iterator[Batch]:
    """Each chunk, while a thread makes the next: training leaves cores idle that augmenting can use."""
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = maker.submit(next, chunks, None)
            yield chunk


def mix(digits: Digits, stock: Stock, rng: np.random.Generator, how: Augmentation, shares: Shares) -> Batch:
    """Replace a share of the digits by pictures from the stock, augment all but a few, and shuffle."""
    count = len(digits)
    parts = [(getattr(stock, field.name), getattr(shares, field.name)) for field in fields(Stock)]
    picked = [part.take(rng.integers(0, len(part), round(share * count))) for part, share in parts]
    own = digits.take(np.arange(count - sum(len(part) for part in picked)))
    plain = round(shares.plain * count)
    changed = augment(np.concatenate([own.images[plain:], *(part.images for part in picked)]), rng, how)
    images = np.concatenate([own.images[:plain], changed])
    labels = np.concatenate([own.labels, *(part.labels for part in picked)])
    return Batch(images, labels, np.arange(count) < len(own)).take(rng.permutation(count))


# The whole, and what the ablation switches off: the same training without one ingredient, and on MNIST alone.
SOURCES: dict[str, BatchSource] = {
    "taught": taught,
    "taught_mostly_mnist": partial(taught, shares=MOSTLY_MNIST),
    "taught_without_drawn": partial(taught, shares=Shares(drawn=0)),
    "taught_without_negatives": partial(taught, shares=Shares(negatives=0)),
    "taught_without_rescanned": partial(taught, shares=Shares(rescanned=0)),
    "taught_without_cells": partial(taught, shares=Shares(cells=0)),
    "taught_mnist_alone": partial(taught, shares=Shares(drawn=0, negatives=0, rescanned=0, cells=0)),
    "taught_without_affine": partial(taught, unbent={"rotation": 0, "scale": 0, "shear": 0, "shift": 0, "wide": 0}),
    "taught_without_elastic": partial(taught, unbent={"elastic": 0}),
    "taught_without_weight": partial(taught, unbent={"weight": 0}),
    "taught_without_effects": partial(taught, unbent={"effect": 0}),
    "taught_without_gentle_end": partial(taught, gentle=STANDARD),
}
