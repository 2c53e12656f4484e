"""The one way from bytes to a reading: decode -> ink -> normalize -> predict -> decide.

The routes, the command line and training's evaluation all come through here, so what is measured is what is served.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from service import decisions, images, ink, preprocessing
from service.classifier import DigitClassifier
from service.decisions import Decision, Reason
from service.errors import ServiceError


@dataclass(frozen=True)
class Reading:
    """The answer for one picture.

    `digit`, `probabilities` (float32 `[10]`) and `pixels` (uint8 `[28, 28]`, what the network saw) are None where
    there is no ink.
    """

    digit: int | None
    confidence: float
    probabilities: NDArray[np.float32] | None
    reject: float
    decision: Decision
    reasons: tuple[Reason, ...]
    pixels: NDArray[np.uint8] | None


@dataclass
class Timings:
    """Seconds spent in each stage of one call, and how many digits the network saw.

    `queue` is the wait before the work began, filled in by who let it wait.
    """

    decode: float = 0.0
    normalize: float = 0.0
    queue: float = 0.0
    infer: float = 0.0
    digits: int = 0


@dataclass(frozen=True)
class _Digit:
    pixels: NDArray[np.uint8]
    noticed: frozenset[str]


_BLANK = Reading(None, 0.0, None, 1.0, Decision.REJECT, (Reason.BLANK,), None)


@dataclass(frozen=True)
class Reader:
    """Reads pictures of single digits with one classifier."""

    classifier: DigitClassifier
    max_pixels: int = images.DEFAULT_MAX_PIXELS
    accept_at: float | None = field(default=None)

    def read(
        self,
        sources: Sequence[bytes | images.Page | ServiceError],
        *,
        accept_at: float | None = None,
        timings: Timings | None = None,
    ) -> list[Reading | ServiceError]:
        """Read each picture; one that cannot be read yields its error and harms no other.

        Args:
            sources: encoded pictures, pages of an opened one, or the errors of those that could not be had.
            accept_at: least confidence to accept at; by default the reader's own, else the one the model's record
                gives for the default target error.
            timings: filled with the seconds that each stage took.
        """
        timings = timings or Timings()
        threshold = accept_at if accept_at is not None else self.default_accept_at
        results: list[Reading | ServiceError | _Digit] = [self._normalize(source, timings) for source in sources]
        digits = [(index, item) for index, item in enumerate(results) if isinstance(item, _Digit)]
        if digits:
            started = perf_counter()
            probabilities, rejects = self.classifier.predict(np.stack([digit.pixels for _, digit in digits]))
            timings.infer += perf_counter() - started
            timings.digits += len(digits)
            for (index, digit), row, reject in zip(digits, probabilities, rejects, strict=True):
                results[index] = _reading(digit, row, float(reject), threshold)
        return [result for result in results if not isinstance(result, _Digit)]

    @property
    def default_accept_at(self) -> float:
        """Least confidence to accept at when a call names none."""
        if self.accept_at is not None:
            return self.accept_at
        return decisions.accept_at_for(decisions.DEFAULT_TARGET_ERROR, self.classifier.record.thresholds)

    def _normalize(
        self, source: bytes | images.Page | ServiceError, timings: Timings
    ) -> "Reading | ServiceError | _Digit":
        if isinstance(source, ServiceError):
            return source
        started = perf_counter()
        try:
            image = images.decode(source, max_pixels=self.max_pixels)
        except ServiceError as error:
            return error
        finally:
            decoded = perf_counter()
            timings.decode += decoded - started
        found = ink.find_ink(image)
        pixels = preprocessing.normalize(found)
        timings.normalize += perf_counter() - decoded
        return _BLANK if pixels is None else _Digit(pixels, found.noticed)


def _reading(digit: _Digit, probabilities: NDArray[np.float32], reject: float, accept_at: float) -> Reading:
    best = int(probabilities.argmax())
    confidence = float(probabilities[best])
    decision, reasons = decisions.decide(digit.noticed, confidence, reject, accept_at)
    return Reading(best, confidence, probabilities, reject, decision, reasons, digit.pixels)
