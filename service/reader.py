"""The one way from bytes to a reading: decode -> ink -> normalize -> predict -> decide.

The routes, the command line and training's evaluation all come through here, so what is measured is what is served.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service import decisions, fields, images, ink, preprocessing
from service.classifier import DigitClassifier, Predict, choose
from service.columns import ColumnReader
from service.decisions import Decision, Reason, Threshold
from service.errors import InvalidImage, ServiceError
from service.fields import FieldReading
from service.paths import ANY, Constraints
from service.scores import Candidates


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
    """A normalised digit, ready for the network: uint8 `[28, 28]`, and what was noticed on the way to it.

    `picture` gives the picture that it was found in, if it may be looked at again; what came normalised may not.
    """

    pixels: NDArray[np.uint8]
    noticed: frozenset[str]
    picture: Callable[[], Image.Image] | None = None


def _normalize(found: ink.Ink, picture: Callable[[], Image.Image]) -> "Digit | Reading":
    pixels = preprocessing.normalize(found)
    if pixels is None:
        return _BLANK
    return Digit(pixels, found.noticed, None if pixels is found.density else picture)


def look_again(predict: Predict, digit: Digit) -> tuple[Digit, NDArray[np.float32], np.float32]:
    """A digit that the network is not sure of, found in other ways too and put in other places, and the answer.

    What rules decided at first sight, how grainy the paper is, how dark ink is and where a neighbour ends, the network may
    know better.

    Args:
        predict: the network.
        digit: one with a picture.
    """
    assert digit.picture is not None
    image = digit.picture()
    others = [_normalize(ink.find_ink(image, look), digit.picture) for look in ink.OTHER_LOOKS]
    found = [digit, *(other for other in others if isinstance(other, Digit))]
    # Mostly one of the ways finds what another did; the network is asked about it once.
    different = {each.pixels.tobytes(): each.pixels for each in found}
    places = np.stack([np.stack([pixels, *preprocessing.placed_elsewhere(pixels)]) for pixels in different.values()])
    kinds, count, *shape = places.shape
    probabilities, rejects = predict(places.reshape(kinds * count, *shape))
    ways = [list(different).index(each.pixels.tobytes()) for each in found]
    answers, doubts = probabilities.reshape(kinds, count, -1)[ways], rejects.reshape(kinds, count)[ways]
    way, place = divmod(choose(answers, doubts), count)
    return Digit(places[ways[way], place], found[way].noticed), answers[way, place], doubts[way, place]


_BLANK = Reading(None, 0.0, None, 1.0, Decision.REJECT, (Reason.BLANK,), None)


@dataclass(frozen=True)
class _Asked:
    """What a call says of when to accept, and where its seconds are noted."""

    accept_at: float | None = None
    target_error: float | None = None
    timings: Timings = field(default_factory=Timings)


# A field of one digit is hardly wider than high; pictures up to this part of their height wide are first read as one.
SQUARE = 1.35
# What is no digit there is several from this confidence on. Of two digits in a square picture nine in ten are read so, and
# hardly a drawing of something else.
SEVERAL = 0.9

# Below this confidence the picture is looked at again.
UNSURE = 0.95

Source = bytes | images.Page | Digit | ServiceError


def is_heavy(source: Source) -> bool:
    """Whether most of the time that reading takes goes into decoding, which holds no lock of the interpreter."""
    return isinstance(source, images.Page) or (isinstance(source, bytes) and not images.is_light(source))


@dataclass(frozen=True)
class Reader:
    """Reads pictures of single digits with a classifier; with columns too, also those of numbers."""

    classifier: DigitClassifier
    columns: ColumnReader | None = None
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
        return [
            self.decide(item, *next(answers), timings, accept_at) if isinstance(item, Digit) else item
            for item in prepared
        ]

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
        digit = _normalize(ink.find_ink(image), partial(images.decode, source, max_pixels=self.max_pixels))
        timings.normalize += perf_counter() - decoded
        return digit

    def decide(
        self,
        digit: Digit,
        probabilities: NDArray[np.float32],
        reject: np.float32,
        timings: Timings,
        accept_at: float | None = None,
    ) -> Reading:
        """The second half of the way: what the network said of a digit, and what may be done with it."""
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        if confidence < UNSURE and digit.picture is not None:
            started, doubted = perf_counter(), reject >= decisions.REJECT_AT
            digit, probabilities, reject = look_again(self.classifier.predict, digit)
            if doubted:
                # What was no digit at first sight may be one at the second, but is not used unread.
                digit = replace(digit, noticed=digit.noticed | {Reason.NOT_A_DIGIT})
            best = int(probabilities.argmax())
            confidence = float(probabilities[best])
            timings.infer += perf_counter() - started
        threshold = self.default_accept_at if accept_at is None else accept_at
        doubt_at, no_digit = self.classifier.record.doubt_at, float(reject)
        decision, reasons = decisions.decide(digit.noticed, confidence, no_digit, threshold, doubt_at)
        return Reading(best, confidence, probabilities, no_digit, decision, reasons, digit.pixels)

    def read_field(
        self,
        source: Source,
        constraints: Constraints = ANY,
        *,
        accept_at: float | None = None,
        target_error: float | None = None,
        timings: Timings | None = None,
    ) -> FieldReading | ServiceError:
        """Read the number in one picture; a picture with one mark in it is read as `read` does.

        Args:
            source: an encoded picture, a page of an opened one, or the error of one that could not be had.
            constraints: what is known of the number.
            accept_at: least confidence to accept at, as in `read`.
            target_error: promised error rate that picks it from the record: of single digits, or of whole numbers.
            timings: the seconds that each stage took are added.
        """
        timings = timings or Timings()
        if isinstance(source, ServiceError | Digit):
            return source if isinstance(source, ServiceError) else InvalidImage("a normalised digit is no field")
        started = perf_counter()
        try:
            picture = images.decode_upright(source, max_pixels=self.max_pixels)
        except ServiceError as error:
            return error
        finally:
            timings.decode += perf_counter() - started
        reading = self._read_field_image(picture.image, constraints, _Asked(accept_at, target_error, timings))
        return reading if picture.image.size == picture.size else reading.enlarged(picture.image.size, picture.size)

    def _read_field_image(self, image: Image.Image, constraints: Constraints, asked: _Asked) -> FieldReading:
        timings = asked.timings
        started, inferred = perf_counter(), timings.infer

        def predict(digits: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            begun = perf_counter()
            answers = self.classifier.predict(digits)
            timings.infer += perf_counter() - begun
            timings.digits += len(digits)
            return answers

        reading = self._read_square(image, constraints, asked, predict)
        if reading is None:
            reading = self._read_several(image, constraints, asked, predict)
        timings.normalize += perf_counter() - started - (timings.infer - inferred)
        return reading

    def _read_square(
        self, image: Image.Image, constraints: Constraints, asked: _Asked, predict: Predict
    ) -> FieldReading | None:
        """The reading as one digit of a picture of about its shape; None where it may rather be several."""
        if image.width > SQUARE * image.height or not constraints.allow_one():
            return None
        one = self._read_one(image, asked, predict)
        if Reason.MULTIPLE_DIGITS in one.reasons:
            return None
        if Reason.NOT_A_DIGIT not in one.reasons:
            return one
        several = self._read_several(image, constraints, asked, predict)
        return several if several.confidence >= SEVERAL and several.decision != Decision.REJECT else one

    def _read_several(
        self, image: Image.Image, constraints: Constraints, asked: _Asked, predict: Predict
    ) -> FieldReading:
        """The number in a picture; where it has one digit alone, as `read` reads it."""
        assert self.columns is not None  # who reads fields gives one
        found = fields.find_candidates(image, predict, self.columns)
        reading = fields.BLANK if found is None else self._choose(found, constraints, asked)
        if len(reading.text) > 1 or reading.separators or not constraints.allow_one():
            return reading
        return self._read_one(image, asked, predict)

    def _choose(self, found: Candidates, constraints: Constraints, asked: _Asked) -> FieldReading:
        assert self.columns is not None
        calibration = self.columns.record.calibration
        accept_at = self._accept_at(asked, calibration.thresholds)
        return fields.read(found, constraints=constraints, calibration=calibration, accept_at=accept_at)

    def _read_one(self, image: Image.Image, asked: _Asked, predict: Predict) -> FieldReading:
        """What `read` answers for the picture, as the reading of a field."""
        found = ink.find_ink(image)
        digit = _normalize(found, lambda: image)
        if isinstance(digit, Reading) or found.box is None:
            return fields.BLANK
        probabilities, rejects = predict(digit.pixels[np.newaxis])
        accept_at = self._accept_at(asked, self.classifier.record.thresholds)
        single = self.decide(digit, probabilities[0], rejects[0], asked.timings, accept_at)
        assert single.probabilities is not None  # a digit has some
        box = fields.place(found, found.box)
        return fields.of_one_digit(single.probabilities, single.reject, single.decision, single.reasons, box)

    def _accept_at(self, asked: _Asked, thresholds: Mapping[str, Threshold | None]) -> float:
        """Least confidence to accept at: as the call says, else as this reader, else the record's for the default."""
        if asked.accept_at is not None:
            return asked.accept_at
        if asked.target_error is None and self.accept_at is not None:
            return self.accept_at
        return decisions.accept_at_for(asked.target_error or decisions.DEFAULT_TARGET_ERROR, thresholds)

    @cached_property
    def default_accept_at(self) -> float:
        """Least confidence to accept at when a call names none."""
        return self._accept_at(_Asked(), self.classifier.record.thresholds)
