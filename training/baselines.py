"""Classifiers without a network, from scikit-learn, measured exactly as the networks are.

Each is fitted on the same training digits, its scores are given a temperature on the same validation digits, and it
answers the same test digits; its record lies beside those of the runs, so that `compare` reads them alike.
"""

import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.calibrate import fit_temperature
from training.data import Dataset, Digits
from training.errors import RecipeError
from training.evaluate import measure, negative_log_likelihood
from training.latency import measure_in_turns
from training.network import apply_temperature
from training.runs import FORMAT, git_state, machine

SINGLES = 30  # digits answered one at a time to measure how long one takes
LEAST_PROBABILITY = 1e-4  # a vote of nobody is no proof


@dataclass(frozen=True)
class Baseline:
    """A classifier by the name of its scikit-learn class, with what is set other than by default."""

    title: str
    settings: Mapping[str, Any]
    make: Callable[[Mapping[str, Any], int], Any]


def _knn(settings: Mapping[str, Any], seed: int) -> Any:  # noqa: ARG001 - nothing random in it
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(**settings)


def _svm(settings: Mapping[str, Any], seed: int) -> Any:  # noqa: ARG001 - nothing random in it
    from sklearn.svm import SVC

    return SVC(**settings)


def _random_forest(settings: Mapping[str, Any], seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(**settings, random_state=seed)


def _logistic_regression(settings: Mapping[str, Any], seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(**settings, random_state=seed)


def _decision_tree(settings: Mapping[str, Any], seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(**settings, random_state=seed)


BASELINES: dict[str, Baseline] = {
    "knn": Baseline("k nearest neighbours", {"n_neighbors": 3, "algorithm": "brute"}, _knn),
    "svm": Baseline("support vectors, RBF kernel", {"C": 10, "gamma": "scale", "break_ties": True}, _svm),
    "random_forest": Baseline("random forest", {"n_estimators": 100}, _random_forest),
    "logistic_regression": Baseline(
        "logistic regression", {"C": 0.1, "max_iter": 300, "tol": 1e-3}, _logistic_regression
    ),
    "decision_tree": Baseline("decision tree", {}, _decision_tree),
}


def find_baseline(name: str) -> Baseline:
    """Look a baseline up.

    Raises:
        RecipeError: there is none of this name; the message lists the known.
    """
    try:
        return BASELINES[name]
    except KeyError:
        raise RecipeError(f"unknown baseline {name!r}; known: {', '.join(BASELINES)}") from None


def measure_baseline(name: str, dataset: Dataset, seed: int = 0, fit_on: int | None = None) -> dict[str, Any]:
    """Fit a baseline and measure it on the test digits.

    Args:
        name: of BASELINES.
        dataset: parts as for the networks.
        seed: of those that draw random numbers.
        fit_on: so many training digits instead of all.

    Returns:
        The record: what `compare` reads.

    Raises:
        RecipeError: there is no such baseline.
    """
    baseline = find_baseline(name)
    classifier = baseline.make(baseline.settings, seed)
    train = dataset.train.take(np.arange(len(dataset.train))[:fit_on])
    started = time.perf_counter()
    classifier.fit(to_features(train.images), train.labels)
    seconds = time.perf_counter() - started
    temperature, validation = _calibrate(classifier, dataset.validation)
    probabilities, _ = apply_temperature(_logits(classifier, dataset.test.images), temperature)
    return {
        "id": f"baseline-{name}-seed{seed}",
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "recipe": {"architecture": name, **baseline.settings} | ({"fit_on": fit_on} if fit_on else {}),
        "title": baseline.title,
        "data": {"hashes": dict(dataset.hashes), "split": {**dataset.split, "train": len(train)}},
        "git": git_state(),
        "machine": machine(),
        "training": {"parameters": None, "seconds": round(seconds, 1), "validation": validation},
        "calibration": {"temperature": temperature},
        "bytes": len(pickle.dumps(classifier)),
        "latency": {"1": round(_seconds_for_one(classifier, dataset.test) * 1e6, 1)},
        "evaluation": {"test": measure(probabilities, dataset.test)},
    }


def to_features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Images uint8 `[N, 28, 28]` as rows of 784 pixels in 0..1."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def _calibrate(classifier: Any, held_out: Digits) -> tuple[float, dict[str, Any]]:
    """The temperature that fits held-out digits, and how well they are read with it."""
    logits = _logits(classifier, held_out.images)
    temperature = fit_temperature(logits, held_out.labels)
    probabilities, _ = apply_temperature(logits, temperature)
    hits = int((probabilities.argmax(axis=1) == held_out.labels).sum())
    loss = negative_log_likelihood(probabilities, held_out.labels)
    return temperature, {"n": len(held_out), "accuracy": hits / len(held_out), "loss": loss}


def _logits(classifier: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scores `[N, 10]` that softmax makes probabilities of; a class that was never seen has the least."""
    features = to_features(images)
    if hasattr(classifier, "predict_proba") and not hasattr(classifier, "decision_function"):
        scores = np.log(np.maximum(classifier.predict_proba(features), LEAST_PROBABILITY))
    else:
        scores = classifier.decision_function(features)
    logits = np.full((len(images), 10), scores.min(), np.float32)
    logits[:, classifier.classes_] = scores
    return logits


def _seconds_for_one(classifier: Any, digits: Digits) -> float:
    singles = iter(np.resize(np.arange(len(digits)), SINGLES + 1))
    return measure_in_turns({"one": lambda: _logits(classifier, digits.images[[next(singles)]])}, SINGLES)["one"]
