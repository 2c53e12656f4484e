import numpy as np
import pytest

from service.decisions import TARGET_ERRORS, Threshold, wilson_upper
from training import calibrate
from training.calibrate import (
    FITTED_ON,
    Answers,
    Material,
    choose_doubt,
    choose_temperature,
    fit_temperature,
    fit_thresholds,
    looked_again,
)
from training.data import Dataset, Digits
from training.evaluate import brier_score, load_predict, negative_log_likelihood
from training.mixture import SHARES, corrupt_each
from training.network import apply_temperature
from training.runs import Run


def sample(count: int, scale: float = 3) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from exactly the probabilities that they state."""
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=scale, size=(count, 10)).astype(np.float32)
    probabilities, _ = apply_temperature(logits, 1.0)
    cumulative = probabilities.cumsum(axis=1)
    return logits, (cumulative < rng.random((count, 1))).sum(axis=1).clip(max=9).astype(np.uint8)


@pytest.mark.parametrize("overconfidence", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_a_known_overconfidence(overconfidence: float) -> None:
    logits, labels = sample(20_000)
    assert fit_temperature(logits * overconfidence, labels) == pytest.approx(overconfidence, rel=0.05)


def test_calibration_tells_the_scores_that_the_calibrated_network_has(exported_run: Run, dataset: Dataset) -> None:
    scores = exported_run.read("calibration")["scores"]
    probabilities, _ = load_predict(exported_run.folder)(dataset.validation.images)
    labels = dataset.validation.labels
    assert scores["clean"]["nll_after"] == pytest.approx(negative_log_likelihood(probabilities, labels))
    assert scores["clean"]["brier_after"] == pytest.approx(brier_score(probabilities, labels))


def test_the_temperature_worsens_no_score_on_clean_or_corrupted_digits(exported_run: Run) -> None:
    scores = exported_run.read("calibration")["scores"]
    for part in FITTED_ON:
        for name in ("nll", "brier"):
            assert scores[part][f"{name}_after"] <= scores[part][f"{name}_before"] + 1e-9


def test_a_temperature_that_helps_one_part_and_harms_another_is_not_used() -> None:
    """One part is too sure by 3, the other too unsure by as much: what is best for both together harms one of them."""
    logits, labels = sample(5000)
    assert choose_temperature([(logits * 3, labels), (logits / 3, labels)]) == 1.0
    assert choose_temperature([(logits * 3, labels), (logits * 3, labels)]) == pytest.approx(3, rel=0.1)


def test_the_mixture_is_what_the_shares_say(exported_run: Run, dataset: Dataset) -> None:
    mixture = exported_run.read("calibration")["mixture"]
    assert mixture == {part: share * len(dataset.validation) for part, share in SHARES.items()}


def answers(count: int, reject: float = 0.0, scale: float = 15) -> Answers:
    logits, labels = sample(count, scale)
    return Answers(apply_temperature(logits, 1.0)[0], np.full(count, reject, np.float32), labels)


def test_thresholds_are_given_for_every_promised_error_rate() -> None:
    thresholds = fit_thresholds({"clean": answers(20_000)}, doubt_at=0.5)
    assert list(thresholds) == [str(target) for target in TARGET_ERRORS]
    for target, entry in thresholds.items():
        assert Threshold(**entry).error_upper <= float(target)
    assert thresholds["0.01"]["coverage"] > thresholds["0.005"]["coverage"] > thresholds["0.001"]["coverage"]


def test_the_promise_is_kept_on_each_part_alone() -> None:
    """A few hard ones among many easy ones hardly move the whole."""
    easy, hard = answers(60_000), answers(20_000, scale=9)
    parts = {"easy": easy, "hard": Answers(hard.probabilities, hard.reject, hard.labels)}
    for target, entry in fit_thresholds(parts, 0.5).items():
        threshold = Threshold(**entry)
        assert threshold.error_upper <= float(target)
        for part in parts.values():
            accepted = part.confidence >= threshold.accept_at
            wrong = np.array([(accepted & ~part.correct).sum()])
            assert wilson_upper(wrong, np.array([accepted.sum()])) <= float(target)


def test_what_may_be_no_digit_is_not_covered() -> None:
    half = fit_thresholds({"sure": answers(20_000), "doubted": answers(20_000, reject=0.3)}, doubt_at=0.3)
    alone = fit_thresholds({"sure": answers(20_000)}, doubt_at=0.3)
    assert half["0.01"]["coverage"] == pytest.approx(alone["0.01"]["coverage"] / 2)
    assert half["0.01"]["n"] == 40_000


def test_too_few_digits_promise_nothing() -> None:
    few = Answers(np.eye(10, dtype=np.float32), np.zeros(10, np.float32), np.arange(10, dtype=np.uint8))
    assert set(fit_thresholds({"few": few}, 0.5).values()) == {None}
    assert set(fit_thresholds({"few": few}, 0.0).values()) == {None}


def test_the_limit_of_doubt_lies_between_digits_and_negatives() -> None:
    digits = np.concatenate([np.full(990, 0.001), np.full(10, 0.02)])
    negatives = np.concatenate([np.full(5, 0.01), np.full(995, 0.5)])
    limit = choose_doubt(digits, negatives)
    assert 0.001 < limit < 0.5
    assert choose_doubt(digits, np.ones(1000)) <= 0.5


def test_where_digits_and_negatives_cannot_be_told_apart_digits_are_not_doubted() -> None:
    digits = np.linspace(0, 0.3, 1000)
    assert (digits >= choose_doubt(digits, np.full(100, 0.001))).mean() <= 0.011


def test_a_network_without_the_eleventh_class_doubts_nothing(exported_run: Run) -> None:
    assert exported_run.read("calibration")["doubt_at"] == 0.5


def test_each_corruption_takes_its_turn(dataset: Dataset) -> None:
    corrupted = corrupt_each(dataset.validation)
    assert np.array_equal(corrupted.labels, dataset.validation.labels)
    changed = (corrupted.images != dataset.validation.images).any(axis=(1, 2))
    assert changed.mean() > 0.9


def test_cells_are_answered_as_the_service_does_which_looks_again_where_unsure(monkeypatch):
    """The first is sure, the second unsure, the third was no digit at first sight and is not accepted at the second."""
    seen_again = np.full(10, 0.01, np.float32)
    seen_again[3] = 0.91
    monkeypatch.setattr(calibrate, "look_again", lambda predict, digit: (digit, seen_again, np.float32(0.02)))
    first = np.full((3, 10), 0.05, np.float32)
    first[:, 7] = (0.95, 0.55, 0.55)
    answers = Answers(first, np.array([0.01, 0.3, 0.8], np.float32), np.array([7, 3, 3], np.uint8))
    cells = Digits(np.zeros((3, 28, 28), np.uint8), answers.labels)
    pictures = [np.full((64, 64), 250, np.uint8)] * 3
    material = Material({"cells": cells}, pictures, np.zeros((0, 28, 28), np.uint8), {})
    again = looked_again(None, 1.0, material, answers)
    assert again.probabilities.argmax(axis=1).tolist() == [7, 3, 3]
    assert again.reject == pytest.approx([0.01, 0.02, 0.8])
