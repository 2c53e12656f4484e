"""Strings made of digits that the tests draw."""

import numpy as np
import pytest

from training.data import Digits
from training.drawing import draw_digits
from training.strings import STYLES, Pool, make_strings


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool(Digits(*draw_digits(200, np.random.default_rng(0))))


@pytest.mark.parametrize("style", STYLES)
def test_every_style_makes_pictures_with_a_box_for_each_digit(style: str, pool: Pool) -> None:
    for string in make_strings(15, style, pool, np.random.default_rng(1)):
        assert 1 <= len(string.text) <= 10
        assert len(string.boxes) == len(string.text)
        height, width = string.picture.shape
        for left, top, right, bottom in string.boxes:
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height
        assert list(string.boxes) == sorted(string.boxes, key=lambda box: box[0] + box[2])


def test_boxes_hold_the_ink_of_spaced_strings(pool: Pool) -> None:
    for string in make_strings(10, "spaced", pool, np.random.default_rng(2), 5):
        rest = string.picture.copy()
        for left, top, right, bottom in string.boxes:
            rest[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1] = rest[0, 0]
        assert np.ptp(rest) <= 40


def test_neighbours_touch_in_touching_strings_only(pool: Pool) -> None:
    share = {
        style: np.mean([string.touching for string in make_strings(30, style, pool, np.random.default_rng(3), 5)])
        for style in ("spaced", "touching", "overlapping")
    }
    assert share["touching"] >= 0.8
    assert share["spaced"] == share["overlapping"] == 0


def test_the_same_seed_makes_the_same_strings(pool: Pool) -> None:
    first, again = (list(make_strings(5, "noisy", pool, np.random.default_rng(4))) for _ in range(2))
    assert [string.text for string in first] == [string.text for string in again]
    assert all(np.array_equal(a.picture, b.picture) for a, b in zip(first, again, strict=True))
