"""Batches: what an epoch of training consists of, and where they come from."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.data import Digits
from training.recipe import Recipe


class Batch(NamedTuple):
    """Images uint8 `[N, 28, 28]`, their labels uint8 `[N]` (10: no digit), and which of them the data set gave, bool `[N]`.

    Those that it gave may be augmented; the others were drawn by code, or made of digits of the data set.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    given: NDArray[np.bool_]

    @classmethod
    def of(cls, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> "Batch":
        """Digits of the data set alone."""
        return cls(images, labels, np.ones(len(labels), bool))

    def take(self, index: NDArray[np.intp] | slice) -> "Batch":
        """These pictures, in this order."""
        return Batch(self.images[index], self.labels[index], self.given[index])


# One call makes the batches of one epoch; the last argument is the share of the epochs done.
BatchSource = Callable[[Digits, Recipe, np.random.Generator, float], Iterator[Batch]]
