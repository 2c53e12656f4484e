"""What may be done with a reading: use it unread, show it to a person, or turn it down, and why.

Both sides use this module: the service decides with it, and `training` chooses the thresholds with it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, exp, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

DEFAULT_TARGET_ERROR = 0.005
TARGET_ERRORS = (0.01, 0.005, 0.001)

# More likely no digit than a digit: turned down.
REJECT_AT = 0.5
# Probability of no digit from which on a person should look, where the model's record gives none.
DEFAULT_DOUBT_AT = REJECT_AT

# One-sided 95 %: the true error lies above the bound once in twenty samples.
Z_95 = 1.6448536269514722


class Decision(StrEnum):
    """Safe to use unread, to be looked at by a person, or not a readable digit."""

    ACCEPT = "accept"
    REVIEW = "review"
    REJECT = "reject"


class Reason(StrEnum):
    """Why a reading is not accepted: a closed set."""

    BLANK = "blank"
    NOT_A_DIGIT = "not_a_digit"
    MULTIPLE_DIGITS = "multiple_digits"
    LOW_CONTRAST = "low_contrast"
    AMBIGUOUS = "ambiguous"
    CUT_OFF = "cut_off"


@dataclass(frozen=True)
class Threshold:
    """The least confidence to accept at, with what it promised on the data it was chosen on.

    `coverage` is the share of readings accepted, `error` the share of those that were wrong, `error_upper` its
    one-sided 95 % Wilson bound, `n` the number of readings.
    """

    accept_at: float
    coverage: float
    error: float
    error_upper: float
    n: int


# What tells how sure a number is; see `service.fields.features`.
FIELD_FEATURES = 6


@dataclass(frozen=True)
class FieldCalibration:
    """What makes the features of a number's best path a confidence, and the thresholds on it.

    The confidence is logistic in the features: `bias` plus each feature times its weight (J. Platt, 1999).
    """

    bias: float
    weights: tuple[float, ...]
    thresholds: Mapping[str, Threshold | None]

    def confidence(self, features: Sequence[float]) -> float:
        logit = self.bias + sum(weight * value for weight, value in zip(self.weights, features, strict=True))
        return 1 / (1 + exp(-max(min(logit, 40.0), -40.0)))


# Seen in the picture, each of these makes a mistake likely enough that a person should look.
_NEEDS_REVIEW = (Reason.MULTIPLE_DIGITS, Reason.CUT_OFF)


def decide(
    noticed: Collection[str], confidence: float, reject: float, accept_at: float, doubt_at: float = DEFAULT_DOUBT_AT
) -> tuple[Decision, tuple[Reason, ...]]:
    """Decide on one reading.

    Confidence says which digit it is, given that it is one; whether it is one has a limit of its own. A product of
    both would let a clear letter pass for a sure digit, and send digits to review that are read surely.

    Args:
        noticed: what the normalisation saw, and `not_a_digit` where that was thought at first; members that are no
            `Reason` only inform.
        confidence: largest of the ten probabilities.
        reject: probability that this is no digit.
        accept_at: least confidence to accept at.
        doubt_at: probability of no digit from which on a person should look; from REJECT_AT on it is turned down.
    """
    if Reason.BLANK in noticed:
        return Decision.REJECT, (Reason.BLANK,)
    reasons = [reason for reason in _NEEDS_REVIEW if reason in noticed]
    if reject >= REJECT_AT:
        return Decision.REJECT, (Reason.NOT_A_DIGIT, *reasons)
    if reject >= doubt_at or Reason.NOT_A_DIGIT in noticed:
        reasons = [Reason.NOT_A_DIGIT, *reasons]
    if confidence < accept_at:
        reasons.append(Reason.AMBIGUOUS)
    if not reasons:
        return Decision.ACCEPT, ()
    if Reason.LOW_CONTRAST in noticed:
        reasons.append(Reason.LOW_CONTRAST)
    return Decision.REVIEW, tuple(reasons)


def choose_threshold(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], target_error: float
) -> Threshold | None:
    """The threshold that accepts most while the bound on the error among the accepted keeps the target.

    Args:
        confidence: float `[n]`, one per reading.
        correct: bool `[n]`, whether the digit was right.
        target_error: promised error rate among the accepted, 0..1.

    Returns:
        None where no threshold keeps the promise: then nothing may be accepted unread.
    """
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order].astype(np.float64)
    errors = np.cumsum(~correct[order], dtype=np.int64)
    accepted = np.arange(1, len(ranked) + 1)
    # Equal confidences are accepted together, so only the last of a run of them can be a threshold.
    last_of_run = np.append(ranked[:-1] != ranked[1:], True)[: len(ranked)]
    kept = np.flatnonzero((wilson_upper(errors, accepted) <= target_error) & last_of_run)
    if not len(kept):
        return None
    best = int(kept[-1])
    return Threshold(
        accept_at=float(ranked[best]),
        coverage=float(accepted[best] / len(ranked)),
        error=float(errors[best] / accepted[best]),
        error_upper=float(wilson_upper(errors[best : best + 1], accepted[best : best + 1])[0]),
        n=len(ranked),
    )


def wilson_upper(errors: NDArray[np.integer], n: NDArray[np.integer]) -> NDArray[np.float64]:
    """One-sided 95 % upper bound of an error rate after `errors` in `n` trials (E. B. Wilson, 1927)."""
    rate = errors / n
    spread = np.sqrt(rate * (1 - rate) / n + Z_95**2 / (4 * n.astype(np.float64) ** 2))
    return np.asarray((rate + Z_95**2 / (2 * n) + Z_95 * spread) / (1 + Z_95**2 / n), dtype=np.float64)


def wilson_interval(hits: int, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Two-sided interval of a rate, 95 % by default (E. B. Wilson, 1927)."""
    rate = hits / n
    centre = rate + z**2 / (2 * n)
    spread = z * sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    return (centre - spread) / (1 + z**2 / n), (centre + spread) / (1 + z**2 / n)


def least_readings(target_error: float) -> int:
    """How many accepted readings it takes, all of them right, until the bound keeps the target."""
    return ceil(Z_95**2 * (1 - target_error) / target_error)


def read_thresholds(entries: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Threshold | None]:
    """Thresholds of all target errors as a record holds them."""
    return {str(target): Threshold(**entry) if (entry := entries[str(target)]) else None for target in TARGET_ERRORS}


def accept_at_for(target_error: float, thresholds: Mapping[str, Threshold | None]) -> float:
    """Least confidence to accept at for a promised error rate; above 1, so never, where none keeps the promise.

    Raises:
        KeyError: the model's record holds no threshold for this rate.
    """
    threshold = thresholds[str(target_error)]
    return threshold.accept_at if threshold else 2.0
