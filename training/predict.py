"""One picture, one model file: what the network saw and what it answered, on the terminal and as a picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.images import decode
from training.errors import DataError
from training.evaluate import Predict
from training.formats import normalize_picture

BAR = 30  # characters of a probability of 1
_SHADES = " .:-=+*#%@"


@dataclass(frozen=True)
class Answer:
    """`pixels` uint8 `[28, 28]` as the network saw them, `probabilities` float32 `[10]`, `reject` 0..1."""

    picture: Image.Image
    pixels: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    reject: float

    @property
    def digit(self) -> int:
        return int(self.probabilities.argmax())


def answer_picture(predict: Predict, path: Path) -> Answer:
    """Normalise a picture exactly as the service does and ask a model.

    Raises:
        DataError: the file is missing, no picture, or holds no ink.
    """
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise DataError(f"{path} cannot be read: {exc.strerror or exc}") from exc
    pixels = normalize_picture(data)
    if isinstance(pixels, str):
        raise DataError(f"{path} cannot be read as a digit: {pixels}")
    probabilities, reject = predict(pixels[np.newaxis])
    return Answer(decode(data), pixels, probabilities[0], float(reject[0]))


def answer_lines(answer: Answer) -> list[str]:
    """The normalised picture, two rows of pixels to a line, beside a bar for each digit."""
    bars = [
        f"{digit} {'#' * round(float(p) * BAR):<{BAR}} {p:.4f}{'  <--' if digit == answer.digit else ''}"
        for digit, p in enumerate(answer.probabilities)
    ]
    beside = ["", "", *bars, f"  no digit {answer.reject:.4f}"]
    return [
        f"{left}  {right}".rstrip() for left, right in zip(picture_lines(answer.pixels), _filled(beside), strict=True)
    ]


def picture_lines(pixels: NDArray[np.uint8]) -> list[str]:
    """A picture uint8 `[28, 28]` as 14 lines of text; a character is twice as high as it is wide."""
    pairs = pixels.reshape(14, 2, 28).astype(int).mean(axis=1)
    levels = (pairs * (len(_SHADES) - 1) / 255).round().astype(int)
    return ["|" + "".join(_SHADES[level] for level in row) + "|" for row in levels]


def _filled(lines: list[str]) -> list[str]:
    return lines + [""] * (14 - len(lines))
