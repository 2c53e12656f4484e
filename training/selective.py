"""Selective prediction: how many mistakes are left when the least sure readings go to a person.

Risk is the error among the accepted, coverage their share of all (R. El-Yaniv, Y. Wiener, "On the Foundations of
Noise-free Selective Classification", 2010).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.decisions import wilson_interval, wilson_upper

CURVE_POINTS = 60
CONFIDENCE_EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)


def risk_coverage(
    score: NDArray[np.floating], correct: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many readings each threshold accepts, and how many of them are wrong, from the strictest threshold on.

    Args:
        score: float `[n]`; the higher, the sooner accepted.
        correct: bool `[n]`.
    """
    order = np.argsort(-score, kind="stable")
    wrong = np.cumsum(~correct[order], dtype=np.int64)
    # Equal scores are accepted together.
    last = np.append(score[order][:-1] != score[order][1:], True)
    accepted = np.arange(1, len(score) + 1)[last]
    return accepted, wrong[last]


def describe_selection(score: NDArray[np.floating], correct: NDArray[np.bool_]) -> dict[str, Any]:
    """The risk-coverage curve at some of its points, closer together near full coverage, and the area under it."""
    accepted, wrong = risk_coverage(score, correct)
    wanted = 1 - np.append(np.geomspace(0.5, 1e-3, CURVE_POINTS - 1), 0)
    shown = np.unique(np.searchsorted(accepted, wanted * len(score)).clip(max=len(accepted) - 1))
    return {
        "aurc": area(accepted, wrong),
        "curve": [[float(accepted[k] / len(score)), float(wrong[k] / accepted[k])] for k in shown],
    }


def count_confidences(confidence: NDArray[np.floating], correct: NDArray[np.bool_]) -> dict[str, list[float]]:
    """How often each confidence is given: `edges` of the bins, and how many `right` and `wrong` answers lie in each."""
    edges = np.array(CONFIDENCE_EDGES)
    place = np.searchsorted(edges, confidence, side="right").clip(1, len(edges) - 1) - 1
    right, wrong = (np.bincount(place[which], minlength=len(edges) - 1).tolist() for which in (correct, ~correct))
    return {"edges": list(CONFIDENCE_EDGES), "right": right, "wrong": wrong}


def area(accepted: NDArray[np.int64], wrong: NDArray[np.int64]) -> float:
    """Area under the risk-coverage curve: mean risk over all coverages, 0 is perfect."""
    steps = np.diff(accepted, prepend=0)
    return float((steps * wrong / accepted).sum() / accepted[-1])


def best_coverage(score: NDArray[np.floating], correct: NDArray[np.bool_], error: float) -> dict[str, Any]:
    """The largest share that some threshold accepts with at most this error among the accepted."""
    accepted, wrong = risk_coverage(score, correct)
    kept = np.flatnonzero(wrong <= error * accepted)
    if not len(kept):
        return selection(len(score), 0, 0)
    return selection(len(score), int(accepted[kept[-1]]), int(wrong[kept[-1]]))


def selection(n: int, accepted: int, wrong: int) -> dict[str, Any]:
    """Coverage and error of a selection, each with its two-sided 95 % interval; `error_upper` is the one-sided bound."""
    row: dict[str, Any] = {
        "n": n,
        "accepted": accepted,
        "wrong": wrong,
        "coverage": accepted / n,
        "coverage_interval": list(wilson_interval(accepted, n)),
    }
    if accepted:
        upper = wilson_upper(np.array([wrong]), np.array([accepted]))[0]
        row |= {
            "error": wrong / accepted,
            "error_interval": list(wilson_interval(wrong, accepted)),
            "error_upper": float(upper),
        }
    return row
