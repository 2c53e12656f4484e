"""What each of the two ways to read a number is worth alone: cutting it into digits, and reading its columns.

The service does both: the column network says where to cut, the digit network reads the pieces, one score weighs what
both say. Here the same strings are read by cutting alone, wherever little ink is crossed, and by the columns alone,
frame by frame. The weights of the score stay those that were fitted with both networks.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service import fields, images
from service.decisions import wilson_interval
from service.fields import ANY, PAPER, ColumnReader, Frames, Strip
from service.reader import Reader
from training.data import Digits
from training.fields import read_numbers
from training.strings import Pool, make_strings

Route = Callable[[Reader, Image.Image], str]
# A picture, and the number in it.
Known = tuple[Image.Image, str]

SEED = 13
STYLES = ("spaced", "touching")
# Digits that a string of test digits has, and real numbers that are read.
LENGTH, REAL = 5, 200


class _Blind(Frames):
    """Frames that say nothing: a digit may be anywhere, and cuts are allowed everywhere."""

    def evidence(
        self,
        bounds: NDArray[np.intp],  # noqa: ARG002 there is nothing to look up
        first: NDArray[np.intp],
        last: NDArray[np.intp],  # noqa: ARG002
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        shape = len(first), PAPER
        return np.zeros(shape, np.float32), np.full(shape, np.nan, np.float32)

    def middles(self, columns: int) -> NDArray[np.bool_]:
        return np.ones(columns, np.bool_)

    def gaps(self, columns: int) -> NDArray[np.bool_]:
        return np.ones(columns, np.bool_)

    def borders(self) -> list[float]:
        return []


class _NoColumns(ColumnReader):
    """Takes the place of the column network, and is not asked."""

    def __init__(self) -> None:
        """There is no session."""

    def read(self, strip: Strip) -> Frames:
        return _Blind(np.zeros((1, PAPER + 1), np.float32), strip)


def read_both(reader: Reader, image: Image.Image) -> str:
    """As the service reads."""
    assert reader.columns is not None
    return _best(fields.find_candidates(image, reader.classifier.predict, reader.columns))


def read_cutting(reader: Reader, image: Image.Image) -> str:
    """By cuts and the digit network alone, which is asked about every segment."""
    return _best(fields.find_candidates(image, reader.classifier.predict, _NoColumns(), inf))


def read_columns(reader: Reader, image: Image.Image) -> str:
    """By the column network alone: runs of frames that are likeliest to show the same digit."""
    assert reader.columns is not None
    line = fields.find_text_line(image)
    if line is None:
        return ""
    return reader.columns.read(line.strip()).text


def _best(found: Any) -> str:
    paths = fields.find_paths(found, ANY) if found is not None else []
    return paths[0].text if paths else ""


ROUTES: dict[str, Route] = {
    "both, as served": read_both,
    "cutting alone": read_cutting,
    "columns alone": read_columns,
}


def measure(reader: Reader, digits: Digits, count: int, sequences: Path | None = None) -> dict[str, Any]:
    """For each route exact strings of each kind, with intervals, and the median milliseconds of a made string.

    Args:
        reader: with a column network.
        digits: that strings of 5 are made of.
        count: strings of each style.
        sequences: a folder of real numbers, of which up to 200 are read, evenly chosen; None for none.
    """
    made = {style: _strings(style, Pool(digits), count) for style in STYLES}
    real = {"amounts": _amounts(sequences)} if sequences else {}
    return {name: _measure_route(reader, route, made, real) for name, route in ROUTES.items()}


def _measure_route(
    reader: Reader, route: Route, made: Mapping[str, Sequence[Known]], real: Mapping[str, Sequence[Known]]
) -> dict[str, Any]:
    seconds: list[float] = []
    exact: dict[str, Any] = {}
    for kind, known in {**made, **real}.items():
        hits = 0
        for image, text in known:
            started = time.process_time()
            hits += route(reader, image) == text
            if kind in made:
                seconds.append(time.process_time() - started)
        exact[kind] = {"n": len(known), "exact": hits / len(known), "interval": wilson_interval(hits, len(known))}
    return {"exact": exact, "time": 1000 * float(np.median(seconds))}


def _strings(style: str, pool: Pool, count: int) -> list[Known]:
    strings = make_strings(count, style, pool, np.random.default_rng(SEED), LENGTH)
    return [(Image.fromarray(string.picture), string.text) for string in strings]


def _amounts(folder: Path) -> list[Known]:
    rows = read_numbers(folder)
    chosen = rows[:: max(1, len(rows) // REAL)][:REAL]
    return [(images.decode((folder / row["file"]).read_bytes()), row["transcription"]) for row in chosen]
