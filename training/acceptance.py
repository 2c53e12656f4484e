"""What the decisions of a model are worth: on test digits, on photos, on what is no digit.

Everything goes through the service's own reader, from encoded picture to decision. What is measured here chose nothing:
neither weights nor thresholds.
"""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from service.classifier import DigitClassifier
from service.decisions import DEFAULT_TARGET_ERROR, TARGET_ERRORS, Decision, Reason, accept_at_for
from service.errors import ServiceError
from service.reader import Digit, Reader, Reading, Timings
from training.data import Dataset, Digits
from training.errors import DataError
from training.evaluate import (
    brier_score,
    calibration_error,
    encode_png,
    load_classifier,
    negative_log_likelihood,
    score,
)
from training.latency import measure_in_turns
from training.mixture import corrupt_each
from training.network import apply_temperature
from training.origin import part_in_short
from training.robustness import draw_families, score_negatives
from training.selective import best_coverage, count_confidences, describe_selection, selection

_PER_CALL = 256
COST_ROUNDS = 300
# One decision is too short for the clock.
_DECISIONS = 20
# Greek beta is written as an 8 or as a B: people cannot tell it either.
LOOK_ALIKE_LETTERS = ("beta",)


@dataclass(frozen=True)
class Labelled:
    """A picture file with what is on it; `folder` is the part of its set that it belongs to."""

    path: Path
    folder: str
    what: str


def read_manifest(path: Path, column: str) -> list[Labelled]:
    """The pictures that a CSV file with the columns `file` and `column` names, relative to its folder.

    Raises:
        DataError: there is no such file, or it has other columns.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [Labelled(path.parent / row["file"], row["file"].split("/")[0], row[column]) for row in rows]
    except OSError as exc:
        raise DataError(f"{path} cannot be read: {exc.strerror or exc}") from exc
    except KeyError as exc:
        raise DataError(f"{path} has no column {exc}; needed are 'file' and '{column}'") from exc


def measure_test(classifier: DigitClassifier, test: Digits) -> dict[str, Any]:
    """Coverage and error on test digits that arrive as PNG files, at each promised error rate and along the curve."""
    readings = read_all(classifier, [encode_png(image) for image in test.images])
    correct = np.array([reading.digit == label for reading, label in zip(readings, test.labels, strict=True)], np.bool_)
    confidence = np.array([reading.confidence for reading in readings])
    # What may be no digit is accepted last.
    doubted = np.array([Reason.NOT_A_DIGIT in reading.reasons for reading in readings])
    order = np.where(doubted, 0, confidence)
    return {
        "blank": sum(Reason.BLANK in reading.reasons for reading in readings),
        "decisions": dict(Counter(reading.decision.value for reading in readings)),
        "at": {str(target): _at(classifier, readings, correct, target) for target in TARGET_ERRORS},
        "best": {str(target): best_coverage(order, correct, target) for target in TARGET_ERRORS},
        "selection": describe_selection(order, correct),
        "confidences": count_confidences(confidence, correct),
    }


def measure_likelihood(classifier: DigitClassifier, digits: Digits, temperature: float) -> dict[str, Any]:
    """Log-likelihood, Brier score and reliability of digits as they are and corrupted.

    Args:
        classifier: the model.
        digits: whose labels are known.
        temperature: the one in the model's graph; the scores without it stand beside.
    """
    rows = {}
    for name, part in (("clean", digits), ("corrupted", corrupt_each(digits))):
        probabilities, _ = classifier.predict(part.images)
        scores = score(probabilities, part.labels)
        rows[name] = {key: scores[key] for key in ("n", "accuracy", "nll", "brier")}
        without = _without_temperature(probabilities, temperature)
        rows[name] |= {
            "nll_before": negative_log_likelihood(without, part.labels),
            "brier_before": brier_score(without, part.labels),
        }
        rows[name] |= calibration_error(probabilities, part.labels)
    return rows


def _without_temperature(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """The probabilities before the logits were divided: their logarithms are the divided logits, but for a constant."""
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)) * temperature
    return apply_temperature(logits.astype(np.float32), 1.0)[0]


def read_temperature(path: Path) -> float:
    """The temperature in an exported graph, as its record tells it."""
    import onnx

    properties = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    return float(json.loads(properties["calibration"])["temperature"])


def measure_photos(classifier: DigitClassifier, photos: Sequence[Labelled]) -> dict[str, Any]:
    """Coverage and error at each promised error rate, in all and at the default one by folder."""
    readings = read_all(classifier, [photo.path.read_bytes() for photo in photos])
    correct = np.array([str(reading.digit) == photo.what for reading, photo in zip(readings, photos, strict=True)])
    folders = np.array([photo.folder for photo in photos])
    rows = {}
    for folder in sorted(set(folders.tolist())):
        there = np.flatnonzero(folders == folder)
        mine = [readings[index] for index in there]
        rows[folder] = _at(classifier, mine, correct[there]) | {"right": int(correct[there].sum())}
    return {
        "n": len(photos),
        "right": int(correct.sum()),
        "blank": sum(Reason.BLANK in reading.reasons for reading in readings),
        "at": {str(target): _at(classifier, readings, correct, target) for target in TARGET_ERRORS},
        "reasons": _reasons(readings),
        "folders": rows,
    }


def measure_negatives(classifier: DigitClassifier, negatives: Sequence[Labelled]) -> dict[str, Any]:
    """Decisions by folder at the default thresholds; letters that look like a digit stand apart."""
    readings = read_all(classifier, [negative.path.read_bytes() for negative in negatives])
    rows: dict[str, dict[str, int]] = {}
    for reading, negative in zip(readings, negatives, strict=True):
        apart = negative.folder == "letters" and negative.what in LOOK_ALIKE_LETTERS
        name = f"{negative.folder}: {negative.what}" if apart else negative.folder
        row = rows.setdefault(name, dict.fromkeys(("n", "accept", "review", "reject", "blank"), 0))
        row["n"] += 1
        row[reading.decision.value] += 1
        row["blank"] += Reason.BLANK in reading.reasons
    return rows


def measure_families(classifier: DigitClassifier, held_out: Digits) -> dict[str, Any]:
    """Negatives drawn by code, by family.

    AUROC of the reject output, what passes where 1 % of digits are rejected, and what is accepted at the default
    thresholds: of the pictures themselves, and of uploads four times as large that the service has to find the ink in.
    """
    families = draw_families(held_out)
    scores = score_negatives(classifier.predict, held_out, families)
    record = classifier.record
    accept_at = accept_at_for(DEFAULT_TARGET_ERROR, record.thresholds)
    for name, images in families.items():
        probabilities, reject = classifier.predict(images)
        taken = (probabilities.max(axis=1) >= accept_at) & (reject < record.doubt_at)
        readings = read_all(classifier, [encode_png(_enlarge(image)) for image in images])
        uploads = [reading.decision is Decision.ACCEPT for reading in readings]
        scores["families"][name] |= {
            "accepted_by_default": float(taken.mean()),
            "accepted_as_upload": float(np.mean(uploads)),
        }
    return scores


def measure_cost(classifier: DigitClassifier, test: Digits) -> dict[str, float]:
    """Median microseconds of the decision, and of the whole reading of a PNG file of 28x28, measured in turns.

    No reading is shorter than that of so small a picture, so no share is higher.
    """
    reader, picture = Reader(classifier), encode_png(test.images[0])
    digit = Digit(test.images[0], frozenset())
    [probabilities], [reject] = classifier.predict(test.images[:1])
    calls = {
        "decide": lambda: [reader.decide(digit, probabilities, reject, Timings()) for _ in range(_DECISIONS)],
        "read": lambda: reader.read([picture]),
    }
    seconds = measure_in_turns(calls, COST_ROUNDS)
    decide, read = seconds["decide"] / _DECISIONS * 1e6, seconds["read"] * 1e6
    return {"decide": decide, "read": read, "share": decide / read}


def read_all(classifier: DigitClassifier, pictures: Sequence[bytes]) -> list[Reading]:
    """Readings of encoded pictures, at the default thresholds.

    Raises:
        DataError: one cannot be read.
    """
    reader = Reader(classifier)
    readings: list[Reading] = []
    for start in range(0, len(pictures), _PER_CALL):
        for number, reading in enumerate(reader.read(pictures[start : start + _PER_CALL])):
            if isinstance(reading, ServiceError):
                raise DataError(f"picture {start + number + 1} cannot be read: {reading.detail}")
            readings.append(reading)
    return readings


def _at(
    classifier: DigitClassifier,
    readings: Sequence[Reading],
    correct: NDArray[np.bool_],
    target: float = DEFAULT_TARGET_ERROR,
) -> dict[str, Any]:
    """What is accepted at the threshold for a promised error rate, for whatever reasons the rest is not."""
    accept_at = accept_at_for(target, classifier.record.thresholds)
    accepted = np.array([_is_accepted(reading, accept_at) for reading in readings])
    return selection(len(readings), int(accepted.sum()), int((accepted & ~correct).sum()))


def _enlarge(image: NDArray[np.uint8], factor: int = 4) -> NDArray[np.uint8]:
    height, width = image.shape
    return np.asarray(cv2.resize(image, (width * factor, height * factor), interpolation=cv2.INTER_CUBIC), np.uint8)


def _is_accepted(reading: Reading, accept_at: float) -> bool:
    by_confidence = {Reason.AMBIGUOUS, Reason.LOW_CONTRAST}
    acceptable = reading.decision is not Decision.REJECT and set(reading.reasons) <= by_confidence
    return acceptable and reading.confidence >= accept_at


def _reasons(readings: Sequence[Reading]) -> dict[str, int]:
    return dict(Counter(reason.value for reading in readings for reason in reading.reasons))


def measure_all(path: Path, dataset: Dataset, sets: Mapping[str, Path | None]) -> dict[str, Any]:
    """Everything, as docs/figures/decisions.json keeps it.

    Args:
        path: the model, an exported graph.
        dataset: generated negatives are made of its validation digits and compared with them; the rest is measured on
            its test digits.
        sets: `photos`, a folder with MANIFEST.csv (`file`, `label`); `negatives`, one with labels.csv (`file`,
            `what`); None leaves it out.

    Raises:
        RunError: the model is missing, or not what the contract describes.
        DataError: a set is missing, or one of its pictures cannot be read.
    """
    classifier = load_classifier(path)
    record = classifier.record
    measured = {
        "model": {"name": record.name, "version": record.version, "sha256": record.sha256}
        | {"run": record.training.get("run", "")},
        "doubt_at": record.doubt_at,
        "accept_at": {str(target): accept_at_for(target, record.thresholds) for target in TARGET_ERRORS},
        "tested_on": part_in_short(dataset.origin, "test"),
        "test": measure_test(classifier, dataset.test),
        "likelihood": measure_likelihood(classifier, dataset.test, read_temperature(path)),
        "families": measure_families(classifier, dataset.validation),
        "cost": measure_cost(classifier, dataset.test),
    }
    if folder := sets.get("photos"):
        measured["photos"] = measure_photos(classifier, read_manifest(folder / "MANIFEST.csv", "label"))
    if folder := sets.get("negatives"):
        measured["negatives"] = measure_negatives(classifier, read_manifest(folder / "labels.csv", "what"))
    return measured
