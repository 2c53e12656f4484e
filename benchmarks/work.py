"""What every server in the comparison does with a picture: the same functions, the same answer.

`BENCH_WORK=robust` reads as this service does; `plain` resizes to 28x28 as the tutorials do. Both end in the released
network on one thread.
"""

import io
import os
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from PIL import Image

from service.classifier import DigitClassifier
from service.errors import ServiceError
from service.reader import Digit, Reader, Timings
from service.settings import released_model

ROBUST = os.environ.get("BENCH_WORK", "robust") == "robust"


class Work:
    """Decode and normalise one picture, run the network on several, answer each."""

    def __init__(self) -> None:
        classifier = DigitClassifier.load(released_model())
        classifier.warm_up()
        self.reader = Reader(classifier)
        record = classifier.record
        self._model = {"name": record.name, "version": record.version, "sha256": record.sha256}

    def prepare(self, data: bytes) -> Digit:
        """A picture as the network takes it."""
        if not ROBUST:
            return Digit(resize(data), frozenset())
        prepared = self.reader.prepare(data, Timings())
        if isinstance(prepared, ServiceError):
            raise prepared
        assert isinstance(prepared, Digit)
        return prepared

    def predict(self, digits: list[Digit]) -> list[dict[str, Any]]:
        """Answers, in one run of the network."""
        pixels: NDArray[np.uint8] = np.stack([digit.pixels for digit in digits])
        rows = zip(digits, *self.reader.classifier.predict(pixels), strict=True)
        return [self._answer(digit, probabilities, reject) for digit, probabilities, reject in rows]

    def read(self, data: bytes) -> dict[str, Any]:
        """The answer to one picture."""
        return self.predict([self.prepare(data)])[0]

    def _answer(self, digit: Digit, probabilities: NDArray[np.float32], reject: np.float32) -> dict[str, Any]:
        reading = self.reader.decide(digit, probabilities, reject, Timings())
        return {
            "digit": reading.digit,
            "confidence": np.float32(reading.confidence),
            "probabilities": reading.probabilities,
            "reject": np.float32(reading.reject),
            "decision": reading.decision,
            "reasons": reading.reasons,
            "model": self._model,
        }


def resize(data: bytes) -> NDArray[np.uint8]:
    """A picture as the tutorials hand it to the network: uint8 `[28, 28]`."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("L").resize((28, 28)))


def to_json(answer: Any) -> bytes:
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
