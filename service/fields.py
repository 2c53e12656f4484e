"""A number in one picture: marks of ink -> every segment that may be a digit -> the network -> the likeliest number.

    picture --ink, cells--> line --column network--> frames --segments--> candidates --digit network, scores-->
    steps --paths--> FieldReading

Two networks read every field. The column network sees the whole line and says where digits may be, so that marks are
cut there and nowhere else; the digit network reads each piece alone. What both say goes into one score.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service import ink, scores, segments
from service.checks import CHECKS
from service.classifier import Predict
from service.columns import PAPER, STRIP_VERSION, ColumnReader, Frames
from service.decisions import REJECT_AT, Decision, FieldCalibration, Reason
from service.marks import Box
from service.paths import ANY, Constraints, Path, Step, best_paths, best_through, safe_log, shares
from service.preprocessing import normalize_crop
from service.scores import AFTER, BEFORE, LINE, SMALL_HEIGHT, Candidates, Seen
from service.segments import Marks, Pieces
from service.strip import DIGIT, HEIGHT, STRIDE, Strip
from service.textline import TextLine, find_text_line

# What training needs of the parts of this module.
__all__ = [
    "ANY",
    "CHECKS",
    "DIGIT",
    "HEIGHT",
    "PAPER",
    "STRIDE",
    "STRIP_VERSION",
    "Box",
    "ColumnReader",
    "Constraints",
    "Frames",
    "Strip",
    "TextLine",
    "find_text_line",
]

# More pieces than a number of 64 digits has are no number, and would take too long.
MAX_PIECES = 160

# Digits that a segment may be, the likeliest first, unless they are so far behind it, in nats.
GUESSES = 3
FAR_BEHIND = -9.0

# With a lead of so many nats a number stands whatever the columns say of others.
CLEAR = 8.0

# Segments all of whose paths are so much less likely than the best one, in nats and before the digit network was
# asked, are not asked about.
UNLIKELY = 4.0

# --- separators ---
# A mark of this height is as tall as a digit.
TALL = 0.7
DASH_ASPECT = 1.6
POINT_HEIGHT = 0.22
LOW = 0.55


ALTERNATIVES = 3
# A lead in nats that leaves no doubt.
MOST = 25.0
NO_FEATURES = (0.0, -MOST, -MOST, -MOST, -MOST, -1.0)


@dataclass(frozen=True)
class FieldDigit:
    """One digit of a field; `probabilities` float32 `[10]`, `box` in pixels of the picture."""

    digit: int
    confidence: float
    probabilities: NDArray[np.float32]
    reject: float
    box: Box


@dataclass(frozen=True)
class Separator:
    """A mark that was skipped: `comma`, `point`, `dash`, `currency`, `star` or `mark`."""

    kind: str
    box: Box


@dataclass(frozen=True)
class Alternative:
    """Another number that the field may hold."""

    text: str
    confidence: float


@dataclass(frozen=True)
class FieldReading:
    """The answer for one field; `weakest` is the index of the digit that is least sure."""

    text: str
    confidence: float
    alternatives: tuple[Alternative, ...]
    separators: tuple[Separator, ...]
    digits: tuple[FieldDigit, ...]
    weakest: int | None
    decision: Decision
    reasons: tuple[Reason, ...]

    def enlarged(self, small: tuple[int, int], full: tuple[int, int]) -> "FieldReading":
        """The reading of a picture that was reduced from (width, height) `full` to `small`, its boxes in the full one."""
        factor = round(max(full) / max(small))

        def enlarge(box: Box) -> Box:
            left, top, right, bottom = (factor * edge for edge in box)
            return left, top, min(right, full[0]), min(bottom, full[1])

        return replace(
            self,
            separators=tuple(replace(separator, box=enlarge(separator.box)) for separator in self.separators),
            digits=tuple(replace(digit, box=enlarge(digit.box)) for digit in self.digits),
        )


def answer(reading: FieldReading) -> dict[str, Any]:
    """The reading as it is answered, ready for JSON; floats as float32, so that equal ones are written alike."""
    digits = [
        {
            "digit": digit.digit,
            "confidence": np.float32(digit.confidence),
            "probabilities": digit.probabilities,
            "box": digit.box,
        }
        for digit in reading.digits
    ]
    return {
        "text": reading.text,
        "confidence": np.float32(reading.confidence),
        "alternatives": [
            {"text": other.text, "confidence": np.float32(other.confidence)} for other in reading.alternatives
        ],
        "separators": reading.separators,
        "digits": digits,
        "weakest": reading.weakest,
        "decision": reading.decision,
        "reasons": reading.reasons,
    }


BLANK = FieldReading("", 0.0, (), (), (), None, Decision.REJECT, (Reason.BLANK,))


def find_candidates(
    image: Image.Image, predict: Predict, columns: ColumnReader, unlikely: float = UNLIKELY
) -> Candidates | None:
    """What may be digits in an upright picture of mode "L" or "RGB"; None where there is no ink.

    Args:
        image: of one field.
        predict: the digit network.
        columns: the column network.
        unlikely: how far behind segments are, in nats, that the digit network is not asked about.
    """
    line = find_text_line(image)
    if line is None:
        return None
    frames = columns.read(line.strip())
    pieces = _split(line.found, line.writing, frames) if isinstance(line.found, Marks) else line.found
    if len(pieces.pieces) > MAX_PIECES:
        return None
    seen = _likely(_see(pieces, frames), unlikely)
    pictures = np.stack([normalize_crop(pieces.cut_out(line.writing.density, segment)) for segment in seen.segments])
    return Candidates(seen, *predict(pictures), frames, line)


def _split(marks: Marks, writing: ink.Writing, frames: Frames) -> Pieces:
    width = writing.mask.shape[1]
    guide = segments.Guide(frames.middles(width), frames.gaps(width), frames.borders())
    return segments.split(marks, writing, guide)


def _see(pieces: Pieces, frames: Frames) -> Seen:
    found = list(segments.find_segments(pieces))
    bounds = frames.bounds([(left, right) for left, _, right, _ in pieces.boxes])
    first = np.array([segment.first for segment in found], np.intp)
    last = np.array([segment.last for segment in found], np.intp)
    return scores.describe(pieces, found, *frames.evidence(bounds, first, last))


def _likely(seen: Seen, unlikely: float) -> Seen:
    """The segments that the digit network is asked about."""
    spans = [(segment.first, segment.last) for segment in seen.segments]
    skips = [-BEFORE.skip[kind] for kind in scores.skipped(seen.pieces)]
    behind = best_through(spans, seen.score().tolist(), skips)
    kept = [index for index, score in enumerate(behind) if score >= -unlikely]
    # Where it is likeliest that there is no digit, everything is asked about: the columns are not the last word.
    return seen.take(kept) if kept else seen


# --- after the network ------------------------------------------------------------------------------------------------


def read(
    candidates: Candidates,
    *,
    constraints: Constraints,
    calibration: FieldCalibration,
    accept_at: float,
) -> FieldReading:
    """The best number.

    Args:
        candidates: of one field.
        constraints: what is known of the number.
        calibration: makes scores confidences.
        accept_at: least confidence of the whole number to accept at.
    """
    return describe(candidates, find_paths(candidates, constraints), calibration, accept_at)


def find_paths(candidates: Candidates, constraints: Constraints) -> list[Path]:
    """The likeliest numbers, best first.

    Cuts may miss a digit or make one of a stroke, and no segment tells. So where marks were cut for the best number, and
    another comes close, the columns are asked about each as a whole, wherever its digits stand.
    """
    paths = best_paths(len(candidates.pieces.pieces), _steps(candidates), constraints)
    if len(paths) < 2 or paths[1].score < paths[0].score - CLEAR or not _is_cut(candidates, paths[0]):
        return paths
    likelihoods = candidates.frames.likelihoods([path.text for path in paths]).tolist()
    weighed = [replace(path, score=path.score + LINE * whole) for path, whole in zip(paths, likelihoods, strict=True)]
    return sorted(weighed, key=lambda path: -path.score)


def _is_cut(candidates: Candidates, path: Path) -> bool:
    cut = candidates.seen.cut
    return any(bool(cut[step.segment, 0]) for step in path.steps() if step.digit is not None)


def describe(
    candidates: Candidates, paths: Sequence[Path], calibration: FieldCalibration, accept_at: float
) -> FieldReading:
    """The reading that paths through the candidates lead to, best first."""
    if not paths or not paths[0].text:
        return _unread(candidates, paths)
    probabilities, rejects = candidates.combined, candidates.rejects
    best = paths[0]
    digits = tuple(
        FieldDigit(
            step.digit,
            float(probabilities[step.segment][step.digit]),
            probabilities[step.segment],
            float(rejects[step.segment]),
            place(candidates.line, candidates.segments[step.segment].box),
        )
        for step in best.steps()
        if step.digit is not None
    )
    separators = _separators(candidates, best)
    confidence = calibration.confidence(features(candidates, paths))
    decision, reasons = _decide(
        digits, separators, confidence, accept_at, faint=candidates.line.writing.level < ink.LOW_CONTRAST
    )
    weakest = min(range(len(digits)), key=lambda index: digits[index].confidence * (1 - digits[index].reject))
    return FieldReading(
        best.text, confidence, _alternatives(paths, confidence), separators, digits, weakest, decision, reasons
    )


def place(found: TextLine | ink.Ink, box: Box) -> Box:
    """A box of the ink map in pixels of the picture."""
    (x, y), scale = found.offset, found.scale
    left, top, right, bottom = box
    return x + scale * left, y + scale * top, x + scale * right, y + scale * bottom


def of_one_digit(
    probabilities: NDArray[np.float32], reject: float, decision: Decision, reasons: tuple[Reason, ...], box: Box
) -> FieldReading:
    """The reading of a single digit as that of a field."""
    first, *others = np.argsort(-probabilities)[: 1 + ALTERNATIVES].tolist()
    confidence = float(probabilities[first])
    digit = FieldDigit(first, confidence, probabilities, reject, box)
    alternatives = tuple(Alternative(str(other), float(probabilities[other])) for other in others)
    return FieldReading(str(first), confidence, alternatives, (), (digit,), 0, decision, reasons)


def features(candidates: Candidates, paths: Sequence[Path]) -> tuple[float, ...]:
    """What tells how sure the best path is.

    Its lead over the next; its score, and that of its worst step; what the digit network says of the digit it is
    least sure of; the evidence in the columns that the path leaves unread; whether the columns by themselves read another
    number.
    """
    steps = [step for step in paths[0].steps() if step.digit is not None]
    lead = paths[0].score - paths[1].score if len(paths) > 1 else MOST
    scores_ = [step.score for step in steps]
    alone = [
        safe_log(float(candidates.probabilities[step.segment][step.digit] * (1 - candidates.rejects[step.segment])))
        for step in steps
    ]
    read_ = sum(float(candidates.seen.evidence[step.segment][step.digit]) for step in steps)
    unread = min(max(candidates.frames.most - read_, 0.0), MOST)
    other = -1.0 if candidates.frames.text != paths[0].text else 0.0
    return min(lead, MOST), sum(scores_) / len(scores_), min(scores_), max(min(alone), -MOST), -unread, other


def _steps(candidates: Candidates) -> list[Step]:
    skips = [-AFTER.skip[kind] for kind in scores.skipped(candidates.pieces)]
    steps = [Step(index, index, None, score, -1) for index, score in enumerate(skips)]
    likeliest = np.argsort(-candidates.guesses, axis=1)[:, :GUESSES]
    scored = np.take_along_axis(candidates.guesses, likeliest, axis=1).tolist()
    answers = zip(candidates.segments, candidates.fits.tolist(), likeliest.tolist(), scored, strict=True)
    for index, (segment, fit, digits, guesses) in enumerate(answers):
        for digit, guess in zip(digits, guesses, strict=True):
            if guess >= guesses[0] + FAR_BEHIND:
                steps.append(Step(segment.first, segment.last, digit, fit + guess, index))
    return steps


def _separators(candidates: Candidates, path: Path) -> tuple[Separator, ...]:
    """What was skipped, from left to right."""
    pieces = candidates.pieces
    steps = path.steps()
    read_ = [step.first for step in steps if step.digit is not None]
    skipped = [
        (_kind(pieces, step.first, read_), pieces.pieces[step.first].box) for step in steps if step.digit is None
    ]
    skipped += [("star", box) for box in pieces.stars]
    skipped.sort(key=lambda found: found[1][0] + found[1][2])
    return tuple(Separator(kind, place(candidates.line, box)) for kind, box in skipped)


def _kind(pieces: Pieces, index: int, digits: Sequence[int]) -> str:
    """What a skipped piece is, by its size and place; stars are no pieces."""
    piece, height = pieces.pieces[index], pieces.height
    if piece.height > SMALL_HEIGHT * height:
        at_end = not pieces.in_cells and (not digits or index < digits[0] or index > digits[-1])
        return "currency" if at_end and piece.height > TALL * height else "mark"
    if piece.width >= DASH_ASPECT * piece.height and piece.width >= POINT_HEIGHT * height:
        return "dash"
    if (piece.box[1] + piece.box[3]) / 2 < pieces.base - LOW * height:
        return "mark"
    return "point" if piece.height <= POINT_HEIGHT * height else "comma"


def _alternatives(paths: Sequence[Path], confidence: float) -> tuple[Alternative, ...]:
    """Other numbers; they share what the best one leaves, by their scores, but none is surer than the best."""
    others = [path for path in paths[1:] if path.text]
    return tuple(
        Alternative(path.text, min(share * (1 - confidence), confidence))
        for path, share in list(zip(others, shares(others), strict=True))[:ALTERNATIVES]
    )


def _unread(candidates: Candidates, paths: Sequence[Path]) -> FieldReading:
    """Ink, but no number that the constraints allow."""
    separators = _separators(candidates, paths[0]) if paths else ()
    return FieldReading("", 0.0, (), separators, (), None, Decision.REJECT, (Reason.NOT_A_DIGIT,))


def _decide(
    digits: Sequence[FieldDigit], separators: Sequence[Separator], confidence: float, accept_at: float, *, faint: bool
) -> tuple[Decision, tuple[Reason, ...]]:
    if any(digit.reject >= REJECT_AT for digit in digits):
        return Decision.REJECT, (Reason.NOT_A_DIGIT,)
    reasons = [Reason.AMBIGUOUS] if confidence < accept_at else []
    kinds = [separator.kind for separator in separators]
    # Who fills up an amount draws several stars; one alone may as well be a digit that was struck out.
    if "mark" in kinds or kinds.count("star") == 1:
        reasons.append(Reason.NOT_A_DIGIT)
    if not reasons:
        return Decision.ACCEPT, ()
    return Decision.REVIEW, (*reasons, *([Reason.LOW_CONTRAST] if faint else []))
