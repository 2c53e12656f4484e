"""What the network of our own is taught: MNIST, digits in shapes that MNIST lacks, and what is no digit.

Drawing takes longer than bending what was drawn, so a stock of pictures is drawn once, and every epoch takes
other ones from it and augments them anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from training.augment import GENTLE, STANDARD, Augmentation, augment
from training.data import Digits
from training.drawing import draw_digits, rescan
from training.negatives import NOT_A_DIGIT, make_negatives
from training.recipe import Recipe

# Shares of every epoch; the rest is MNIST, bent.
DRAWN = 0.18
NEGATIVE = 0.17
RESCANNED = 0.12
PLAIN = 0.05  # MNIST, not even bent

# In the last part of a training the pictures come close to the digits themselves.
GENTLE_FROM = 0.8

STOCK_SIZE = 40_000
STOCK_SEED = 1
_CHUNK = 8192  # pictures made at a time: numpy works on whole arrays


@dataclass(frozen=True)
class Stock:
    """Pictures drawn once, of each kind the same number; the negatives are labelled as such."""

    drawn: Digits
    negatives: Digits
    rescanned: Digits


@lru_cache(maxsize=1)
def make_stock(digits: Digits, size: int = STOCK_SIZE, seed: int = STOCK_SEED) -> Stock:
    """Draw `size` digits and negatives, and scan as many of MNIST's digits again."""
    rng = np.random.default_rng(seed)
    drawn = Digits(*draw_digits(size, rng))
    negatives, _ = make_negatives(size, (digits.images, digits.labels), rng)
    some = digits.take(rng.choice(len(digits), size, replace=size > len(digits)))
    rescanned = np.stack([rescan(image, rng) for image in some.images])
    return Stock(drawn, Digits(negatives, np.full(size, NOT_A_DIGIT, np.uint8)), Digits(rescanned, some.labels))


def taught(
    digits: Digits, recipe: Recipe, rng: np.random.Generator, progress: float
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """The batches of one epoch, as many pictures in all as there are digits; `progress` is 0 to 1 over the training."""
    stock = make_stock(digits)
    how = GENTLE if progress >= GENTLE_FROM else STANDARD
    order = rng.permutation(len(digits))
    # A chunk ends where a batch does, so that only the last batch of the epoch may be short.
    chunk = max(1, _CHUNK // recipe.batch_size) * recipe.batch_size
    for start in range(0, len(order), chunk):
        mixed = mix(digits.take(order[start : start + chunk]), stock, rng, how)
        for first in range(0, len(mixed), recipe.batch_size):
            batch = slice(first, first + recipe.batch_size)
            yield mixed.images[batch], mixed.labels[batch]


def mix(digits: Digits, stock: Stock, rng: np.random.Generator, how: Augmentation) -> Digits:
    """Replace a share of the digits by pictures from the stock, augment all but a few, and shuffle."""
    count = len(digits)
    shares = [(stock.drawn, DRAWN), (stock.negatives, NEGATIVE), (stock.rescanned, RESCANNED)]
    picked = [part.take(rng.integers(0, len(part), round(share * count))) for part, share in shares]
    own = digits.take(np.arange(count - sum(len(part) for part in picked)))
    plain = round(PLAIN * count)
    changed = augment(np.concatenate([own.images[plain:], *(part.images for part in picked)]), rng, how)
    images = np.concatenate([own.images[:plain], changed])
    labels = np.concatenate([own.labels, *(part.labels for part in picked)])
    return Digits(images, labels).take(rng.permutation(count))
