"""Risk and coverage mean what they say."""

import itertools

import numpy as np
import pytest

from training.selective import best_coverage, count_confidences, describe_selection, risk_coverage, selection

SCORE = np.array([0.9, 0.8, 0.8, 0.7, 0.6])
CORRECT = np.array([True, True, False, True, False])


def test_each_threshold_tells_what_it_accepts_and_how_much_of_it_is_wrong() -> None:
    accepted, wrong = risk_coverage(SCORE, CORRECT)
    assert accepted.tolist() == [1, 3, 4, 5]
    assert wrong.tolist() == [0, 1, 1, 2]


def test_the_best_coverage_is_the_largest_that_keeps_the_error() -> None:
    assert best_coverage(SCORE, CORRECT, 0.25)["coverage"] == 0.8
    assert best_coverage(SCORE, CORRECT, 0.0)["accepted"] == 1
    assert best_coverage(SCORE, ~CORRECT, 0.0)["accepted"] == 0


def test_the_area_is_the_mean_risk_over_all_coverages() -> None:
    assert describe_selection(SCORE, CORRECT)["aurc"] == pytest.approx((0 + 1 / 3 + 1 / 3 + 1 / 4 + 2 / 5) / 5)
    assert describe_selection(SCORE, np.ones(5, bool))["aurc"] == 0


def test_the_curve_ends_at_full_coverage() -> None:
    scores = np.random.default_rng(0).random(2000)
    curve = describe_selection(scores, scores > 0.1)["curve"]
    assert curve[-1] == [1.0, pytest.approx(np.mean(scores <= 0.1))]
    assert len(curve) > 30
    assert all(low < high for (low, _), (high, _) in itertools.pairwise(curve))


def test_every_answer_lies_in_one_bin() -> None:
    counts = count_confidences(np.array([0.0, 0.5, 0.9995, 1.0]), np.array([False, True, True, True]))
    assert sum(counts["right"]) == 3
    assert sum(counts["wrong"]) == counts["wrong"][0] == 1
    assert counts["right"][-1] == 2


def test_a_selection_of_nothing_has_no_error() -> None:
    assert "error" not in selection(10, 0, 0)
    row = selection(1000, 500, 1)
    assert row["error_interval"][0] < row["error"] < row["error_upper"] < row["error_interval"][1]
