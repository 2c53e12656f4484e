"""The fifteen corruptions do to a digit what MNIST-C's description says, and do it repeatably."""

import numpy as np
import pytest

from training.corruptions import CORRUPTIONS, corrupt
from training.drawing import draw_digits


@pytest.fixture(scope="module")
def digits():
    return draw_digits(20, np.random.default_rng(0))[0]


def centre(image):
    rows, columns = np.indices(image.shape)
    return np.array([(rows * image).sum(), (columns * image).sum()]) / image.sum()


def test_there_are_the_fifteen_of_mnist_c():
    assert len(CORRUPTIONS) == 15


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_is_repeatable_and_leaves_its_input_alone(name, digits):
    before = digits.copy()
    first, again = corrupt(name, digits), corrupt(name, digits)
    assert first.shape == digits.shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert np.array_equal(digits, before)
    assert (first != digits).any(axis=(1, 2)).all()


def test_brightness_adds_half_of_the_scale(digits):
    changed = corrupt("brightness", digits)
    assert changed.min() in (127, 128)
    assert (changed[digits > 127] == 255).all()


def test_stripe_inverts_the_outer_quarters(digits):
    changed = corrupt("stripe", digits)
    assert np.array_equal(changed[:, :, 7:21], digits[:, :, 7:21])
    assert np.array_equal(changed[:, :, :7], 255 - digits[:, :, :7])


def test_translate_moves_three_pixels_each_way():
    block = np.zeros((10, 28, 28), np.uint8)
    block[:, 10:16, 12:15] = 255
    moved = [centre(image) - centre(block[0]) for image in corrupt("translate", block)]
    assert np.abs(moved) == pytest.approx(np.full((10, 2), 3))


def test_scale_shrinks_to_seventy_percent(digits):
    area = corrupt("scale", digits).sum(axis=(1, 2)) / digits.sum(axis=(1, 2))
    assert area == pytest.approx(0.49, abs=0.05)


def test_rotate_turns_by_two_fifths_of_a_radian():
    bar = np.zeros((1, 28, 28), np.uint8)
    bar[0, 13:15, 4:24] = 255
    rows, columns = np.nonzero(corrupt("rotate", bar)[0] > 100)
    slope = np.polyfit(columns, rows, 1)[0]
    assert abs(np.arctan(slope)) == pytest.approx(0.4, abs=0.03)


def test_impulse_noise_strikes_one_pixel_in_six(digits):
    grey = np.full((50, 28, 28), 100, np.uint8)
    assert (corrupt("impulse_noise", grey) != 100).mean() == pytest.approx(0.17, abs=0.01)


def test_fog_hides_black_and_keeps_a_quarter_of_the_contrast(digits):
    changed = corrupt("fog", digits)
    assert changed[digits == 0].mean() > 20
    assert changed[digits == 255].mean() > changed[digits == 0].mean()
