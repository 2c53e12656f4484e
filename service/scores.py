"""How likely a segment is one digit: what the network says of it, its size, and how it was cut out.

The score is linear in a few features. Its weights make the right paths of strings likely among all paths through
them (a conditional random field; J. Lafferty, A. McCallum, F. Pereira, 2001), and were fitted on strings that
`training.strings` makes of validation writers' digits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.segments import Pieces, Segment
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
# One for each of `segment_features`, in its order.
SEGMENT_WEIGHTS = np.array([3.9, 0.242, 2.1, -0.58, 0.21, -0.05, -1.4, 0.4, -4.3, -1.67, 0.45, 0.8, -3.59, -0.03])
# Which of them tells how much ink was cut through.
CUTS = 6
# Of how much less likely than the likeliest digit another one is, to the digit network: of marks that are whole and
# of those that were cut out; and of the columns' evidence for either.
GUESS_WEIGHT, CUT_GUESS_WEIGHT = 1.5, 0.164
EVIDENCE_WEIGHT, CUT_EVIDENCE_WEIGHT = 0.422, 0.338
# Evidence beyond this does not make it more of a digit.
ENOUGH = 6.0


@dataclass(frozen=True)
class Candidates:
    """Segments of a field and what the networks say of each.

    `probabilities` is float32 `[N, 10]`, `rejects` float32 `[N]`, the columns' `evidence` float32 `[N, 10]` for N
    segments; `most` is the evidence that the columns hold in all.
    """

    pieces: Pieces
    segments: list[Segment]
    probabilities: NDArray[np.float32]
    rejects: NDArray[np.float32]
    evidence: NDArray[np.float32]
    most: float
    line: TextLine


def score(candidates: Candidates) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How likely each segment is one digit, `[N]`, and which, `[N, 10]`; logarithms to be added."""
    features = segment_features(candidates)
    logs = np.log(np.maximum(candidates.probabilities, LEAST)).astype(np.float64)
    behind = logs - logs.max(axis=1, keepdims=True)
    whole = GUESS_WEIGHT * behind + EVIDENCE_WEIGHT * candidates.evidence
    cut = CUT_GUESS_WEIGHT * behind + CUT_EVIDENCE_WEIGHT * candidates.evidence
    return features @ SEGMENT_WEIGHTS, np.where(features[:, CUTS, np.newaxis] > 0, cut, whole)


def combined(candidates: Candidates) -> NDArray[np.float32]:
    """Probabilities float32 `[N, 10]` of the digits, by both networks."""
    _, guesses = score(candidates)
    weights = np.exp(guesses - guesses.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def segment_features(candidates: Candidates) -> NDArray[np.float64]:
    """What speaks for each segment and against it, float `[N, 14]`; sizes are in parts of the writing's height."""
    found, height = candidates.pieces.pieces, candidates.pieces.height
    boxes = np.array([segment.box for segment in candidates.segments], np.float64)
    wide, tall = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    cuts = np.array([(found[part.first].before, found[part.last].after) for part in candidates.segments]) / height
    gaps = np.array([segment.gap for segment in candidates.segments]) / height
    usual = ASPECTS[candidates.probabilities.argmax(axis=1)]
    aspect, relative = np.log(wide / tall), np.log(tall / height)
    sure = np.log(np.maximum(candidates.probabilities.max(axis=1), LEAST))
    return np.stack(
        [
            sure,
            np.maximum(np.log(np.maximum(1 - candidates.rejects, LEAST)), -12),
            relative,
            relative**2,
            np.maximum(aspect + 0.05, 0),
            np.minimum(((aspect - usual[:, 0]) / usual[:, 1]) ** 2, 9),
            cuts.sum(axis=1),
            (cuts > 0).sum(axis=1),
            gaps,
            np.abs(boxes[:, 3] - candidates.pieces.base) / height,
            wide / height,
            np.ones(len(boxes)),
            sure * (cuts.sum(axis=1) > 0),
            np.minimum(candidates.evidence.max(axis=1), ENOUGH),
        ],
        axis=1,
    )
