"""What thresholds are chosen on: held-out writers' digits as they are, corrupted, on paper, and digits drawn by code.

MNIST's own pictures are cleaner than any form, and thresholds chosen on them alone promise too much elsewhere.
Nothing here is trained on: the writers are held out, and the drawings are other ones than those of the training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.cells import make_cell_pictures, make_negative_cells
from training.corruptions import CORRUPTIONS, corrupt
from training.data import Digits
from training.drawing import draw_digits
from training.negatives import make_negatives

# How many times as many as there are held-out digits. Cells, as a service meets them, are half of all.
SHARES = {"clean": 1, "corrupted": 1, "drawn": 1, "cells": 3}
SEED = 2026
# Negatives per held-out digit, in MNIST's geometry and on paper.
NEGATIVES, NEGATIVE_CELLS = 0.5, 0.25


@dataclass(frozen=True)
class Mixture:
    """The parts by name, each so large as its share says; every digit comes in several of them.

    `cells` are the pictures, uint8 `[height, width]`, that those of the part of this name were read from.
    """

    parts: Mapping[str, Digits]
    cells: Sequence[NDArray[np.uint8]]


def make_mixture(held_out: Digits, seed: int = SEED) -> Mixture:
    """What thresholds are chosen on, made of digits held out."""
    n = len(held_out)
    drawn, labels = draw_digits(SHARES["drawn"] * n, np.random.default_rng([seed, 1]))
    pictures, cells = make_cell_pictures(held_out, SHARES["cells"] * n, np.random.default_rng([seed, 2]))
    parts = {
        "clean": held_out,
        "corrupted": corrupt_each(held_out, seed),
        "drawn": Digits(drawn, labels),
        "cells": cells,
    }
    return Mixture(parts, pictures)


def corrupt_each(digits: Digits, seed: int = SEED) -> Digits:
    """Every digit after one of the fifteen corruptions, each of which takes its turn."""
    turn = np.random.default_rng([seed, 0]).permutation(len(digits)) % len(CORRUPTIONS)
    images = digits.images.copy()
    for number, name in enumerate(CORRUPTIONS):
        if (mine := turn == number).any():
            images[mine] = corrupt(name, digits.images[mine], seed)
    return Digits(images, digits.labels)


def make_mixed_negatives(held_out: Digits, seed: int = SEED) -> NDArray[np.uint8]:
    """Pictures of the trained families of negatives, uint8 `[N, 28, 28]`, some as they are and some on paper."""
    rng = np.random.default_rng([seed, 3])
    count, in_cells = (max(1, round(share * len(held_out))) for share in (NEGATIVES, NEGATIVE_CELLS))
    plain, _ = make_negatives(count, (held_out.images, held_out.labels), rng)
    return np.concatenate([plain, make_negative_cells(held_out, in_cells, rng).images])


def pool(parts: dict[str, Digits]) -> Digits:
    """All parts as one."""
    images, labels = zip(*((part.images, part.labels) for part in parts.values()), strict=True)
    return Digits(np.concatenate(images), np.concatenate(labels))
