"""Each digit has many shapes, all of them strokes of about the height of a box."""

import numpy as np
import pytest

from training.shapes import DIGITS, arc

DRAWN = 400


def drawn(label):
    rng = np.random.default_rng(label)
    return [DIGITS[label](rng) for _ in range(DRAWN)]


@pytest.mark.parametrize("label", range(10))
def test_every_shape_is_strokes_of_about_the_height_of_a_box(label):
    for strokes in drawn(label):
        assert 1 <= len(strokes) <= 3
        assert all(len(stroke) >= 2 for stroke in strokes)
        y = np.concatenate([np.array(stroke)[:, 1] for stroke in strokes])
        assert 0.75 < np.ptp(y) < 1.4


@pytest.mark.parametrize("label", range(10))
def test_a_digit_has_shapes_that_differ_by_more_than_their_measures(label):
    built = {tuple(len(stroke) for stroke in strokes) for strokes in drawn(label)}
    assert len(built) >= 3


def test_the_same_seed_gives_the_same_strokes():
    first, again = ([make(np.random.default_rng(7)) for make in DIGITS] for _ in range(2))
    assert first == again


def test_an_arc_lies_on_its_ellipse():
    points = np.array(arc((0.4, 0.5), (0.2, 0.3), 30, 250))
    assert (((points - (0.4, 0.5)) / (0.2, 0.3)) ** 2).sum(axis=1) == pytest.approx(np.ones(len(points)))
