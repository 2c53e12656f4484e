import numpy as np
import pytest

from service.decisions import TARGET_ERRORS, Threshold
from training.calibrate import apply_temperature, fit_temperature, fit_thresholds
from training.data import Dataset
from training.evaluate import load_predict, negative_log_likelihood
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


def test_calibration_never_worsens_the_likelihood_it_was_fitted_on(exported_run: Run, dataset: Dataset) -> None:
    calibration = exported_run.read("calibration")
    assert calibration["nll_after"] <= calibration["nll_before"]
    probabilities, _ = load_predict(exported_run.folder)(dataset.validation.images)
    assert calibration["nll_after"] == pytest.approx(negative_log_likelihood(probabilities, dataset.validation.labels))


def test_thresholds_are_given_for_every_promised_error_rate() -> None:
    logits, labels = sample(20_000, scale=15)
    probabilities, _ = apply_temperature(logits, 1.0)
    thresholds = fit_thresholds(probabilities, labels)
    assert list(thresholds) == [str(target) for target in TARGET_ERRORS]
    for target, entry in thresholds.items():
        assert Threshold(**entry).error_upper <= float(target)
    assert thresholds["0.01"]["coverage"] > thresholds["0.005"]["coverage"] > thresholds["0.001"]["coverage"]


def test_too_few_digits_promise_nothing() -> None:
    probabilities = np.eye(10, dtype=np.float32)
    assert set(fit_thresholds(probabilities, np.arange(10, dtype=np.uint8)).values()) == {None}


def test_an_eleventh_class_is_told_apart_and_leaves_ten_that_sum_to_one() -> None:
    logits = np.zeros((1, 11), np.float32)
    logits[0, 10] = np.log(10)
    probabilities, reject = apply_temperature(logits, 1.0)
    assert probabilities[0].tolist() == pytest.approx([0.1] * 10)
    assert reject.tolist() == pytest.approx([0.5])


def test_very_sure_logits_do_not_overflow() -> None:
    probabilities, reject = apply_temperature(np.full((1, 11), 1e4, np.float32), 0.05)
    assert np.isfinite(probabilities).all()
    assert np.isfinite(reject).all()
