"""Each step can be switched off, and is on again afterwards; OpenCV's functions come to similar digits."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from service.classifier import DigitClassifier
from service.reader import Reader
from service.settings import released_model
from tests import pictures
from tests.conftest import ROOT
from tests.service.drawings import draw_digit, encode, overlap, with_frame, with_grain, with_shadow
from training.__main__ import main
from training.ablation import STEPS, without
from training.blocks import Table
from training.contender import normalise_with_opencv
from training.costs import DECODING, OPENCV, SERVED, draw_kinds, measure_memory, measure_sizes, measure_times
from training.normalised import normalise_as_served
from training.report import Material, ablated


def with_speck(image: Image.Image) -> Image.Image:
    image.paste(20, (4, 40, 12, 48))
    return image


def between_neighbours() -> Image.Image:
    sheet = Image.new("L", (200, 100), 250)
    for left in (11, 89, 50):
        drawn = pictures.draw(0, 100, pen=0.1)
        sheet.paste(drawn.crop((29, 0, 71, 100)), (left + 29, 0))
    return sheet.crop((65, 5, 135, 95))


def padded() -> Image.Image:
    cell = np.asarray(with_grain(with_speck(draw_digit(5, height=0.8))))
    return Image.fromarray(np.pad(cell[:, 8:], ((0, 0), (40, 0)), "edge"))


def on_a_square() -> Image.Image:
    return ImageOps.expand(with_grain(draw_digit(5)).crop((15, 0, 85, 100)), (25, 10, 25, 10), fill=60)


def far_away() -> Image.Image:
    return ImageOps.expand(draw_digit(5), 600, fill=240)


def in_red_on_green() -> Image.Image:
    """Ink and paper of nearly the same grey."""
    paper = draw_digit(5, ink=0, paper=255)
    return Image.composite(
        Image.new("RGB", paper.size, (60, 120, 70)), Image.new("RGB", paper.size, (220, 40, 40)), paper
    )


SHOWN = {
    "passing through of pictures like MNIST's": lambda: draw_digit(5, 112, height=20 / 28, ink=255, paper=0).resize(
        (28, 28)
    ),
    "choice of the clearest channel": in_red_on_green,
    "polarity": lambda: ImageOps.invert(with_shadow(draw_digit(5))),
    "evening out of light": lambda: with_shadow(draw_digit(5)),
    "smoothing of grainy paper": lambda: with_grain(draw_digit(5, ink=150), 12),
    "removal of frames and ruling": lambda: with_frame(draw_digit(5)),
    "choice among marks": lambda: with_speck(draw_digit(5)),
    "cutting off of touching neighbours": between_neighbours,
    "leaving out of repeated rims": padded,
    "leaving out of one level all around": on_a_square,
    "second, closer look": far_away,
    "stroke width": lambda: draw_digit(5, pen=0.015),
    "centre of mass": lambda: draw_digit(7),
}


def test_the_second_look_can_be_switched_off() -> None:
    asked = []

    class Counting(DigitClassifier):
        def predict(self, digits):
            asked.append(len(digits))
            return np.full((len(digits), 10), 0.1, np.float32), np.zeros(len(digits), np.float32)

    released = DigitClassifier.load(released_model())
    reader, picture = Reader(Counting(released._session, released.record)), encode(draw_digit(7))
    reader.read([picture])
    with without("second look where the network is unsure"):
        reader.read([picture])
    assert asked == [1, 24, 1]


@pytest.mark.parametrize("step", SHOWN)
def test_a_step_that_is_off_changes_what_it_was_made_for(step: str) -> None:
    picture = encode(SHOWN[step]())
    before = normalise_as_served(picture)
    with without(step):
        off = normalise_as_served(picture)
    after = normalise_as_served(picture)
    assert before is not None
    assert np.array_equal(before, after)
    assert off is None or not np.array_equal(before, off)


@pytest.mark.parametrize("digit", [1, 4, 5, 7])
@pytest.mark.parametrize("change", [lambda image: image, ImageOps.invert, with_shadow, with_frame])
def test_opencv_comes_to_a_similar_digit(digit: int, change) -> None:
    picture = encode(change(draw_digit(digit, height=0.5)))
    ours, theirs = normalise_as_served(picture), normalise_with_opencv(picture)
    assert ours is not None
    assert theirs is not None
    assert overlap(ours, theirs) > 0.6


@pytest.mark.parametrize("data", [b"", b"no picture", encode(Image.new("L", (40, 40), 240))])
def test_opencv_finds_no_digit_where_there_is_none(data: bytes) -> None:
    assert normalise_with_opencv(data) is None


def test_every_kind_is_a_picture_of_one_digit_and_timed() -> None:
    kinds = draw_kinds(2)
    assert [Image.open(io.BytesIO(pictures[0])).size for pictures in kinds.values()] == [
        (28, 28),
        (64, 64),
        (64, 64),
        (300, 300),
        (4000, 3000),
        (4000, 3000),
    ]
    digits = [normalise_as_served(pictures[0]) for pictures in kinds.values()]
    assert all(digit is not None and overlap(digit, digits[0]) > 0.5 for digit in digits)
    assert all(normalise_with_opencv(pictures[0]) is not None for pictures in kinds.values())
    times = measure_times({"cell": kinds["64x64 cell"]}, rounds=2)
    assert list(times["cell"]) == [DECODING, SERVED, OPENCV]
    assert all(1 < taken < 1e6 for taken in times["cell"].values())


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell the memory of a process")
def test_a_large_photograph_takes_more_memory_than_a_cell_unless_it_is_decoded_smaller() -> None:
    kinds = draw_kinds(1)
    taken = measure_memory(kinds)
    grey = 4000 * 3000 / 2**20
    assert taken[OPENCV]["12-megapixel JPEG"] - taken[OPENCV]["small pictures"] > 0.9 * grey
    assert taken[SERVED]["12-megapixel JPEG"] - taken[SERVED]["small pictures"] < 0.9 * grey


def test_installed_sizes_are_those_of_the_two_packages() -> None:
    sizes = measure_sizes()
    assert [row["distribution"] for row in sizes.values()] == ["pillow", "opencv-python-headless"]
    assert sizes[OPENCV]["megabytes"] > sizes[SERVED]["megabytes"] > 1


def test_the_verb_records_a_row_for_each_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for digit in (3, 7):
        (tmp_path / f"{digit}.png").write_bytes(pictures.png(digit))
    assert main(["ablate", str(released_model()), str(tmp_path), "--record", str(tmp_path)]) == 0
    figures = json.loads((tmp_path / "ablation.json").read_text())
    assert list(figures["errors"]) == [
        "all steps",
        *(f"without {step}" for step in STEPS),
        "the same steps with OpenCV",
    ]
    assert figures["errors"]["all steps"] == [0]
    told = capsys.readouterr().out
    assert "without stroke width" in told
    assert "MB installed" in told
    section = ablated(Material([], tmp_path, tmp_path, {"ablation": figures}))
    assert section is not None
    misread, times, sizes = (block for block in section.blocks if isinstance(block, Table))
    assert misread.rows[0] == ("all steps", "0 (0.00%)")
    assert len(times.rows) == 6
    assert sizes.rows[0][0] == "installed"


def test_a_record_of_fewer_steps_is_reported_as_it_is(tmp_path: Path) -> None:
    figures = json.loads((ROOT / "docs" / "figures" / "ablation.json").read_text())
    figures["errors"] = {name: row for name, row in figures["errors"].items() if name != "without stroke width"}
    section = ablated(Material([], tmp_path, tmp_path, {"ablation": figures}))
    assert section is not None
    assert [row[0] for row in section.blocks[1].rows] == list(figures["errors"])


def test_nothing_is_reported_where_nothing_was_measured(tmp_path: Path) -> None:
    assert ablated(Material([], tmp_path, tmp_path)) is None
