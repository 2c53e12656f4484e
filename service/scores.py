"""How likely a segment is one digit: what the network says of it, its size, and how it was cut out.

The score is linear in a few features. Its weights make the right paths of strings likely among all paths through
them (a conditional random field; J. Lafferty, A. McCallum, F. Pereira, 2001), and were fitted on strings that
`training.strings` makes of validation writers' digits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.segments import Pieces, Segment

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
SEGMENT_WEIGHTS = np.array([2.655, 2.04, 2.0, -9.29, -3.0, -0.1, -5.0, -0.567, -8.0, -13.32, 1.0, 4.446])
# Of how much less likely than the likeliest digit another one is.
GUESS_WEIGHT = 0.788


@dataclass(frozen=True)
class Candidates:
    """Segments of a field and what the network says of each.

    `probabilities` is float32 `[N, 10]`, `rejects` float32 `[N]` for N segments.
    """

    pieces: Pieces
    segments: list[Segment]
    probabilities: NDArray[np.float32]
    rejects: NDArray[np.float32]
    scale: int
    offset: tuple[int, int]
    faint: bool


def segment_features(candidates: Candidates) -> NDArray[np.float64]:
    """What speaks for each segment and against it, float `[N, 12]`; sizes are in parts of the writing's height."""
    found, height = candidates.pieces.pieces, candidates.pieces.height
    boxes = np.array([segment.box for segment in candidates.segments], np.float64)
    wide, tall = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    cuts = np.array([(found[part.first].before, found[part.last].after) for part in candidates.segments]) / height
    gaps = np.array([segment.gap for segment in candidates.segments]) / height
    usual = ASPECTS[candidates.probabilities.argmax(axis=1)]
    aspect, relative = np.log(wide / tall), np.log(tall / height)
    return np.stack(
        [
            np.log(np.maximum(candidates.probabilities.max(axis=1), LEAST)),
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
        ],
        axis=1,
    )
