import itertools

import numpy as np
import pytest

from service.decisions import (
    Decision,
    Reason,
    Threshold,
    accept_at_for,
    choose_threshold,
    decide,
    least_readings,
    wilson_interval,
    wilson_upper,
)


@pytest.mark.parametrize(
    ("noticed", "confidence", "reject", "decision", "reasons"),
    [
        ((), 0.99, 0.0, Decision.ACCEPT, ()),
        (("line_removed",), 0.99, 0.0, Decision.ACCEPT, ()),
        (("low_contrast",), 0.99, 0.0, Decision.ACCEPT, ()),
        ((), 0.9, 0.0, Decision.ACCEPT, ()),
        ((), 0.89, 0.0, Decision.REVIEW, (Reason.AMBIGUOUS,)),
        (("low_contrast",), 0.5, 0.0, Decision.REVIEW, (Reason.AMBIGUOUS, Reason.LOW_CONTRAST)),
        (("cut_off",), 0.99, 0.0, Decision.REVIEW, (Reason.CUT_OFF,)),
        (("multiple_digits",), 0.99, 0.0, Decision.REVIEW, (Reason.MULTIPLE_DIGITS,)),
        ((), 0.99, 0.6, Decision.REJECT, (Reason.NOT_A_DIGIT,)),
        ((), 0.99, 0.2, Decision.REVIEW, (Reason.NOT_A_DIGIT,)),
        ((), 0.99, 0.19, Decision.ACCEPT, ()),
        (("cut_off",), 0.8, 0.2, Decision.REVIEW, (Reason.NOT_A_DIGIT, Reason.CUT_OFF, Reason.AMBIGUOUS)),
        (("multiple_digits",), 0.99, 0.6, Decision.REJECT, (Reason.NOT_A_DIGIT, Reason.MULTIPLE_DIGITS)),
        (("blank",), 0.0, 1.0, Decision.REJECT, (Reason.BLANK,)),
    ],
)
def test_each_cause_leads_to_its_decision_and_reasons(
    noticed: tuple[str, ...], confidence: float, reject: float, decision: Decision, reasons: tuple[Reason, ...]
) -> None:
    assert decide(noticed, confidence, reject, accept_at=0.9, doubt_at=0.2) == (decision, reasons)


def test_no_reason_is_given_exactly_where_a_reading_is_accepted() -> None:
    """Over a grid of everything that decides, each reason taken from the closed set at most once."""
    seen = set()
    for noticed in ((), ("blank",), ("cut_off",), ("multiple_digits", "cut_off"), ("low_contrast",), ("line_removed",)):
        for confidence, reject in itertools.product((0.1, 0.9, 0.95, 1.0), (0.0, 0.2, 0.5, 1.0)):
            decision, reasons = decide(noticed, confidence, reject, accept_at=0.95, doubt_at=0.2)
            assert (decision is Decision.ACCEPT) == (not reasons)
            assert len(set(reasons)) == len(reasons)
            seen |= set(reasons)
    assert seen == set(Reason)


def test_a_doubt_beyond_the_limit_of_rejection_changes_nothing() -> None:
    assert decide((), 1.0, 0.6, accept_at=0.9, doubt_at=0.9)[0] is Decision.REJECT


def test_the_bound_agrees_with_published_values() -> None:
    # No error in 3,000 bounds the rate at about 0.1 %, the "rule of three" at 95 %.
    assert wilson_upper(np.array([0]), np.array([3000]))[0] == pytest.approx(0.0009, abs=1e-4)
    # Wilson interval of 99.70 % of 10,000 is 99.57 to 99.79 %.
    assert wilson_interval(9970, 10_000) == pytest.approx((0.9957, 0.9979), abs=1e-4)


def test_the_threshold_accepts_most_while_it_keeps_the_promise() -> None:
    """Ten thousand readings whose errors all lie below 0.8: the best threshold is near there."""
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0, 1, 10_000)
    correct = (confidence > 0.8) | (rng.uniform(0, 1, 10_000) < 0.5)
    threshold = choose_threshold(confidence, correct, 0.01)
    assert threshold is not None
    assert 0.75 < threshold.accept_at < 0.82
    accepted = confidence >= threshold.accept_at
    assert threshold.coverage == pytest.approx(accepted.mean())
    assert threshold.error == pytest.approx(1 - correct[accepted].mean())
    assert threshold.error <= threshold.error_upper <= 0.01


def test_equal_confidences_are_accepted_together() -> None:
    """A threshold inside a run of equal values would accept the wrong ones with the right ones."""
    confidence = np.array([0.9] * 2000 + [0.5] * 1000)
    correct = np.array([True] * 2000 + [True] * 500 + [False] * 500)
    threshold = choose_threshold(confidence, correct, 0.01)
    assert threshold is not None
    assert threshold.accept_at == 0.9


def test_too_few_readings_promise_nothing() -> None:
    assert choose_threshold(np.full(50, 0.99), np.ones(50, bool), 0.001) is None


@pytest.mark.parametrize("target", [0.01, 0.005, 0.001])
def test_the_least_number_of_readings_is_the_first_that_can_promise(target: float) -> None:
    least = least_readings(target)
    assert choose_threshold(np.full(least, 0.9), np.ones(least, bool), target) is not None
    assert choose_threshold(np.full(least - 1, 0.9), np.ones(least - 1, bool), target) is None


def test_without_a_threshold_nothing_is_accepted() -> None:
    assert accept_at_for(0.001, {"0.001": None}) > 1
    assert accept_at_for(0.01, {"0.01": Threshold(0.7, 0.9, 0.001, 0.002, 100)}) == 0.7
