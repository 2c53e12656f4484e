"""How likely a segment is one digit: its size and how it was cut out, what the columns and the network say of it.

The score is linear in a few features. Its weights make the right paths of strings likely among all paths through
them (a conditional random field; J. Lafferty, A. McCallum, F. Pereira, 2001). There are two sets of them: one without
the digit network, to find out which segments it need not be asked about (a cascade; D. Weiss and B. Taskar,
"Structured prediction cascades", 2010), and one with it. `training.weigh` fits both on strings of validation digits.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.segments import Piece, Pieces, Segment
from service.textline import TextLine

LEAST = 1e-9
# Mean and standard deviation of the logarithm of width over height, of MNIST's training digits 0 to 9.
ASPECTS = np.array(
    [
        [-0.11, 0.21],
        [-0.96, 0.47],
        [-0.08, 0.23],
        [-0.25, 0.22],
        [-0.25, 0.22],
        [-0.08, 0.28],
        [-0.34, 0.23],
        [-0.28, 0.22],
        [-0.3, 0.23],
        [-0.41, 0.21],
    ]
)
# How far from a segment's middle the columns may see a digit's, in parts of the writing's height; beyond is the same.
FAR_ASIDE = 0.6
# Up to this height, and this area as part of the squared height, a mark is small.
SMALL_HEIGHT, SMALL_AREA = 0.4, 0.25
# Skipped pieces: a small mark may be a separator, a tall one hardly, and a part of a mark never.
SMALL, TALL, PART = range(3)


@dataclass(frozen=True)
class Weights:
    """Of the features, in their order: `shape` 9, `network` 4, `whole` and `cut` 4 each; what skipping costs, `skip` 3."""

    shape: tuple[float, ...]
    network: tuple[float, ...]
    whole: tuple[float, ...]
    cut: tuple[float, ...]
    skip: tuple[float, ...]


@dataclass(frozen=True)
class FieldWeights:
    """Weights without and with the digit network."""

    before: Weights
    after: Weights


# Of a network that was not released yet.
DEFAULT_WEIGHTS = FieldWeights(
    before=Weights(
        (5.2, 1.2, -0.3, -2.0, 1.5, -1.1, 0.5, -0.1, -1.2),
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 1.1, -16.0, -23.0),
        (0.0, 1.0, -17.0, -46.0),
        (4.6, 2.5, 2.0),
    ),
    after=Weights(
        (2.1, -0.58, 0.21, -1.4, 0.4, -4.3, -1.67, 0.45, 0.8),
        (3.9, 0.242, -0.05, -3.59),
        (1.5, 0.422, 0.0, 0.0),
        (0.164, 0.338, 0.0, 0.0),
        (3.7, 2.9, 0.15),
    ),
)


def read_weights(entry: Mapping[str, Any]) -> FieldWeights:
    """Weights as a record holds them."""
    before, after = (Weights(**{name: tuple(map(float, entry[part][name])) for name in _SIZES}) for part in _PARTS)
    for weights in (before, after):
        if tuple(len(getattr(weights, name)) for name in _SIZES) != tuple(_SIZES.values()):
            raise ValueError(f"the weights are not {_SIZES}")
    return FieldWeights(before, after)


_PARTS = ("before", "after")
_SIZES = {"shape": 9, "network": 4, "whole": 4, "cut": 4, "skip": 3}


@dataclass(frozen=True, eq=False)
class Seen:
    """Segments of a field as the columns see them, before the digit network.

    `evidence` float32 `[N, 10]` are log odds of one digit in each segment, `middles` float32 `[N, 10]` the columns of
    the ink map in which its middle then is, nan where the segment has no frame.
    """

    pieces: Pieces
    segments: list[Segment]
    evidence: NDArray[np.float32]
    middles: NDArray[np.float32]

    @cached_property
    def boxes(self) -> NDArray[np.float64]:
        return np.array([segment.box for segment in self.segments], np.float64)

    @cached_property
    def shape(self) -> NDArray[np.float64]:
        """Size, cuts, gaps and place, float `[N, 9]`; in parts of the writing's height."""
        found, height = self.pieces.pieces, self.pieces.height
        boxes = self.boxes
        wide, tall = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        cuts = np.array([(found[part.first].before, found[part.last].after) for part in self.segments])
        relative = np.log(tall / height)
        features = np.empty((len(boxes), _SIZES["shape"]))
        features[:, 0] = relative
        features[:, 1] = relative * relative
        features[:, 2] = np.maximum(self.aspect + 0.05, 0)
        features[:, 3] = cuts.sum(axis=1) / height
        features[:, 4] = (cuts > 0).sum(axis=1)
        features[:, 5] = [segment.gap / height for segment in self.segments]
        features[:, 6] = np.abs(boxes[:, 3] - self.pieces.base) / height
        features[:, 7] = wide / height
        features[:, 8] = 1
        return features

    @cached_property
    def aspect(self) -> NDArray[np.float64]:
        """Logarithm of width over height, float `[N]`."""
        boxes = self.boxes
        return np.log((boxes[:, 2] - boxes[:, 0]) / (boxes[:, 3] - boxes[:, 1]))

    @cached_property
    def is_cut(self) -> NDArray[np.bool_]:
        """Which segments were cut out of marks, bool `[N]`."""
        return np.asarray(self.shape[:, 3] > 0)

    @cached_property
    def columns(self) -> NDArray[np.float64]:
        """What the columns say of each digit, float `[N, 10, 3]`: evidence, and how far aside, also squared."""
        middle = (self.boxes[:, 0] + self.boxes[:, 2]) / 2
        aside = np.abs(self.middles - middle[:, np.newaxis]) / self.pieces.height
        aside = np.nan_to_num(np.minimum(aside, FAR_ASIDE))
        return np.stack([self.evidence.astype(np.float64), aside, aside * aside], axis=2)

    def take(self, kept: Sequence[int]) -> "Seen":
        return Seen(self.pieces, [self.segments[index] for index in kept], self.evidence[kept], self.middles[kept])

    def score(self, weights: Weights) -> NDArray[np.float64]:
        """How likely each segment is one digit, whichever, to the columns alone: `[N]`, logarithms to be added."""
        guesses = np.where(self.is_cut[:, np.newaxis], self.columns @ weights.cut[1:], self.columns @ weights.whole[1:])
        return np.asarray(self.shape @ weights.shape + guesses.max(axis=1))


@dataclass(frozen=True, eq=False)
class Candidates:
    """Segments of a field and what both networks say of each.

    `probabilities` is float32 `[N, 10]`, `rejects` float32 `[N]` for N segments; `most` is the evidence that the columns
    hold in all.
    """

    seen: Seen
    probabilities: NDArray[np.float32]
    rejects: NDArray[np.float32]
    most: float
    line: TextLine
    weights: Weights

    @property
    def pieces(self) -> Pieces:
        return self.seen.pieces

    @property
    def segments(self) -> list[Segment]:
        return self.seen.segments

    @cached_property
    def network(self) -> NDArray[np.float64]:
        """What the digit network says of each segment, float `[N, 4]`."""
        usual = ASPECTS[self.probabilities.argmax(axis=1)]
        sure = np.log(np.maximum(self.probabilities.max(axis=1), LEAST))
        features = np.empty((len(sure), _SIZES["network"]))
        features[:, 0] = sure
        features[:, 1] = np.maximum(np.log(np.maximum(1 - self.rejects, LEAST)), -12)
        features[:, 2] = np.minimum(((self.seen.aspect - usual[:, 0]) / usual[:, 1]) ** 2, 9)
        features[:, 3] = sure * self.seen.is_cut
        return features

    @cached_property
    def behind(self) -> NDArray[np.float64]:
        """Of how much less likely than the likeliest digit each is, to the digit network: logarithms, float `[N, 10]`."""
        logs = np.log(np.maximum(self.probabilities, LEAST)).astype(np.float64)
        return np.asarray(logs - logs.max(axis=1, keepdims=True))

    @cached_property
    def fits(self) -> NDArray[np.float64]:
        """How likely each segment is one digit, float `[N]`, a logarithm."""
        return self.seen.shape @ self.weights.shape + self.network @ self.weights.network

    @cached_property
    def guesses(self) -> NDArray[np.float64]:
        """And which, float `[N, 10]`, to be added to `fits`."""
        cut, whole = (
            weights[0] * self.behind + self.seen.columns @ weights[1:]
            for weights in (self.weights.cut, self.weights.whole)
        )
        return np.where(self.seen.is_cut[:, np.newaxis], cut, whole)

    @cached_property
    def combined(self) -> NDArray[np.float32]:
        """Probabilities float32 `[N, 10]` of the digits, by both networks."""
        weights = np.exp(self.guesses - self.guesses.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def skipped(pieces: Pieces) -> list[int]:
    """What leaving out each piece would be: SMALL, TALL or PART."""
    parts = Counter(piece.mark for piece in pieces.pieces)
    return [
        PART if parts[piece.mark] > 1 and not pieces.in_cells else SMALL if is_small(pieces, piece) else TALL
        for piece in pieces.pieces
    ]


def is_small(pieces: Pieces, piece: Piece) -> bool:
    height = pieces.height
    return piece.height <= SMALL_HEIGHT * height and piece.area <= SMALL_AREA * height * height
