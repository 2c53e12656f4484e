"""Drawn digits have MNIST's geometry, and the same generator draws the same."""

import cv2
import numpy as np
import pytest

from training import drawing
from training.drawing import CANVAS, draw, draw_digits, enlarge, random_writer, rescan, scan, smooth, to_mnist
from training.shapes import DIGITS


def rng(seed=0):
    return np.random.default_rng(seed)


def centre_of_mass(image):
    rows, columns = np.indices(image.shape)
    return (rows * image).sum() / image.sum(), (columns * image).sum() / image.sum()


@pytest.mark.parametrize("label", range(10))
def test_a_drawn_digit_fills_the_inner_20x20_and_is_centred(label):
    generator = rng(label)
    for _ in range(30):
        image = to_mnist(draw(DIGITS[label](generator), random_writer(generator), generator))
        _, _, width, height = cv2.boundingRect(image)
        assert image.shape == (28, 28)
        assert max(width, height) in (19, 20)  # a faint last row may round to nothing
        assert centre_of_mass(image.astype(float)) == pytest.approx((14, 14), abs=0.6)


def test_draw_digits_gives_every_class_alike():
    images, labels = draw_digits(40, rng())
    assert images.shape == (40, 28, 28)
    assert images.dtype == labels.dtype == np.uint8
    assert np.bincount(labels).tolist() == [4] * 10


def test_the_same_seed_draws_the_same_digits_and_another_one_others():
    first, again, other = (draw_digits(10, rng(seed))[0] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_a_digit_of_which_scanning_left_nothing_is_drawn_again(monkeypatch):
    scans = iter([np.zeros((CANVAS, CANVAS), np.uint8)])
    monkeypatch.setattr(drawing, "scan", lambda canvas, rng: next(scans, canvas))
    assert drawing.draw_digit(3, np.random.default_rng(0)).max() == 255


def test_hands_differ():
    images = [to_mnist(draw([[(0, 0), (0.6, 0), (0.2, 1)]], random_writer(rng(seed)), rng(seed))) for seed in range(20)]
    assert len({image.tobytes() for image in images}) == 20


def test_a_spline_runs_through_its_control_points():
    stroke = np.array([[0, 0], [1, 0.2], [0.5, 1.0], [0.1, 0.4]])
    path = smooth(stroke, steps=5)
    assert path[::5] == pytest.approx(stroke)


def test_no_ink_has_no_geometry():
    assert to_mnist(np.zeros((CANVAS, CANVAS), np.uint8)) is None


def test_scanning_leaves_most_of_the_writing():
    generator = rng(3)
    for label in range(10):
        canvas = draw(DIGITS[label](generator), random_writer(generator), generator)
        for _ in range(10):
            assert cv2.countNonZero(scan(canvas, generator)) > 0.3 * cv2.countNonZero(canvas)


def test_a_digit_scanned_again_is_still_that_digit():
    images, _ = draw_digits(50, rng(4))
    generator = rng(5)
    again = np.stack([rescan(image, generator) for image in images])
    unlike = np.abs(again.astype(int) - images).mean(axis=(1, 2))
    assert np.median(unlike) < 25


def test_enlarging_keeps_place_and_size():
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 8:12] = 255
    left, top, width, height = cv2.boundingRect(enlarge(image))
    assert (left, top, width, height) == pytest.approx((32, 16, 16, 80), abs=2)
