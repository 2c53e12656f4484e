"""Figures on corrupted digits and on negatives mean what they say."""

import numpy as np
import pytest

from training.corruptions import CORRUPTIONS
from training.data import Digits
from training.drawing import draw_digits
from training.negatives import FAMILIES, HELD_OUT
from training.robustness import auroc, draw_families, score_corruptions, score_negatives


@pytest.fixture(scope="module")
def digits():
    return Digits(*draw_digits(50, np.random.default_rng(0)))


def always(digit, reject):
    def predict(images):
        probabilities = np.full((len(images), 10), 0.01, np.float32)
        probabilities[:, digit] = 0.91
        return probabilities, np.full(len(images), reject, np.float32)

    return predict


def test_a_reader_of_zeros_is_right_once_in_ten_whatever_the_corruption(digits):
    scores = score_corruptions(always(0, 0.0), digits)
    assert set(scores["accuracy"]) == set(CORRUPTIONS)
    assert scores["mean"] == pytest.approx(0.1)


def test_families_are_drawn_alike_every_time(digits):
    first, again = draw_families(digits, per_family=3), draw_families(digits, per_family=3)
    assert set(first) == set(FAMILIES)
    assert all(np.array_equal(first[family], again[family]) for family in FAMILIES)


def test_who_cannot_tell_negatives_accepts_them_all(digits):
    scores = score_negatives(always(3, 0.2), digits, {"shape": np.zeros((5, 28, 28), np.uint8)})
    assert scores["families"]["shape"] == {"n": 5, "held_out": True, "auroc": 0.5, "accepted": 1.0}
    assert "shape" in HELD_OUT


def test_who_rejects_negatives_accepts_none(digits):
    def predict(images):
        return always(3, 1.0 if len(images) == 5 else 0.0)(images)

    row = score_negatives(predict, digits, {"noise": np.zeros((5, 28, 28), np.uint8)})["families"]["noise"]
    assert (row["auroc"], row["accepted"]) == (1.0, 0.0)


def test_auroc_counts_ties_half():
    assert auroc(np.array([0.0, 1.0]), np.array([1.0, 2.0])) == pytest.approx(0.875)
