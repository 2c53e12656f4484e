"""Reviewed results, a CSV of confidence and right or wrong -> thresholds of one's own.

reviewed.csv --read_reviewed--> Reviewed --fit--> Fit for each promised error rate --> DIGITS_ACCEPT_AT
"""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from service.decisions import Reason, Threshold, choose_threshold, least_readings, wilson_interval
from service.errors import ReviewedError

CONFIDENCE = ("confidence", "conf", "probability", "score")
CORRECT = ("correct", "right", "is_correct", "ok", "match", "result")
WRONG = ("wrong", "is_wrong", "mistake")
READ = ("digit", "predicted", "prediction", "read")
TRUTH = ("truth", "label", "true", "true_digit", "actual", "expected", "reviewed", "target")
_YES = {"1", "1.0", "true", "t", "yes", "y", "right", "correct", "ok"}
_NO = {"0", "0.0", "false", "f", "no", "n", "wrong", "incorrect", "error"}
# Confidence has no say in any other reason.
_BY_CONFIDENCE = {Reason.AMBIGUOUS, Reason.LOW_CONTRAST}

Columns = Mapping[str, str]


@dataclass(frozen=True)
class Reviewed:
    """Readings that a person looked at.

    `confidence` float `[n]`, `correct` bool `[n]` whether the digit was right, and `acceptable` bool `[n]` whether
    nothing but confidence could keep the reading from being accepted.
    """

    confidence: NDArray[np.float64]
    correct: NDArray[np.bool_]
    acceptable: NDArray[np.bool_]


@dataclass(frozen=True)
class Fit:
    """What reviewed results say about one promised error rate: a threshold, or why there is none."""

    target_error: float
    threshold: Threshold | None
    coverage_interval: tuple[float, float] | None = None
    refusal: str = ""


def read_reviewed(path: Path) -> Reviewed:
    """Read a CSV file with a header, separated by commas, semicolons or tabs.

    Raises:
        ReviewedError: it cannot be read, lacks a column, or a cell does not hold what it should; the message names
            the file, and the line and column where one is to blame.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return parse_reviewed(file, str(path))
    except OSError as exc:
        raise ReviewedError(f"{path} cannot be read: {exc.strerror or exc}") from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise ReviewedError(f"{path} is no CSV file in UTF-8: {exc}") from exc


def parse_reviewed(file: TextIO, name: str) -> Reviewed:
    """As `read_reviewed`, from an open file."""
    header_line = file.readline()
    [header] = csv.reader([header_line], delimiter=_delimiter(header_line)) if header_line.strip() else [[]]
    columns = _find_columns(header, name)
    rows = csv.DictReader(file, fieldnames=header, delimiter=_delimiter(header_line), restval="")
    cells = [_parse(row, columns, f"{name}, line {rows.line_num + 1}") for row in rows if not _is_unread(row, columns)]
    if not cells:
        raise ReviewedError(f"{name} holds no reviewed reading below its header")
    confidence, correct, acceptable = zip(*cells, strict=True)
    return Reviewed(np.array(confidence), np.array(correct, np.bool_), np.array(acceptable, np.bool_))


def fit(reviewed: Reviewed, target_error: float) -> Fit:
    """The threshold that accepts most of the reviewed readings while the bound on the error keeps the target."""
    usable = reviewed.acceptable
    confidence, correct = reviewed.confidence[usable], reviewed.correct[usable]
    chosen = choose_threshold(confidence, correct, target_error) if len(confidence) else None
    if chosen is None:
        return Fit(target_error, None, refusal=_refusal(confidence, correct, target_error))
    n, accepted = len(usable), int((confidence >= chosen.accept_at).sum())
    threshold = Threshold(_between(confidence, chosen.accept_at), accepted / n, chosen.error, chosen.error_upper, n)
    return Fit(target_error, threshold, wilson_interval(accepted, n))


def describe(reviewed: Reviewed) -> str:
    """One line about the file."""
    n, wrong = len(reviewed.correct), int((~reviewed.correct).sum())
    held = int((~reviewed.acceptable).sum())
    others = f"; {held:,} were kept from being accepted by another reason than confidence" if held else ""
    return f"{n:,} reviewed readings, {wrong:,} wrong ({wrong / n:.2%}){others}"


def describe_fit(fit: Fit) -> str:
    """What a fit found, with the line that applies it."""
    title = f"\nat most {fit.target_error * 100:g}% wrong among the accepted:"
    if fit.threshold is None or fit.coverage_interval is None:
        return f"{title}\n  nothing may be accepted unread; {fit.refusal}"
    threshold, (low, high) = fit.threshold, fit.coverage_interval
    return (
        f"{title}\n"
        f"  coverage {threshold.coverage:.2%} ({low:.2%} to {high:.2%}), "
        f"error {threshold.error:.3%} (at most {threshold.error_upper:.3%})\n"
        f"  DIGITS_ACCEPT_AT={threshold.accept_at}"
    )


def _refusal(confidence: NDArray[np.float64], correct: NDArray[np.bool_], target_error: float) -> str:
    least = least_readings(target_error)
    if len(confidence) < least:
        return f"too few: it takes at least {least:,} readings, all of them right, and there are {len(confidence):,}"
    surest = np.sort(confidence[~correct])[-1]
    return f"no threshold keeps it: readings with a confidence of up to {surest:.6g} were wrong"


def _between(confidence: NDArray[np.float64], lowest: float) -> float:
    """A short number that accepts the same readings as `lowest`: the full digits of a float32 are hard to copy."""
    below = confidence[confidence < lowest]
    floor = float(below.max()) if len(below) else 0.99 * lowest
    for places in range(1, 16):
        short: float = math.floor(lowest * 10.0**places) / 10.0**places
        if floor < short < lowest:
            return short
    return lowest


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _find_columns(header: Sequence[str], name: str) -> Columns:
    """The header's own names of the columns that are needed, by what they are to us."""
    known = {
        "confidence": CONFIDENCE,
        "correct": CORRECT,
        "wrong": WRONG,
        "read": READ,
        "truth": TRUTH,
        "reasons": ("reasons",),
    }
    found = {kind: own for kind, names in known.items() if (own := _first(header, names))}
    if "confidence" not in found:
        raise ReviewedError(f"{name} has no column {_or(CONFIDENCE)}; its header is: {', '.join(header) or 'empty'}")
    if not {"correct", "wrong"} & set(found) and not {"read", "truth"} <= set(found):
        raise ReviewedError(
            f"{name} does not say what was right: it needs a column {_or(CORRECT)}, or a digit "
            f"({_or(READ)}) with its truth ({_or(TRUTH)}); its header is: {', '.join(header)}"
        )
    return found


def _first(header: Iterable[str], known: Sequence[str]) -> str | None:
    by_name = {own.strip().lower().replace(" ", "_").replace("-", "_"): own for own in reversed(list(header))}
    return next((by_name[each] for each in known if each in by_name), None)


def _or(names: Sequence[str]) -> str:
    return " or ".join(f"'{name}'" for name in names[:2])


def _is_unread(row: Mapping[str, str], columns: Columns) -> bool:
    """Blank cells and pictures that could not be read have no confidence to fit; nor have empty lines."""
    confidence = row[columns["confidence"]].strip()
    if not any(value.strip() for value in row.values() if isinstance(value, str)):
        return True
    return "read" in columns and not row[columns["read"]].strip() and confidence in ("", "0", "0.0")


def _parse(row: Mapping[str, str], columns: Columns, place: str) -> tuple[float, bool, bool]:
    reasons = set(row[columns["reasons"]].split()) if "reasons" in columns else set()
    return _probability(row, columns, place), _is_right(row, columns, place), reasons <= _BY_CONFIDENCE


def _probability(row: Mapping[str, str], columns: Columns, place: str) -> float:
    column = columns["confidence"]
    text = row[column].strip()
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise ReviewedError(f"{place}, column '{column}': {text!r} is no confidence; allowed are numbers from 0 to 1")
    return value


def _is_right(row: Mapping[str, str], columns: Columns, place: str) -> bool:
    for kind in ("correct", "wrong"):
        if kind in columns:
            return _yes(row, columns[kind], place) == (kind == "correct")
    read, truth = row[columns["read"]].strip(), row[columns["truth"]].strip()
    if not truth:
        raise ReviewedError(f"{place}, column '{columns['truth']}': it is empty; write the digit, or none for no digit")
    # A spreadsheet may have made 7.0 of 7.
    return read.removesuffix(".0") == truth.removesuffix(".0")


def _yes(row: Mapping[str, str], column: str, place: str) -> bool:
    text = row[column].strip().lower()
    if text not in _YES | _NO:
        raise ReviewedError(
            f"{place}, column '{column}': {row[column]!r} is neither yes nor no; allowed are "
            "1 or 0, true or false, yes or no, right or wrong"
        )
    return text in _YES
