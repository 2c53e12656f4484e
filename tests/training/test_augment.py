"""Augmentation keeps shape, type and meaning; what it must not do is tear a stroke."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from training.augment import EFFECTS, GENTLE, STANDARD, Augmentation, augment, change_weight
from training.drawing import draw_digits

NOTHING = Augmentation(rotation=0, scale=0, shear=0, shift=0, elastic=0, wide=0, weight=0, effect=0)


@pytest.fixture(scope="module")
def digits():
    return draw_digits(200, np.random.default_rng(0))[0]


def test_nothing_asked_for_changes_nothing(digits):
    assert np.array_equal(augment(digits, np.random.default_rng(1), NOTHING), digits)


@pytest.mark.parametrize("how", [STANDARD, GENTLE])
def test_every_image_is_changed_and_the_originals_are_not(digits, how):
    before = digits.copy()
    changed = augment(digits, np.random.default_rng(1), how)
    assert changed.shape == digits.shape
    assert changed.dtype == np.uint8
    assert np.array_equal(digits, before)
    assert (changed != digits).any(axis=(1, 2)).all()


def test_the_same_seed_gives_the_same_pictures(digits):
    first, again, other = (augment(digits, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_bending_never_tears_a_stroke():
    stroke = np.zeros((28, 28), np.uint8)
    stroke[4:24, 12:16] = stroke[12:16, 4:24] = 255
    bent = augment(
        np.repeat(stroke[None], 500, axis=0), np.random.default_rng(2), replace(STANDARD, weight=0, effect=0)
    )
    parts = [cv2.connectedComponents((image > 100).astype(np.uint8))[0] - 1 for image in bent]
    assert set(parts) == {1}


def test_empty_paper_stays_empty_without_effects():
    empty = np.zeros((50, 28, 28), np.uint8)
    assert not augment(empty, np.random.default_rng(3), replace(STANDARD, effect=0)).any()


def test_strokes_get_thicker_and_thinner_but_never_vanish(digits):
    changed = change_weight(digits, np.random.default_rng(4))
    ratio = changed.sum(axis=(1, 2)) / digits.sum(axis=(1, 2))
    assert (ratio > 1.05).any()
    assert (ratio < 0.95).any()
    assert ratio.min() > 0.3


@pytest.mark.parametrize("name", EFFECTS)
def test_an_effect_changes_the_picture_and_keeps_it_a_picture(digits, name):
    changed = EFFECTS[name][1](digits.astype(np.float32), np.random.default_rng(5))
    assert changed.shape == digits.shape
    assert np.isfinite(changed).all()
    assert (changed != digits).any(axis=(1, 2)).mean() > 0.6  # a part erased may hold no ink
