"""Cells of forms, drawn and read back: what was written can still be told, and the labels are those of the writing."""

import numpy as np
import pytest

from training.cells import LEAST_LIKENESS, draw_cell, likeness, make_cells, make_negative_cells, read_cell
from training.data import Digits
from training.drawing import draw_digits, enlarge, to_mnist
from training.negatives import NOT_A_DIGIT


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits(*draw_digits(50, np.random.default_rng(0)))


def test_cells_have_the_geometry_of_mnist_and_all_labels(digits: Digits) -> None:
    cells = make_cells(digits, 300, np.random.default_rng(1))
    assert cells.images.shape == (300, 28, 28)
    assert cells.images.dtype == np.uint8
    assert set(cells.labels) == set(range(10))


def test_other_writing_in_cells_is_labelled_as_no_digit(digits: Digits) -> None:
    cells = make_negative_cells(digits, 20, np.random.default_rng(1))
    assert cells.images.shape == (20, 28, 28)
    assert set(cells.labels) == {NOT_A_DIGIT}


def test_the_same_generator_draws_the_same_cells(digits: Digits) -> None:
    first, again = (make_cells(digits, 5, np.random.default_rng(2)) for _ in range(2))
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.labels, again.labels)


def test_pictures_of_cells_are_of_many_sizes_and_nearly_all_readable(digits: Digits) -> None:
    rng = np.random.default_rng(3)
    canvases = [enlarge(image) for image in digits.images]
    pictures = [draw_cell(canvas, digits, rng) for canvas in canvases]
    assert len({picture.shape for picture in pictures}) > 40
    likenesses = [
        0.0 if read is None else likeness(read, to_mnist(canvas))
        for read, canvas in zip(map(read_cell, pictures), canvases, strict=True)
    ]
    assert np.mean(np.array(likenesses) >= LEAST_LIKENESS) >= 0.9


def test_likeness_tells_the_same_digit_from_another(digits: Digits) -> None:
    zero, one = (digits.images[digits.labels == label][0] for label in (0, 1))
    assert likeness(zero, zero) == pytest.approx(1)
    assert likeness(zero, one) < LEAST_LIKENESS
    assert likeness(zero, None) == 0
