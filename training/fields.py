"""Numbers read as the service reads them: how many are right, how sure they are, and the calibration of that.

Strings for calibration are made of validation writers' digits, strings for the figures of MNIST's test digits. Real
strings only validate: `measure_sequences` takes a folder with labels.csv (file, transcription) and, beside each
picture's folder, boxes.csv (file, digit, x, y, w, h).
"""

import csv
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service import fields, images
from service.decisions import (
    TARGET_ERRORS,
    Decision,
    FieldCalibration,
    Reason,
    choose_threshold,
    wilson_interval,
)
from service.errors import ServiceError
from service.fields import ANY, CHECKS, Box, ColumnReader, Constraints, FieldReading
from service.reader import Reader
from training.data import Digits
from training.errors import DataError, RunError
from training.evaluate import encode_png
from training.freehand import write_many
from training.latency import measure_in_turns
from training.negatives import TRAINED, make_negatives
from training.sheets import cut_lines, turn
from training.strings import STYLES, Pool, String, make_strings, write_spaced

CALIBRATION_SEED, TEST_SEED = 11, 12
CALIBRATION_STRINGS = 750  # of each style
FREELY = "in any hand"
MATCHED = 0.5
# Fields whose time is taken, and how often.
TIMED, TIMED_ROUNDS = 20, 9


@dataclass(frozen=True)
class Outcome:
    """One string: what it says, what was read, how many boxes it has, and how many of them were found."""

    text: str
    reading: FieldReading
    boxes: int
    matched: int
    features: tuple[float, ...] = fields.NO_FEATURES

    @property
    def correct(self) -> bool:
        return self.reading.text == self.text


def read_as_served(
    reader: Reader, picture: bytes, string: tuple[str, Sequence[Box]], constraints: Constraints = ANY
) -> Outcome:
    """Read one encoded string as the service does at a promised error of 1 %, its text and boxes known."""
    reading = reader.read_field(picture, constraints, target_error=TARGET_ERRORS[0])
    if isinstance(reading, ServiceError):
        raise reading
    return _outcome(string, reading)


def read_string(reader: Reader, string: String) -> Outcome:
    """Read one string of several digits, with what tells how sure the reading is."""
    columns, known = _columns(reader), (string.text, string.boxes)
    found = fields.find_candidates(Image.fromarray(string.picture), reader.classifier.predict, columns)
    if found is None:
        return _outcome(known, fields.BLANK)
    paths = fields.find_paths(found, ANY)
    outcome = _outcome(known, fields.describe(found, paths, columns.record.calibration, 1.0))
    return replace(outcome, features=fields.features(found, paths)) if outcome.reading.text else outcome


def _outcome(string: tuple[str, Sequence[Box]], reading: FieldReading) -> Outcome:
    text, boxes = string
    matched = sum(any(overlap(box, digit.box) >= MATCHED for digit in reading.digits) for box in boxes)
    return Outcome(text, reading, len(boxes), matched)


def _columns(reader: Reader) -> ColumnReader:
    if reader.columns is None:
        raise RunError("fields are read with a column network, and there is none")
    return reader.columns


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


# --- calibration ------------------------------------------------------------------------------------------------------


def calibrate_fields(reader: Reader, held_out: Digits, per_style: int = CALIBRATION_STRINGS) -> dict[str, Any]:
    """Fit what makes the features of a path a confidence, and the thresholds on it, on strings of held-out digits.

    Of each style so many, and as many as those together in any hand.
    Single digits are left out: the service decides on them as it does everywhere. A number that is not accepted at any
    confidence, for a mark in it that is none, counts as read with confidence 0.
    """
    pool, rng = Pool(held_out), np.random.default_rng(CALIBRATION_SEED)
    made = chain.from_iterable(make_strings(per_style, style, pool, rng) for style in STYLES)
    # Half of all: plain strings alone promise too much for what people write.
    strings = chain(made, write_many(per_style * len(STYLES), pool, rng))
    outcomes = [outcome for string in strings if len((outcome := read_string(reader, string)).reading.text) > 1]
    features = np.array([outcome.features for outcome in outcomes])
    correct = np.array([outcome.correct for outcome in outcomes])
    bias, weights = fit_confidence(features, correct)
    calibration = FieldCalibration(bias, weights, {})
    confidence = np.array([calibration.confidence(row) for row in features.tolist()])
    confidence *= [Reason.NOT_A_DIGIT not in outcome.reading.reasons for outcome in outcomes]
    chosen = {str(target): choose_threshold(confidence, correct, target) for target in TARGET_ERRORS}
    return {
        "bias": bias,
        "weights": list(weights),
        "fitted_on": {"strings": len(outcomes), "styles": [*STYLES, FREELY]},
    } | {target: asdict(entry) if entry else None for target, entry in chosen.items()}


def fit_confidence(features: NDArray[np.float64], correct: NDArray[np.bool_]) -> tuple[float, tuple[float, ...]]:
    """Bias and weights of a logistic regression with a slight pull to zero (J. Platt, 1999)."""
    from scipy.optimize import minimize

    rows = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    signs = np.where(correct, 1.0, -1.0)

    def loss(weights: NDArray[np.float64]) -> float:
        return float(np.logaddexp(0, -signs * (rows @ weights)).sum() + 1e-2 * (weights[:-1] ** 2).sum())

    fitted = minimize(loss, np.zeros(rows.shape[1]), method="BFGS").x.tolist()
    return fitted[-1], tuple(fitted[:-1])


# --- figures ----------------------------------------------------------------------------------------------------------


def measure(reader: Reader, digits: Digits, count: int) -> dict[str, Any]:
    """Strings of 5 and of 1 to 10 digits in each style, drawings that are no digits, and the time a field takes."""
    lengths = {"5": 5, "1 to 10": None}
    strings = {name: measure_strings(reader, digits, count, length) for name, length in lengths.items()}
    garbage = measure_garbage(reader, digits, count)
    return {"strings": strings, "garbage": garbage, "time": measure_time(reader, digits)}


def measure_strings(reader: Reader, digits: Digits, count: int, length: int | None) -> dict[str, Any]:
    """Exact strings of each style, of 1 to 10 digits or of one length, with intervals."""
    pool = Pool(digits)
    figures = {}
    for style in STYLES:
        rng = np.random.default_rng(TEST_SEED)
        strings = list(make_strings(count, style, pool, rng, length))
        touching = float(np.mean([string.touching for string in strings if len(string.text) > 1]))
        outcomes = [
            read_as_served(reader, encode_png(string.picture), (string.text, string.boxes)) for string in strings
        ]
        figures[style] = summary(outcomes) | {"touching": touching}
    return figures


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Exact numbers with their 95 % interval, matched boxes, and what is accepted at a promised error of 1 %."""
    n, exact = len(outcomes), sum(outcome.correct for outcome in outcomes)
    boxes = sum(outcome.boxes for outcome in outcomes)
    accepted = [outcome for outcome in outcomes if outcome.reading.decision == Decision.ACCEPT]
    wrong = sum(not outcome.correct for outcome in accepted)
    return {
        "n": n,
        "exact": exact / n,
        "interval": wilson_interval(exact, n),
        "boxes": sum(outcome.matched for outcome in outcomes) / boxes if boxes else None,
        "coverage": len(accepted) / n,
        "coverage_interval": wilson_interval(len(accepted), n),
        "accepted_wrong": wrong,
        "accepted_error_interval": wilson_interval(wrong, len(accepted)) if accepted else None,
    }


def measure_garbage(reader: Reader, digits: Digits, count: int) -> dict[str, Any]:
    """Of pictures of one to six drawings that are no digits, how many pass as a number."""
    rng = np.random.default_rng(TEST_SEED)
    # Two digits beside each other are no digit, but a number.
    families = [family for family in TRAINED if family != "two_digits"]
    accepted = 0
    for _ in range(count):
        images, _ = make_negatives(int(rng.integers(1, 7)), (digits.images, digits.labels), rng, families)
        picture = write_spaced(Digits(images, np.zeros(len(images), np.uint8)), rng).picture
        reading = reader.read_field(encode_png(picture))
        accepted += isinstance(reading, FieldReading) and reading.decision == Decision.ACCEPT
    return {"n": count, "accepted": accepted / count, "interval": wilson_interval(accepted, count)}


def measure_time(reader: Reader, digits: Digits) -> dict[str, float]:
    """Median milliseconds of a field of 5 digits, spaced or touching, and of a picture of one, and their ratio.

    Of the process on its one core, whatever else the machine does meanwhile.
    """
    rng, pool = np.random.default_rng(TEST_SEED), Pool(digits)

    def encoded(style: str, length: int) -> list[bytes]:
        return [encode_png(string.picture) for string in make_strings(TIMED, style, pool, rng, length)]

    calls: dict[tuple[str, int], Callable[[], object]] = {}
    for style in ("spaced", "touching"):
        calls |= {(style, index): partial(reader.read_field, data) for index, data in enumerate(encoded(style, 5))}
    calls |= {("single", index): partial(reader.read, [data]) for index, data in enumerate(encoded("spaced", 1))}
    seconds = measure_in_turns(calls, TIMED_ROUNDS, time.process_time)
    medians = {
        name: 1000 * float(np.median([value for (kind, _), value in seconds.items() if kind == name]))
        for name in ("spaced", "touching", "single")
    }
    return medians | {"ratio": (medians["spaced"] + medians["touching"]) / 2 / medians["single"]}


def measure_sequences(
    reader: Reader, folder: Path, part: Callable[[int], bool], *, check: bool = False
) -> dict[str, Any]:
    """The same summary of real strings, of the rows that `part` chooses by their number.

    With `check`, the remainder of each number's Luhn sum is told, which is what a check digit tells.
    """
    boxes = _read_boxes(folder)
    outcomes = []
    for index, row in enumerate(read_numbers(folder)):
        if part(index):
            text = row["transcription"]
            constraints = Constraints(check=replace(CHECKS["luhn"], remainder=_remainder(text))) if check else ANY
            known = text, boxes.get(row["file"].rsplit("/", 1)[-1], ())
            outcomes.append(read_as_served(reader, (folder / row["file"]).read_bytes(), known, constraints))
    return summary(outcomes)


def _remainder(text: str) -> int:
    remainder = 0
    for place, digit in enumerate(reversed(text)):
        remainder = CHECKS["luhn"].add(remainder, place, int(digit))
    return remainder


def measure_sheets(reader: Reader, folder: Path) -> dict[str, Any] | None:
    """The same summary of the lines of photographed sheets, whose transcription has a | between two; None without any.

    The lines are found first. Where they are not as many as the sheet has, all of its lines count as unread.
    """
    outcomes: list[Outcome] = []
    for row in _read_rows(folder):
        if "|" in row["transcription"]:
            texts = [line.replace(" ", "") for line in row["transcription"].split("|")]
            found = cut_lines(turn(images.decode((folder / row["file"]).read_bytes()), row.get("what") or ""))
            if len(found) == len(texts):
                pairs = zip(texts, found, strict=True)
                outcomes += [read_as_served(reader, encode_png(line), (text, ())) for text, line in pairs]
            else:
                outcomes += [Outcome(text, fields.BLANK, 0, 0) for text in texts]
    return summary(outcomes) if outcomes else None


def read_numbers(folder: Path) -> list[dict[str, str]]:
    """Rows of a folder's table whose transcription is one number."""
    return [row for row in _read_rows(folder) if row["transcription"].isdigit()]


def _read_rows(folder: Path) -> list[dict[str, str]]:
    try:
        with (folder / "labels.csv").open(newline="") as file:
            return [row | {"transcription": row["transcription"] or ""} for row in csv.DictReader(file)]
    except (OSError, KeyError, csv.Error) as exc:
        raise DataError(f"{folder / 'labels.csv'} with the columns file and transcription cannot be read") from exc


def _read_boxes(folder: Path) -> Mapping[str, list[Box]]:
    found: dict[str, list[Box]] = {}
    for path in folder.glob("*/boxes.csv"):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                x, y, width, height = (int(row[name]) for name in ("x", "y", "w", "h"))
                found.setdefault(row["file"], []).append((x, y, x + width, y + height))
    return found
