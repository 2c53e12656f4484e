"""The marks of one digit among all: what belongs together, and that a texture costs no more than it may."""

import numpy as np
import pytest

from service import focus
from service.focus import MOST_PARTS, find_digit


def dots(rows: int, columns: int, pitch: int) -> np.ndarray:
    """A mask with dots of 3x3, `pitch` pixels apart."""
    mask = np.zeros((rows * pitch + 8, columns * pitch + 8), np.bool_)
    for y in range(4, 4 + rows * pitch, pitch):
        for x in range(4, 4 + columns * pitch, pitch):
            mask[y : y + 3, x : x + 3] = True
    return mask


def test_a_stroke_that_fell_into_dots_is_gathered_step_by_step() -> None:
    mask = dots(12, 1, 4)
    found = find_digit(np.pad(mask, 40), framed=False)
    assert found is not None
    assert np.array_equal(found.mask, np.pad(mask, 40))


def test_a_texture_costs_no_more_than_the_marks_around_its_middle_compared_once_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared, is_near = 0, focus._is_near

    def count(*arguments: object) -> bool:
        nonlocal compared
        compared += 1
        return is_near(*arguments)

    monkeypatch.setattr(focus, "_is_near", count)
    found = find_digit(dots(40, 40, 4), framed=False)
    assert found is not None
    assert "multiple_digits" in found.noticed
    assert 0 < compared <= MOST_PARTS * (MOST_PARTS + 1)
