"""Calibration: one temperature that makes confidences mean what they say, then the thresholds of the decision.

The temperature divides the logits before softmax and is chosen by the negative log-likelihood of held-out digits
(C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On Calibration of Modern Neural Networks", 2017). It goes into the
exported graph; the thresholds go into the file's metadata.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.decisions import TARGET_ERRORS, choose_threshold
from training.data import Digits
from training.runs import Run
from training.train import predict_logits

# Wider than any network needs: at the bounds something else is wrong.
TEMPERATURES = (0.05, 20.0)


def calibrate_run(run: Run, held_out: Digits) -> dict[str, Any]:
    """Fit temperature and thresholds of a run on held-out digits and write calibration.json.

    Raises:
        RunError: the run has no readable model.
    """
    from training.evaluate import load_keras_model, negative_log_likelihood

    logits = predict_logits(load_keras_model(run.model_path), held_out.images)
    temperature = fit_temperature(logits[:, :10], held_out.labels)
    before, _ = apply_temperature(logits, 1.0)
    after, _ = apply_temperature(logits, temperature)
    calibration = {
        "temperature": temperature,
        "fitted_on": {"part": "validation", "n": len(held_out)},
        "nll_before": negative_log_likelihood(before, held_out.labels),
        "nll_after": negative_log_likelihood(after, held_out.labels),
        "thresholds": fit_thresholds(after, held_out.labels),
    }
    run.write("calibration", calibration)
    return calibration


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """The temperature with the least negative log-likelihood.

    Args:
        logits: float `[N, 10]`.
        labels: `[N]`, 0 to 9.
    """
    from scipy.optimize import minimize_scalar

    wide = logits.astype(np.float64)
    chosen = wide[np.arange(len(labels)), labels]

    def loss(log_temperature: float) -> float:
        scaled = wide / np.exp(log_temperature)
        return float(np.mean(np.logaddexp.reduce(scaled, axis=1) - chosen / np.exp(log_temperature)))

    low, high = np.log(TEMPERATURES)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def fit_thresholds(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> dict[str, Any]:
    """For each promised error rate, the threshold as the metadata hold it; None where none keeps the promise."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    chosen = {str(target): choose_threshold(confidence, correct, target) for target in TARGET_ERRORS}
    return {target: asdict(threshold) if threshold else None for target, threshold in chosen.items()}


def apply_temperature(
    logits: NDArray[np.float32], temperature: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the exported graph makes of logits `[N, 10]` or `[N, 11]`.

    Returns:
        `probabilities` float32 `[N, 10]`, given that it is a digit, and `reject` float32 `[N]`, the probability of
        the eleventh class, 0 where there is none.
    """
    scaled = logits.astype(np.float64) / temperature
    reject = _softmax(scaled)[:, 10] if logits.shape[1] == 11 else np.zeros(len(logits))
    return _softmax(scaled[:, :10]).astype(np.float32), reject.astype(np.float32)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
