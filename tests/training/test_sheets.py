"""Lines of a sheet, found before the service reads them."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests import pictures
from training.sheets import cut_lines, turn


def draw_sheet(lines: list[list[int]], *, side: int = 500) -> np.ndarray:
    """A sheet in a dark room, in uneven light, with a row of digits for each line and one speck."""
    page = Image.new("L", (side, side), 90)
    page.paste(220, (20, 15, side - 20, side - 15))
    for row, digits in enumerate(lines):
        for place, digit in enumerate(digits):
            glyph = pictures.draw(digit, 70, paper=220, ink=60)
            page.paste(glyph, (60 + 60 * place, 50 + 120 * row + 2 * place))
    page.paste(70, (400, 440, 403, 443))
    light = np.linspace(1.0, 0.75, side)[np.newaxis]
    return np.asarray(np.asarray(page.filter(ImageFilter.GaussianBlur(0.7))) * light, np.uint8)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_line_is_cut_out_whole(count: int) -> None:
    lines = cut_lines(Image.fromarray(draw_sheet([[4, 0, 7, 2]] * count)))
    assert len(lines) == count
    for line in lines:
        assert 42 <= len(line) <= 110
        assert 220 <= line.shape[1] <= 320


def test_a_large_photograph_has_the_same_lines() -> None:
    large = Image.fromarray(draw_sheet([[4, 0, 7], [1, 2]])).resize((2000, 2000), Image.Resampling.BICUBIC)
    small = large.resize((500, 500), Image.Resampling.BOX)
    widths, reduced = ([line.shape[1] for line in cut_lines(sheet)] for sheet in (large, small))
    assert widths == pytest.approx([4 * width for width in reduced], rel=0.1)


def test_an_empty_sheet_has_no_line() -> None:
    assert cut_lines(Image.fromarray(draw_sheet([]))) == []


def test_a_single_mark_is_no_line() -> None:
    assert cut_lines(Image.fromarray(draw_sheet([[4]]))) == []


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ("lies on its side: turn 90 degrees counter-clockwise, 9x9", (0, 3)),
        ("turn 90 degrees clockwise", (1, 0)),
        ("upright", (0, 0)),
    ],
)
def test_sheets_are_turned_as_is_told(told: str, at: tuple[int, int]) -> None:
    picture = Image.new("L", (4, 2))
    picture.putpixel((0, 0), 255)
    turned = np.asarray(turn(picture, told))
    assert tuple(int(place[0]) for place in np.nonzero(turned))[::-1] == at
