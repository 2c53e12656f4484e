"""Calibration: one temperature that makes confidences mean what they say, then the thresholds of the decision.

The temperature divides the logits before softmax and is chosen by the negative log-likelihood of held-out digits,
clean and corrupted (C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On Calibration of Modern Neural Networks", 2017). It
goes into the exported graph; the thresholds go into the file's metadata.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.decisions import (
    DEFAULT_DOUBT_AT,
    REJECT_AT,
    TARGET_ERRORS,
    Threshold,
    wilson_upper,
)
from service.reader import UNSURE, Digit, look_again
from training.data import Dataset, Digits
from training.evaluate import brier_score, negative_log_likelihood
from training.mixture import make_mixed_negatives, make_mixture
from training.network import apply_temperature, load_keras_model, predict_logits
from training.runs import Run

# Wider than any network needs: at the bounds something else is wrong.
TEMPERATURES = (0.05, 20.0)
# What the temperature is fitted on: nobody knows beforehand how clean the pictures will be.
FITTED_ON = ("clean", "corrupted")
# Steps from the best temperature to none.
HOLDING_BACK = 21
# Shares of held-out digits that may be doubted, and of negatives that may not be.
DOUBTED_DIGITS = NOT_DOUBTED_NEGATIVES = 0.01


@dataclass(frozen=True)
class Material:
    """What runs are calibrated on: parts of digits by name, negatives uint8 `[N, 28, 28]`, and where the digits are from.

    `cells` are the pictures that those of the part of this name were read from.
    """

    parts: Mapping[str, Digits]
    cells: Sequence[NDArray[np.uint8]]
    negatives: NDArray[np.uint8]
    origin: Mapping[str, Any]


@dataclass(frozen=True)
class Answers:
    """What a network says of labelled digits: `probabilities` float32 `[N, 10]`, `reject` float32 `[N]`."""

    probabilities: NDArray[np.float32]
    reject: NDArray[np.float32]
    labels: NDArray[np.uint8]

    def only(self, chosen: NDArray[np.bool_]) -> "Answers":
        """Some of them, bool `[N]`."""
        return Answers(self.probabilities[chosen], self.reject[chosen], self.labels[chosen])

    @property
    def confidence(self) -> NDArray[np.float32]:
        return np.asarray(self.probabilities.max(axis=1), np.float32)

    @property
    def correct(self) -> NDArray[np.bool_]:
        return np.asarray(self.probabilities.argmax(axis=1) == self.labels, np.bool_)


def looked_again(model: Any, temperature: float, material: Material, answers: Answers) -> Answers:
    """The answers about cells as the service gives them: where the network is unsure, it looks at the picture again."""

    def predict(digits: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return apply_temperature(predict_logits(model, digits), temperature)

    probabilities, reject = answers.probabilities.copy(), answers.reject.copy()
    for index in np.flatnonzero(answers.confidence < UNSURE).tolist():
        picture = partial(Image.fromarray, material.cells[index])
        digit = Digit(material.parts["cells"].images[index], frozenset(), picture)
        _, probabilities[index], again = look_again(predict, digit)
        # What was no digit at first sight is not accepted at the second.
        if reject[index] < REJECT_AT:
            reject[index] = again
    return Answers(probabilities, reject, answers.labels)


def make_material(dataset: Dataset) -> Material:
    """Draw once what several runs can be calibrated on, from the digits held out."""
    held_out = dataset.validation
    mixture = make_mixture(held_out)
    return Material(mixture.parts, mixture.cells, make_mixed_negatives(held_out), dataset.origin)


def calibrate_run(run: Run, material: Material) -> dict[str, Any]:
    """Fit temperature, thresholds and the limit of doubt of a run, and write calibration.json.

    Raises:
        RunError: the run has no readable model.
    """
    model = load_keras_model(run.model_path)
    logits = {name: predict_logits(model, part.images) for name, part in material.parts.items()}
    labels = {name: part.labels for name, part in material.parts.items()}
    temperature = choose_temperature([(logits[name][:, :10], labels[name]) for name in FITTED_ON])
    before, after = (
        {name: Answers(*apply_temperature(logits[name], each), labels[name]) for name in logits}
        for each in (1.0, temperature)
    )
    after["cells"] = looked_again(model, temperature, material, after["cells"])
    negatives = apply_temperature(predict_logits(model, material.negatives), temperature)[1]
    doubt_at = choose_doubt(after["clean"].reject, negatives) if run.recipe.classes == 11 else DEFAULT_DOUBT_AT
    thresholds = fit_thresholds(after, doubt_at)
    calibration = {
        "data": dict(material.origin),
        "temperature": temperature,
        "fitted_on": {name: len(labels[name]) for name in FITTED_ON},
        "scores": {name: _scores(before[name], after[name]) for name in logits},
        "mixture": {name: len(labels[name]) for name in labels},
        "thresholds": thresholds,
        "kept": {target: _kept(after, entry, doubt_at) for target, entry in thresholds.items()},
        "doubt_at": doubt_at,
        "doubt": _doubt(after, negatives, doubt_at),
    }
    run.write("calibration", calibration)
    return calibration


def choose_temperature(parts: Sequence[tuple[NDArray[np.float32], NDArray[np.uint8]]]) -> float:
    """The best temperature for all parts together, held back towards 1 until it worsens no score of any of them.

    Args:
        parts: logits float `[N, 10]` with labels `[N]`.
    """
    logits, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
    best = fit_temperature(logits, labels)
    before = _losses(parts, 1.0)
    for temperature in np.geomspace(best, 1.0, HOLDING_BACK)[:-1].tolist():
        if (_losses(parts, temperature) <= before).all():
            return float(temperature)
    return 1.0


def _losses(parts: Sequence[tuple[NDArray[np.float32], NDArray[np.uint8]]], temperature: float) -> NDArray[np.float64]:
    """Likelihood and Brier score of every part."""
    answers = [(apply_temperature(logits, temperature)[0], labels) for logits, labels in parts]
    return np.array([score(*answer) for answer in answers for score in (negative_log_likelihood, brier_score)])


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


def choose_doubt(digits: NDArray[np.floating], negatives: NDArray[np.floating]) -> float:
    """The probability of no digit from which on a person should look.

    At one end one in a hundred held-out digits is doubted, at the other one in a hundred negatives is not. The middle
    of the two, in log-odds, leaves the same room to both, as real digits and real negatives are harder than these.
    Where the ends cross, digits go first: no more than one in a hundred is doubted.

    Args:
        digits: the reject output `[N]` on held-out digits.
        negatives: the same on what is no digit.
    """
    ends = np.quantile(digits, 1 - DOUBTED_DIGITS), np.quantile(negatives, NOT_DOUBTED_NEGATIVES)
    odds = np.log([max(end, 1e-9) / max(1 - end, 1e-9) for end in ends])
    return float(min(REJECT_AT, max(ends[0], 1 / (1 + np.exp(-odds.mean())))))


def fit_thresholds(parts: Mapping[str, Answers], doubt_at: float) -> dict[str, Any]:
    """For each promised error rate, the threshold as the metadata hold it; None where none keeps the promise.

    The bound on the error keeps the promise on each part alone: who only sends the harder kind was promised the same.
    What is doubted to be a digit is never accepted, and counts in coverage.
    """
    sure = [part.only(part.reject < doubt_at) for part in parts.values()]
    total = sum(len(part.labels) for part in parts.values())
    chosen = {target: _least_threshold(sure, target) for target in TARGET_ERRORS}
    return {
        str(target): None if accept_at is None else asdict(_describe(sure, accept_at, total))
        for target, accept_at in chosen.items()
    }


def _least_threshold(parts: Sequence[Answers], target: float) -> float | None:
    """The least confidence from which on the promise is kept on each part."""
    candidates = np.unique(np.concatenate([part.confidence for part in parts]).astype(np.float64))
    within = np.ones(len(candidates), np.bool_)
    for part in parts:
        errors = _count_from(candidates, part.confidence[~part.correct])
        accepted = _count_from(candidates, part.confidence)
        within &= (accepted == 0) | (wilson_upper(errors, np.maximum(accepted, 1)) <= target)
    return float(candidates[within.argmax()]) if within.any() else None


def _count_from(candidates: NDArray[np.float64], confidence: NDArray[np.floating]) -> NDArray[np.intp]:
    """How many are at least as high as each of the candidates."""
    return len(confidence) - np.sort(confidence.astype(np.float64)).searchsorted(candidates)


def _describe(parts: Sequence[Answers], accept_at: float, total: int) -> Threshold:
    """What a threshold comes to, as a part of so many in total."""
    taken = [part.confidence >= accept_at for part in parts]
    accepted = sum(int(each.sum()) for each in taken)
    errors = sum(int((each & ~part.correct).sum()) for each, part in zip(taken, parts, strict=True))
    upper = float(wilson_upper(np.array([errors]), np.array([accepted]))[0])
    return Threshold(accept_at, accepted / total, errors / accepted, upper, total)


def _scores(before: Answers, after: Answers) -> dict[str, float]:
    """Likelihood and Brier score before and after the temperature."""
    return {
        f"{name}_{when}": score(answers.probabilities, answers.labels)
        for name, score in (("nll", negative_log_likelihood), ("brier", brier_score))
        for when, answers in (("before", before), ("after", after))
    }


def _kept(parts: Mapping[str, Answers], threshold: Mapping[str, Any] | None, doubt_at: float) -> dict[str, Any]:
    """Coverage and error of each part at a threshold."""
    if threshold is None:
        return {}
    kept = {}
    for name, part in parts.items():
        accepted = (part.confidence >= threshold["accept_at"]) & (part.reject < doubt_at)
        wrong = int((accepted & ~part.correct).sum())
        kept[name] = {
            "n": len(accepted),
            "coverage": float(accepted.mean()),
            "error": wrong / max(int(accepted.sum()), 1),
        }
    return kept


def _doubt(parts: Mapping[str, Answers], negatives: NDArray[np.float32], doubt_at: float) -> dict[str, Any]:
    """What the limit costs: the share of each part that is doubted, and that of the negatives that is not."""
    return {
        "digits": {name: float((part.reject >= doubt_at).mean()) for name, part in parts.items()},
        "negatives": len(negatives),
        "negatives_passed": float((negatives < doubt_at).mean()),
    }
