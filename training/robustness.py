"""How a model does on corrupted digits, and how well it tells what is no digit from what is one."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.corruptions import CORRUPTIONS, corrupt
from training.data import Digits
from training.negatives import FAMILIES, HELD_OUT, make_negative

# uint8 [N, 28, 28] -> probabilities float32 [N, 10], reject float32 [N]
Predict = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.float32]]]

REJECTED_DIGITS = 0.01
PER_FAMILY = 1000


def score_corruptions(predict: Predict, digits: Digits) -> dict[str, Any]:
    """Accuracy on the digits after each of the fifteen corruptions, and the mean of these."""
    accuracy = {
        name: float((predict(corrupt(name, digits.images))[0].argmax(axis=1) == digits.labels).mean())
        for name in CORRUPTIONS
    }
    return {"n": len(digits), "accuracy": accuracy, "mean": float(np.mean(list(accuracy.values())))}


def draw_families(digits: Digits, per_family: int = PER_FAMILY, seed: int = 0) -> dict[str, NDArray[np.uint8]]:
    """Negatives of every family, uint8 `[per_family, 28, 28]` each; `digits` is what halves and pairs are made of."""
    source = digits.images, digits.labels
    return {
        family: np.stack([make_negative(family, source, rng) for _ in range(per_family)])
        for family in FAMILIES
        for rng in [np.random.default_rng([seed, list(FAMILIES).index(family)])]
    }


def score_negatives(predict: Predict, digits: Digits, families: Mapping[str, NDArray[np.uint8]]) -> dict[str, Any]:
    """How the reject output tells families of negatives from digits.

    `accepted` is the share of a family whose reject output is no higher than that of 99 % of the digits.
    """
    _, reject = predict(digits.images)
    threshold = float(np.quantile(reject, 1 - REJECTED_DIGITS))
    rows = {}
    for family, images in families.items():
        _, family_reject = predict(images)
        rows[family] = {
            "n": len(images),
            "held_out": family in HELD_OUT,
            "auroc": auroc(reject, family_reject),
            "accepted": float((family_reject <= threshold).mean()),
        }
    return {"digits": len(digits), "digits_rejected": REJECTED_DIGITS, "threshold": threshold, "families": rows}


def auroc(lower: NDArray[np.floating], higher: NDArray[np.floating]) -> float:
    """Chance that a score of `higher` exceeds one of `lower`, ties counted half (H. Mann, D. Whitney, 1947)."""
    ordered = np.sort(lower)
    below, upto = np.searchsorted(ordered, higher, "left"), np.searchsorted(ordered, higher, "right")
    return float((below + upto).mean() / (2 * len(lower)))
