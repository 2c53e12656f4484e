"""What each step of the service's normalisation is worth: pictures read with the steps switched off in turn.

Beside it the same steps made of OpenCV's functions (`training.contender`), with the same network behind them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.reader import Digit, Reader, Reading, Source
from training.handwriting import PictureSet, read_all

WHOLE = "all steps"
OPENCV = "the same steps with OpenCV"


def _none(*_: Any, **__: Any) -> None:
    """No lines, no neighbours, no padding: nothing was found."""


def _same(picture: Any) -> Any:
    return picture


def _one_light(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One level of paper for the whole picture: that of its lighter quarter."""
    return np.full_like(grey, int(np.percentile(grey, 75)))


def _all_marks(marks: Sequence[Any], *_: Any, **__: Any) -> list[Any]:
    """Every mark but the smallest specks."""
    return [mark for mark in marks if mark.area >= 3]


def _grey(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("L"))


def _box_middle(picture: NDArray[Any]) -> tuple[float, float]:
    height, width = picture.shape
    return (height - 1) / 2, (width - 1) / 2


# Each step, and what stands in its place when it is off. A switch for each of them would be asked at every picture that
# is served, and only this measurement would ever turn one; so they are replaced from outside, by `mock.patch`, which
# fails loudly where a name is gone.
STEPS: dict[str, Mapping[str, Any]] = {
    "passing through of pictures like MNIST's": {
        "service.ink.TINY": (0, 0),
        "service.preprocessing._is_normal": lambda *_: False,
    },
    "choice of the clearest channel": {"service.paper.best_channel": _grey},
    "polarity": {
        "service.ink._on_spotless_paper": _none,
        "service.paper._on_flat_paper": _none,
        "service.paper._paper_is_dark": lambda *_: False,
    },
    "evening out of light": {"service.paper._light": _one_light},
    "smoothing of grainy paper": {"service.ink._is_cluttered": lambda *_: False},
    "removal of frames and ruling": {"service.ink.find_frame": _none, "service.ink.find_lines": _none},
    "choice among marks": {"service.focus._gather": _all_marks},
    "cutting off of touching neighbours": {"service.focus._between_neighbours": _none},
    "leaving out of repeated rims": {"service.ink.find_unpadded": _none},
    "leaving out of one level all around": {"service.ink.find_surrounded": _none},
    "second, closer look": {"service.ink.FINE_SIDE": 0},
    "stroke width": {"service.preprocessing._bring_to_width": _same},
    "centre of mass": {"service.preprocessing._centre_of_mass": _box_middle},
    "second look where the network is unsure": {"service.reader.UNSURE": 0.0},
}


@contextmanager
def without(step: str) -> Iterator[None]:
    """The service's normalisation with one of STEPS switched off, in this process."""
    with ExitStack() as stack:
        for target, replacement in STEPS[step].items():
            stack.enter_context(mock.patch(target, replacement))
        yield


def ablate(reader: Reader, sets: Sequence[PictureSet]) -> dict[str, list[int]]:
    """Errors on each set with all steps, and without each of them."""
    rows = {WHOLE: [count_errors(reader, pictures, pictures.pictures) for pictures in sets]}
    for step in STEPS:
        with without(step):
            rows[f"without {step}"] = [count_errors(reader, pictures, pictures.pictures) for pictures in sets]
    return rows


def contend(
    reader: Reader, sets: Sequence[PictureSet], normalise: Callable[[bytes], NDArray[np.uint8] | None]
) -> list[int]:
    """Errors on each set where something else brings the pictures to 28x28; where it finds no digit, that is one."""
    return [
        count_errors(reader, pictures, [_as_digit(normalise(data)) for data in pictures.pictures]) for pictures in sets
    ]


def _as_digit(pixels: NDArray[np.uint8] | None) -> Digit:
    return Digit(np.zeros((28, 28), np.uint8) if pixels is None else pixels, frozenset())


def count_errors(reader: Reader, pictures: PictureSet, sources: Sequence[Source]) -> int:
    """How many of a set's pictures, here in whatever form, are not read as their labels say."""
    readings = read_all(reader, sources)
    digits = [reading.digit if isinstance(reading, Reading) else None for reading in readings]
    return sum(digit != label for digit, label in zip(digits, pictures.labels.tolist(), strict=True))
