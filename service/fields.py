"""A number in one picture: marks of ink -> every segment that may be a digit -> the network -> the likeliest number.

    picture --ink, cells--> writing --segments--> candidates --network, scores--> steps --paths--> FieldReading

Wide marks go through the network first: what it takes for one digit is not cut. Most fields are then read in two
runs, one of the marks and one of all segments.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service import cells, ink, scores, segments
from service.checks import CHECKS
from service.decisions import REJECT_AT, Decision, FieldCalibration, Reason, Threshold
from service.lines import find_rules
from service.marks import Box, Mask
from service.paths import ANY, Constraints, Path, Step, best_paths, shares
from service.preprocessing import normalize_crop
from service.scores import Candidates
from service.segments import Pieces, Segment

# What training needs of the parts of this module.
__all__ = ["ANY", "CHECKS", "Box", "Constraints"]

# Shorter side, in pixels, to which a picture is reduced at least: digits of a field are about half as high. Where
# they are less than FINE_HEIGHT the writing is looked at again at a finer scale, with a margin around it.
WORK_SIDE = 84
FINE_HEIGHT, FINE_MARGIN = 22, 0.4
# More pieces than a number of 64 digits has are no number, and would take too long.
MAX_PIECES = 160

# Digits that a segment may be, the likeliest first, unless they are so far behind it, in nats.
GUESSES = 3
FAR_BEHIND = -9.0
# Leaving out a mark: a small one may be a separator, a tall one hardly, and a part of a mark never.
SKIP_SMALL, SKIP_TALL, SKIP_PART = 0.7, 9.6, 7.2
# Up to this height, and this area as part of the squared height, a mark is small.
SMALL_HEIGHT, SMALL_AREA = 0.4, 0.25

# A mark that the network is so sure of is one digit.
SURE = 0.8

# --- separators ---
# A mark of this height is as tall as a digit.
TALL = 0.7
DASH_ASPECT = 1.6
POINT_HEIGHT = 0.22
LOW = 0.55

# Digits uint8 `[N, 28, 28]` -> probabilities float32 `[N, 10]`, rejects float32 `[N]`
Predict = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.float32]]]

# Probabilities float32 `[10]` and reject of marks, by their index
Known = dict[int, tuple[NDArray[np.float32], np.float32]]

ALTERNATIVES = 3
# A lead in nats that leaves no doubt.
MOST = 25.0
NO_FEATURES = (0.0, -MOST, -MOST)


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
        "alternatives": reading.alternatives,
        "separators": reading.separators,
        "digits": digits,
        "weakest": reading.weakest,
        "decision": reading.decision,
        "reasons": reading.reasons,
    }


BLANK = FieldReading("", 0.0, (), (), (), None, Decision.REJECT, (Reason.BLANK,))


def find_candidates(image: Image.Image, predict: Predict) -> Candidates | None:
    """What may be digits in an upright picture of mode "L" or "RGB"; None where there is no ink."""
    scale = -(-min(image.size) // WORK_SIDE)
    found = _look(image, predict, scale)
    if found is None or scale == 1 or found.pieces.height >= FINE_HEIGHT:
        return found
    # Cells are found by their frames, so these must stay in view.
    offset, window = ((0, 0), (0, 0, *image.size)) if found.pieces.in_cells else _around(found, image.size)
    finer = max(1, int(scale * found.pieces.height / (2 * FINE_HEIGHT)))
    return _look(image.crop(window), predict, finer, offset) or found


def _look(image: Image.Image, predict: Predict, scale: int, offset: tuple[int, int] = (0, 0)) -> Candidates | None:
    printed = _Printed()
    writing = ink.find_writing(image, scale, printed)
    if writing is None:
        return None
    pieces: Pieces | None = None
    known: Known = {}
    if printed.cells is not None and len(printed.cells.boxes) > 1:
        pieces = segments.pieces_in_cells(writing, printed.cells.boxes)
    if pieces is None:
        pieces, known = _find_pieces(writing, predict)
    if pieces is None or len(pieces.pieces) > MAX_PIECES:
        return None
    found = list(segments.find_segments(pieces))
    probabilities, rejects = _predict(pieces, found, writing, predict, known)
    return Candidates(pieces, found, probabilities, rejects, scale, offset, writing.level < ink.LOW_CONTRAST)


def _find_pieces(writing: ink.Writing, predict: Predict) -> tuple[Pieces | None, Known]:
    """Marks that the network takes for a digit are left whole, the others are cut if they are wide.

    Returns the pieces, and what the network said of the marks left whole.
    """
    found = segments.label_marks(writing)
    if found is None:
        return None, {}
    wide = [index for index in range(len(found.marks)) if found.may_be_several(index) and found.may_be_one(index)]
    if not wide:
        return segments.split(found, writing, ()), {}
    pictures = np.stack([normalize_crop(found.cut_out(writing.density, index)) for index in wide])
    answers = zip(wide, *predict(pictures), strict=True)
    whole = {
        index: (probabilities, reject)
        for index, probabilities, reject in answers
        if float(probabilities.max()) * (1 - float(reject)) >= SURE
    }
    return segments.split(found, writing, whole), whole


def _predict(
    pieces: Pieces, found: Sequence[Segment], writing: ink.Writing, predict: Predict, known: Known
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the network says of each segment; of whole marks it may be known already."""
    probabilities, rejects = np.empty((len(found), 10), np.float32), np.empty(len(found), np.float32)
    asked: list[int] = []
    for index, segment in enumerate(found):
        mark = pieces.pieces[segment.first].mark
        if segment.first == segment.last and mark in known:
            probabilities[index], rejects[index] = known[mark]
        else:
            asked.append(index)
    if asked:
        pictures = np.stack([normalize_crop(pieces.cut_out(writing.density, found[index])) for index in asked])
        probabilities[asked], rejects[asked] = predict(pictures)
    return probabilities, rejects


class _Printed:
    """Finds what is printed in a mask of all ink: cells once, then ruled lines."""

    def __init__(self) -> None:
        self.cells: cells.Cells | None = None

    def __call__(self, mask: Mask) -> Mask | None:
        if self.cells is None:
            self.cells = cells.find_cells(mask)
            if self.cells is not None:
                return self.cells.lines
        return find_rules(mask)


def _around(found: Candidates, size: tuple[int, int]) -> tuple[tuple[int, int], Box]:
    """The window around all pieces, with a margin, in pixels of the picture."""
    boxes = [piece.box for piece in found.pieces.pieces]
    margin = FINE_MARGIN * found.pieces.height
    left = max(0, int((min(box[0] for box in boxes) - margin) * found.scale))
    top = max(0, int((min(box[1] for box in boxes) - margin) * found.scale))
    right = min(size[0], int((max(box[2] for box in boxes) + margin) * found.scale))
    bottom = min(size[1], int((max(box[3] for box in boxes) + margin) * found.scale))
    return (left, top), (left, top, right, bottom)


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
    """The likeliest numbers, best first."""
    return best_paths(len(candidates.pieces.pieces), _steps(candidates), constraints)


def describe(
    candidates: Candidates, paths: Sequence[Path], calibration: FieldCalibration, accept_at: float
) -> FieldReading:
    """The reading that paths through the candidates lead to, best first."""
    if not paths or not paths[0].text:
        return _unread(candidates, paths)
    probabilities, rejects = candidates.probabilities, candidates.rejects
    best = paths[0]
    digits = tuple(
        FieldDigit(
            step.digit,
            float(probabilities[step.segment][step.digit]),
            probabilities[step.segment],
            float(rejects[step.segment]),
            place(candidates, candidates.segments[step.segment].box),
        )
        for step in best.steps()
        if step.digit is not None
    )
    separators = _separators(candidates, best)
    confidence = calibration.confidence(features(paths))
    decision, reasons = _decide(digits, separators, confidence, accept_at, faint=candidates.faint)
    weakest = min(range(len(digits)), key=lambda index: digits[index].confidence * (1 - digits[index].reject))
    return FieldReading(
        best.text, confidence, _alternatives(paths, confidence), separators, digits, weakest, decision, reasons
    )


def place(found: Candidates | ink.Ink, box: Box) -> Box:
    """A box of the ink map in pixels of the upright upload."""
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


def features(paths: Sequence[Path]) -> tuple[float, ...]:
    """What tells how sure the best path is: its lead over the next, its score, that of its worst step."""
    lead = paths[0].score - paths[1].score if len(paths) > 1 else MOST
    scores = [step.score for step in paths[0].steps() if step.digit is not None]
    return min(lead, MOST), sum(scores) / len(scores), min(scores)


def _steps(candidates: Candidates) -> list[Step]:
    pieces, probabilities = candidates.pieces, candidates.probabilities
    steps = [Step(index, index, None, _skip_score(pieces, index), -1) for index in range(len(pieces.pieces))]
    fits = (scores.segment_features(candidates) @ scores.SEGMENT_WEIGHTS).tolist()
    logs = np.log(np.maximum(probabilities, scores.LEAST))
    behind = scores.GUESS_WEIGHT * (logs - logs.max(axis=1, keepdims=True))
    likeliest = np.argsort(-probabilities, axis=1)[:, :GUESSES].tolist()
    for index, segment in enumerate(candidates.segments):
        for digit in likeliest[index]:
            score = float(behind[index, digit])
            if score >= FAR_BEHIND:
                steps.append(Step(segment.first, segment.last, digit, fits[index] + score, index))
    return steps


def _skip_score(pieces: Pieces, index: int) -> float:
    piece = pieces.pieces[index]
    height = pieces.height
    if not pieces.in_cells and sum(other.mark == piece.mark for other in pieces.pieces) > 1:
        return -SKIP_PART
    if piece.height <= SMALL_HEIGHT * height and piece.area <= SMALL_AREA * height * height:
        return -SKIP_SMALL
    return -SKIP_TALL


def _separators(candidates: Candidates, path: Path) -> tuple[Separator, ...]:
    pieces = candidates.pieces
    steps = path.steps()
    read_ = [step.first for step in steps if step.digit is not None]
    return tuple(
        Separator(_kind(pieces, step.first, read_), place(candidates, pieces.pieces[step.first].box))
        for step in steps
        if step.digit is None
    )


def _kind(pieces: Pieces, index: int, digits: Sequence[int]) -> str:
    """What a skipped piece is, by its size and place."""
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
    """Other numbers; they share what the best one leaves, by their scores."""
    others = [path for path in paths[1:] if path.text]
    return tuple(
        Alternative(path.text, share * (1 - confidence))
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
    if any(separator.kind == "mark" for separator in separators):
        reasons.append(Reason.NOT_A_DIGIT)
    if not reasons:
        return Decision.ACCEPT, ()
    return Decision.REVIEW, (*reasons, *([Reason.LOW_CONTRAST] if faint else []))


# For a model whose record holds none of its own: that of the first network released with fields, as
# `python -m training strings RUN --calibrate` fits it. Its score of paths depends on the network, so a model that
# is calibrated for numbers brings its own, which wins.
DEFAULT_CALIBRATION = FieldCalibration(
    -1.5585477846640308,
    (0.9498115100749942, 0.21458662288111857, 0.19511751148106926),
    {
        "0.01": Threshold(0.965363219431007, 0.48633333333333334, 0.0054832076764907475, 0.009704787007462403, 3000),
        "0.005": None,
        "0.001": None,
    },
)
