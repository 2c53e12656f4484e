"""Sets of pictures, variants of one digit, corruptions: what is counted, and that the counts are right."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.reader import Reader
from service.settings import released_model
from tests import pictures
from tests.training.digits import write_npz
from training.__main__ import main
from training.data import Digits
from training.drawing import draw_digits
from training.errors import DataError
from training.handwriting import load_set, score_set, score_variants
from training.variants import variants


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two folders: one read right, in the other a 3 that calls itself an 8, and a blank sheet."""
    for name, label, content in (
        ("first/3.png", 3, pictures.png(3)),
        ("first/7_a.png", 7, pictures.png(7)),
        ("second/8.png", 3, pictures.png(3)),
        ("second/5.png", 5, pictures.blank()),
    ):
        assert label <= 9
        path = tmp_path / "scans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "scans" / "notes.txt").write_text("no picture")
    return tmp_path / "scans"


def test_a_folder_is_scored_whole_and_by_folder(folder: Path, reader: Reader) -> None:
    scores = score_set(reader, load_set(str(folder)))
    assert (scores["name"], scores["n"], scores["errors"]) == ("scans", 4, 2)
    assert (scores["accepted"], scores["accepted_wrong"], scores["rejected"]) == (3, 1, 1)
    assert scores["folders"]["first"]["accuracy"] == 1
    assert scores["folders"]["second"]["accuracy"] == 0
    assert scores["macro"] == 0.5


def test_arrays_are_read_by_name(tmp_path: Path, reader: Reader) -> None:
    grey = np.stack([np.asarray(pictures.draw(digit, 64)) for digit in range(10)])
    np.savez(tmp_path / "cells.npz", x=grey, tight=255 - grey, y=np.arange(10))
    for source, name in ((f"{tmp_path}/cells.npz", "cells"), (f"{tmp_path}/cells.npz:tight", "cells tight")):
        scores = score_set(reader, load_set(source))
        assert (scores["name"], scores["n"]) == (name, 10)
        assert scores["accuracy"] >= 0.9
        assert "macro" not in scores


def test_the_digits_of_scikit_learn_are_a_set() -> None:
    digits = load_set("load_digits")
    assert len(digits.pictures) == len(digits.labels) == 1797


@pytest.mark.parametrize("source", ["nowhere", "nowhere.npz"])
def test_a_set_that_is_not_there_is_named(source: str) -> None:
    with pytest.raises(DataError, match="nowhere"):
        load_set(source)


def test_a_digit_is_read_alike_in_nearly_every_variant(reader: Reader) -> None:
    drawn = Digits(*draw_digits(2, np.random.default_rng(4)))
    names = [name for name, _ in variants(drawn.images[0])]
    assert len(names) == len(set(names)) > 50
    scores = score_variants(reader, drawn)
    assert scores["n"] == 2 * (len(names) - 1)
    assert scores["agree"] >= 0.97


def test_the_verb_records_what_it_told(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_npz(tmp_path / "mnist.npz", train=100, test=40)
    model = str(released_model())
    arguments = [model, str(folder), "--varied", "2", "--corrupted", "20", "--record", str(tmp_path / "figures")]
    arguments += ["--runs", str(tmp_path / "runs")]
    assert main(["handwriting", "--data", str(source), *arguments]) == 0
    told = capsys.readouterr().out
    assert "scans: 50.00% of 4" in told
    with Image.open(tmp_path / "runs" / "misread" / "scans.png") as misread:
        assert misread.width > 500, "twelve digits side by side, one of them and what the network saw of it are there"
    figures = json.loads((tmp_path / "figures" / "handwriting.json").read_text())
    assert figures["sets"][0]["n"] == 4
    assert len(figures["model"]["sha256"]) == 64
    [scores] = figures["corruptions"].values()
    assert f"mean {scores['mean']:.2%} of 20 each" in told
