"""The one way from bytes to a reading: decode -> ink -> normalize -> predict -> decide.

The routes, the command line and training's evaluation all come through here, so what is measured is what is served.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
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

    `read` and `queue`, receiving the upload and waiting for a turn, are filled in by who did so.
    """

    read: float = 0.0
    decode: float = 0.0
    normalize: float = 0.0
    queue: float = 0.0
    infer: float = 0.0
    digits: int = 0


@dataclass(frozen=True)
class Digit:
    """A normalised digit, ready for the network: uint8 `[28, 28]`, and what was noticed on the way to it."""

    pixels: NDArray[np.uint8]
    noticed: frozenset[str]


_BLANK = Reading(None, 0.0, None, 1.0, Decision.REJECT, (Reason.BLANK,), None)

Source = bytes | images.Page | Digit | ServiceError


def is_heavy(source: Source) -> bool:
    """Whether most of the time that reading takes goes into decoding, which holds no lock of the interpreter."""
    return isinstance(source, images.Page) or (isinstance(source, bytes) and not images.is_light(source))


@dataclass(frozen=True)
class Reader:
    """Reads pictures of single digits with one classifier."""

    classifier: DigitClassifier
    max_pixels: int = images.DEFAULT_MAX_PIXELS
    accept_at: float | None = None

    def read(
        self, sources: Iterable[Source], *, accept_at: float | None = None, timings: Timings | None = None
    ) -> list[Reading | ServiceError]:
        """Read each picture; one that cannot be read yields its error and harms no other.

        Args:
            sources: encoded pictures, pages of an opened one, digits that are normalised already, or the errors of
                those that could not be had.
            accept_at: least confidence to accept at; by default the reader's own, else the one the model's record
                gives for the default target error.
            timings: filled with the seconds that each stage took.
        """
        timings = timings or Timings()
        prepared = [self.prepare(source, timings) for source in sources]
        digits = [item for item in prepared if isinstance(item, Digit)]
        if not digits:
            return [item for item in prepared if not isinstance(item, Digit)]
        started = perf_counter()
        probabilities, rejects = self.classifier.predict(np.stack([digit.pixels for digit in digits]))
        timings.infer += perf_counter() - started
        timings.digits += len(digits)
        answers = zip(probabilities, rejects, strict=True)
        return [self.decide(item, *next(answers), accept_at) if isinstance(item, Digit) else item for item in prepared]

    def prepare(self, source: Source, timings: Timings) -> Digit | Reading | ServiceError:
        """The first half of the way: the digit as the network takes it; at once the answer where there is no ink."""
        if isinstance(source, ServiceError):
            return source
        if isinstance(source, Digit):
            return source if source.pixels.any() else _BLANK
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
        return _BLANK if pixels is None else Digit(pixels, found.noticed)

    def decide(
        self, digit: Digit, probabilities: NDArray[np.float32], reject: np.float32, accept_at: float | None = None
    ) -> Reading:
        """The second half of the way: what the network said of a digit, and what may be done with it."""
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        threshold = self.default_accept_at if accept_at is None else accept_at
        doubt_at, no_digit = self.classifier.record.doubt_at, float(reject)
        decision, reasons = decisions.decide(digit.noticed, confidence, no_digit, threshold, doubt_at)
        return Reading(best, confidence, probabilities, no_digit, decision, reasons, digit.pixels)

    @cached_property
    def default_accept_at(self) -> float:
        """Least confidence to accept at when a call names none."""
        if self.accept_at is not None:
            return self.accept_at
        return decisions.accept_at_for(decisions.DEFAULT_TARGET_ERROR, self.classifier.record.thresholds)
