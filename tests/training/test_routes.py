"""What each of the two ways of reading is worth alone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.reader import Reader
from training.data import Digits
from training.drawing import draw_digits
from training.routes import ROUTES, measure
from training.strings import Pool, make_strings


@pytest.fixture(scope="module")
def drawn() -> Digits:
    return Digits(*draw_digits(300, np.random.default_rng(0)))


@pytest.mark.parametrize("name", ROUTES)
def test_each_route_reads_most_spaced_digits(reader: Reader, drawn: Digits, name: str) -> None:
    strings = list(make_strings(12, "spaced", Pool(drawn), np.random.default_rng(3), 3))
    read = [ROUTES[name](reader, Image.fromarray(string.picture)) for string in strings]
    assert sum(text == string.text for text, string in zip(read, strings, strict=True)) >= 6


@pytest.mark.parametrize("name", ROUTES)
def test_no_route_reads_blank_paper(reader: Reader, name: str) -> None:
    assert ROUTES[name](reader, Image.new("L", (300, 80), 240)) == ""


def test_cutting_alone_needs_no_columns(reader: Reader, drawn: Digits) -> None:
    [string] = make_strings(1, "spaced", Pool(drawn), np.random.default_rng(1), 3)
    picture, alone = Image.fromarray(string.picture), Reader(reader.classifier)
    assert ROUTES["cutting alone"](alone, picture) == ROUTES["cutting alone"](reader, picture)


def test_the_same_strings_are_measured_by_every_route(reader: Reader, drawn: Digits, tmp_path: Path) -> None:
    [string] = make_strings(1, "spaced", Pool(drawn), np.random.default_rng(1), 3)
    Image.fromarray(string.picture).save(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text(f"file,transcription\na.png,{string.text}\n")
    figures = measure(reader, drawn, 3, tmp_path)
    assert list(figures) == list(ROUTES)
    for row in figures.values():
        assert {kind: part["n"] for kind, part in row["exact"].items()} == {"spaced": 3, "touching": 3, "amounts": 1}
        assert row["time"] > 0
