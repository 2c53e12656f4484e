import numpy as np
import pytest

from service.lines import find_lines
from tests.service.drawings import draw_digit, with_frame, with_rules


def ink(image) -> np.ndarray:
    return np.asarray(image) < 128


def test_a_frame_is_found_whole_and_the_digit_in_it_untouched() -> None:
    digit = draw_digit(5)
    lines = find_lines(ink(with_frame(digit)))
    assert lines is not None
    assert (lines == ink(with_frame(digit)) & ~ink(digit)).mean() > 0.99
    assert not (lines & ink(digit)).any()


@pytest.mark.parametrize("tilt", [-5, 0, 3])
def test_a_ruled_line_goes_and_the_stroke_that_crosses_it_stays(tilt: int) -> None:
    digit = draw_digit(7)
    ruled = ink(with_rules(digit, [60], tilt=tilt))
    lines = find_lines(ruled)
    assert lines is not None
    rest = ruled & ~lines
    assert (rest & ink(digit)).sum() > 0.95 * ink(digit).sum()
    assert (rest & ~ink(digit)).sum() < 12


def test_a_digit_standing_on_a_line_keeps_its_foot() -> None:
    digit = draw_digit(5)
    ruled = ink(with_rules(digit, [82]))
    lines = find_lines(ruled)
    assert lines is not None
    assert (ruled & ~lines & ink(digit)).sum() > 0.95 * ink(digit).sum()


@pytest.mark.parametrize("digit", [1, 4, 5, 7])
@pytest.mark.parametrize("height", [0.7, 0.98])
def test_strokes_of_a_digit_are_no_lines_however_tight_the_crop(digit: int, height: float) -> None:
    assert find_lines(ink(draw_digit(digit, height=height))) is None


def test_lines_of_an_empty_cell_are_all_found() -> None:
    empty = draw_digit(1, ink=240)
    framed = ink(with_frame(empty, inset=3, width=5))
    lines = find_lines(framed)
    assert lines is not None
    assert (framed & ~lines).sum() < 0.05 * framed.sum()


def test_a_frame_away_from_the_rim_is_found_around_writing_only() -> None:
    framed = ink(with_frame(draw_digit(5), inset=9))
    lines = find_lines(framed)
    assert lines is not None
    assert (framed & ~lines & ~ink(draw_digit(5))).sum() < 12
    assert find_lines(ink(with_frame(draw_digit(5, ink=240), inset=9))) is None


def test_an_empty_mask_holds_no_line() -> None:
    assert find_lines(np.zeros((20, 30), bool)) is None
