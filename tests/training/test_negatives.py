"""Negatives come in MNIST's geometry, family by family; held-out families never get into training."""

import cv2
import numpy as np
import pytest

from training import negatives
from training.drawing import draw_digits
from training.negatives import (
    _SYMBOLS,
    FAMILIES,
    HELD_OUT,
    LETTERS,
    LOOK_ALIKES,
    TRAINED,
    make_negative,
    make_negatives,
)


@pytest.fixture(scope="module")
def digits():
    return draw_digits(100, np.random.default_rng(0))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_draws_pictures_with_something_on_them(family, digits):
    rng = np.random.default_rng(1)
    images = [make_negative(family, digits, rng) for _ in range(20)]
    assert all(image.shape == (28, 28) and image.dtype == np.uint8 for image in images)
    assert sum(image.max() > 0 for image in images) >= 19  # a dark gradient may be cut off whole
    assert len({image.tobytes() for image in images}) == 20 or family == "scene"


def test_held_out_families_are_not_trained_on(digits):
    assert set(TRAINED) | set(HELD_OUT) == set(FAMILIES)
    assert not set(TRAINED) & set(HELD_OUT)
    _, families = make_negatives(400, digits, np.random.default_rng(2))
    assert set(families) == set(TRAINED)


def test_the_same_seed_gives_the_same_negatives(digits):
    first, again = (make_negatives(30, digits, np.random.default_rng(3))[0] for _ in range(2))
    assert np.array_equal(first, again)


def test_letters_that_look_like_digits_are_left_out():
    left_out = set("".join(LOOK_ALIKES.values()))
    assert set("OIlSZB") <= left_out
    assert not set(LETTERS + _SYMBOLS) & left_out


def test_no_scene_shows_nothing_but_an_upright_bar(monkeypatch):
    bar, ball = (np.full((28, 28), 220, np.uint8) for _ in range(2))
    bar[4:24, 12:15] = 30
    cv2.circle(ball, (14, 14), 8, 30, -1)
    drawn = iter([bar, bar, ball])
    monkeypatch.setattr(negatives, "_photograph", lambda _: next(drawn))
    assert np.array_equal(negatives.draw_scene(None, np.random.default_rng(0)), ball)


def test_nothing_drawn_could_be_taken_for_a_one(digits):
    rng = np.random.default_rng(4)
    for family in ("dashes", "frame", "half", "font_letter"):
        for _ in range(20):
            _, _, width, height = cv2.boundingRect((make_negative(family, digits, rng) > 64).astype(np.uint8))
            assert width >= 0.42 * height
