"""Stars told from other marks by their shape; in fields, see test_fields."""

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from service.stars import is_star
from tests import pictures


def cut_out(image: Image.Image) -> np.ndarray:
    """The ink of white strokes on black, in its box."""
    return np.asarray(image.crop(image.getbbox())) >= 128


def spokes(count: int, side: int, pen: float, *, turn: float = 0.0, uneven: float = 0.0, seed: int = 0) -> np.ndarray:
    """Strokes through one middle, about evenly turned, drawn large and scaled down; `pen` in parts of the side."""
    rng, big = np.random.default_rng(seed), 8 * side
    image = Image.new("L", (2 * big, 2 * big))
    for stroke in range(count):
        angle = turn + math.pi * stroke / count + rng.normal(0, uneven)
        x, y = big * (1 + rng.normal(0, uneven / 4, 2))
        reach = big / 2 * (1 - rng.uniform(0, 2 * uneven, 2))
        ends = [
            (x + sign * r * math.cos(angle), y + sign * r * math.sin(angle))
            for sign, r in zip((1, -1), reach, strict=True)
        ]
        ImageDraw.Draw(image).line(ends, fill=255, width=round(pen * big))
    return cut_out(image.resize((2 * side, 2 * side), Image.Resampling.BOX))


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("pen", [0.08, 0.11, 0.14])
def test_stars_of_three_and_four_strokes_are_stars_at_any_size(count: int, pen: float) -> None:
    """Nine of ten by hand; where strokes are short or meet aside, arms merge."""
    found = [
        is_star(spokes(count, side, pen, turn=0.4 * seed, uneven=0.08, seed=seed))
        for side in (20, 28, 40)
        for seed in range(10)
    ]
    assert sum(found) >= 0.9 * len(found)


@pytest.mark.parametrize("size", [30, 48, 72])
def test_a_printed_star_is_one(size: int) -> None:
    image = Image.new("L", (2 * size, 2 * size))
    ImageDraw.Draw(image).text((size, size), "*", fill=255, font=ImageFont.load_default(size=size), anchor="mm")
    assert is_star(cut_out(image))


@pytest.mark.parametrize("turn", [0.0, 0.3, math.pi / 4])
@pytest.mark.parametrize("pen", [0.06, 0.1, 0.14])
def test_a_plus_and_an_x_are_none(turn: float, pen: float) -> None:
    assert not any(is_star(spokes(2, side, pen, turn=turn)) for side in (14, 24, 40))


@pytest.mark.parametrize("size", [36, 60, 100])
def test_digits_and_letters_are_none(size: int) -> None:
    assert not any(
        is_star(cut_out(pictures.draw(digit, size, ink=255, paper=0, pen=pen)))
        for digit in range(10)
        for pen in (0.05, 0.09, 0.14)
    )
    for letter in "ABEFGHKMNPRSTWXYZaeghkmrswxz#$%&@+":
        image = Image.new("L", (2 * size, 2 * size))
        font = ImageFont.load_default(size=size)
        ImageDraw.Draw(image).text((size, size), letter, fill=255, font=font, anchor="mm")
        assert not is_star(cut_out(image)), letter


def test_blots_and_rings_are_none() -> None:
    disc, ring = Image.new("L", (40, 40)), Image.new("L", (40, 40))
    ImageDraw.Draw(disc).ellipse((4, 4, 36, 36), fill=255)
    ImageDraw.Draw(ring).ellipse((4, 4, 36, 36), outline=255, width=4)
    assert not is_star(cut_out(disc))
    assert not is_star(cut_out(ring))
