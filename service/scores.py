"""How likely a segment is one digit: its size and how it was cut out, what the columns and the network say of it.

The score is linear in a few features. Its weights make the right paths of strings likely among all paths through
them (a conditional random field; J. Lafferty, A. McCallum, F. Pereira, 2001). There are two sets of them: one without
the digit network, to find out which segments it need not be asked about (a cascade; D. Weiss and B. Taskar,
"Structured prediction cascades", 2010), and one with it. Both were fitted on strings that `training.strings` makes of
validation writers' digits.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.columns import Frames
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
    """Of the features, in their order.

    `shape` has 9, what the `network` says of a segment 4; of a digit, in marks that are `whole` and in those that were
    `cut`, 4 each: how far it is behind to the network, and the columns' 3. `skip` is what skipping a piece costs.
    """

    shape: tuple[float, ...]
    network: tuple[float, ...]
    whole: tuple[float, ...]
    cut: tuple[float, ...]
    skip: tuple[float, ...]


# Without the digit network.
BEFORE = Weights(
    shape=(5.2, 1.2, -0.3, -2.0, 1.5, -1.1, 0.5, -0.1, -1.2),
    network=(0.0, 0.0, 0.0, 0.0),
    whole=(0.0, 1.1, -16.0, -23.0),
    cut=(0.0, 1.0, -17.0, -46.0),
    skip=(4.6, 2.5, 2.0),
)
# With it; where in a segment the columns see the digit then tells nothing new.
AFTER = Weights(
    shape=(2.1, -0.58, 0.21, -1.4, 0.4, -4.3, -1.67, 0.45, 0.8),
    network=(3.9, 0.242, -0.05, -3.59),
    whole=(1.5, 0.422, 0.0, 0.0),
    cut=(0.164, 0.338, 0.0, 0.0),
    skip=(3.7, 2.9, 0.15),
)
# Of how likely a number is as a whole to the columns, where marks were cut for it. By how many of 2,400 strings of
# validation digits are read right; 0.3 to 0.7 does nearly as well.
LINE = 0.4


@dataclass(frozen=True, eq=False)
class Seen:
    """Segments of a field as the columns see them, before the digit network.

    `evidence` float32 `[N, 10]` are log odds of one digit in each segment. `shape` float `[N, 9]` is its size, cuts,
    gaps and place, in parts of the writing's height, `aspect` float `[N]` the logarithm of width over height, `cut`
    bool `[N, 1]` whether it was cut out of a mark. `columns` float `[N, 10, 3]` is what they say of each digit: the
    evidence, and how far from the segment's middle it lies, also squared.
    """

    pieces: Pieces
    segments: list[Segment]
    evidence: NDArray[np.float32]
    shape: NDArray[np.float64]
    aspect: NDArray[np.float64]
    cut: NDArray[np.bool_]
    columns: NDArray[np.float64]

    def take(self, kept: Sequence[int]) -> "Seen":
        return Seen(
            self.pieces,
            [self.segments[index] for index in kept],
            self.evidence[kept],
            self.shape[kept],
            self.aspect[kept],
            self.cut[kept],
            self.columns[kept],
        )

    def score(self) -> NDArray[np.float64]:
        """How likely each segment is one digit, whichever, to the columns alone: `[N]`, logarithms to be added."""
        guesses = np.where(self.cut, self.columns @ BEFORE.cut[1:], self.columns @ BEFORE.whole[1:])
        return np.asarray(self.shape @ BEFORE.shape + guesses.max(axis=1))


def describe(
    pieces: Pieces, segments: list[Segment], evidence: NDArray[np.float32], middles: NDArray[np.float32]
) -> Seen:
    """The features of segments.

    Args:
        pieces: of a field.
        segments: runs of them.
        evidence: log odds of one digit in each segment, float32 `[N, 10]`.
        middles: the columns of the ink map in which its middle then is, float32 `[N, 10]`, nan where it has none.
    """
    found, height = pieces.pieces, pieces.height
    left, top, right, bottom = np.array([segment.box for segment in segments], np.float64).T
    cuts = np.array([(found[segment.first].before, found[segment.last].after) for segment in segments])
    aspect, relative = np.log((right - left) / (bottom - top)), np.log((bottom - top) / height)
    shape = np.empty((len(segments), len(AFTER.shape)))
    shape[:, 0] = relative
    shape[:, 1] = relative * relative
    shape[:, 2] = np.maximum(aspect + 0.05, 0)
    shape[:, 3] = cuts.sum(axis=1) / height
    shape[:, 4] = (cuts > 0).sum(axis=1)
    shape[:, 5] = [segment.gap / height for segment in segments]
    shape[:, 6] = np.abs(bottom - pieces.base) / height
    shape[:, 7] = (right - left) / height
    shape[:, 8] = 1
    aside = np.abs(middles - ((left + right) / 2)[:, np.newaxis]) / height
    aside = np.where(np.isnan(aside), 0, np.minimum(aside, FAR_ASIDE))
    columns = np.empty((*evidence.shape, 3))
    columns[..., 0] = evidence
    columns[..., 1] = aside
    columns[..., 2] = aside * aside
    return Seen(pieces, segments, evidence, shape, aspect, shape[:, 3:4] > 0, columns)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Segments of a field and what both networks say of each.

    `probabilities` is float32 `[N, 10]`, `rejects` float32 `[N]` for N segments; `frames` are the columns.
    """

    seen: Seen
    probabilities: NDArray[np.float32]
    rejects: NDArray[np.float32]
    frames: Frames
    line: TextLine

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
        features = np.empty((len(sure), len(AFTER.network)))
        features[:, 0] = sure
        features[:, 1] = np.maximum(np.log(np.maximum(1 - self.rejects, LEAST)), -12)
        features[:, 2] = np.minimum(((self.seen.aspect - usual[:, 0]) / usual[:, 1]) ** 2, 9)
        features[:, 3] = sure * self.seen.cut[:, 0]
        return features

    @cached_property
    def behind(self) -> NDArray[np.float64]:
        """Of how much less likely than the likeliest digit each is, to the digit network: logarithms, float `[N, 10]`."""
        logs = np.log(np.maximum(self.probabilities, LEAST)).astype(np.float64)
        return np.asarray(logs - logs.max(axis=1, keepdims=True))

    @cached_property
    def fits(self) -> NDArray[np.float64]:
        """How likely each segment is one digit, float `[N]`, a logarithm."""
        return np.asarray(self.seen.shape @ AFTER.shape + self.network @ AFTER.network)

    @cached_property
    def guesses(self) -> NDArray[np.float64]:
        """And which, float `[N, 10]`, to be added to `fits`."""
        cut, whole = (
            weights[0] * self.behind + self.seen.columns @ weights[1:] for weights in (AFTER.cut, AFTER.whole)
        )
        return np.where(self.seen.cut, cut, whole)

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
