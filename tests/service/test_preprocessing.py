import numpy as np
import pytest
from PIL import Image

from service.ink import Ink, find_ink
from service.preprocessing import BOLD, BOX, SIZE, THIN, normalize, stroke_width
from tests.service.drawings import draw_digit


def normalized(image: Image.Image) -> np.ndarray:
    digit = normalize(find_ink(image))
    assert digit is not None
    return digit


def box_of(digit: np.ndarray) -> tuple[int, int]:
    rows, columns = np.flatnonzero((digit > 40).any(axis=1)), np.flatnonzero((digit > 40).any(axis=0))
    return int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)


@pytest.mark.parametrize("digit", [1, 4, 5, 7])
@pytest.mark.parametrize("size", [40, 100, 400])
def test_a_digit_has_the_geometry_of_mnist(digit: int, size: int) -> None:
    picture = normalized(draw_digit(digit, size))
    assert picture.shape == (SIZE, SIZE)
    assert picture.dtype == np.uint8
    assert picture.max() == 255
    assert BOX - 1 <= max(box_of(picture)) <= BOX
    rows, columns = picture.sum(axis=1, dtype=float), picture.sum(axis=0, dtype=float)
    assert abs(rows @ np.arange(SIZE) / rows.sum() - 14) <= 0.6
    assert abs(columns @ np.arange(SIZE) / columns.sum() - 14) <= 0.6


def test_a_normalised_picture_passes_unchanged_in_either_polarity() -> None:
    picture = normalized(draw_digit(5))
    assert (normalized(Image.fromarray(picture)) == picture).all()
    assert (normalized(Image.fromarray(255 - picture)) == picture).all()
    assert (normalized(Image.fromarray(picture).convert("RGB")) == picture).all()


def test_a_28x28_picture_of_other_geometry_is_brought_to_mnists() -> None:
    small = Image.fromarray(normalized(draw_digit(5))).resize((14, 14), Image.Resampling.BOX)
    corner = Image.new("L", (SIZE, SIZE), 0)
    corner.paste(small, (1, 2))
    assert BOX - 1 <= max(box_of(normalized(corner))) <= BOX


@pytest.mark.parametrize("pen", [0.01, 0.03, 0.06, 0.12])
def test_any_pen_comes_out_as_mnists(pen: float) -> None:
    ratio = stroke_width(normalized(draw_digit(5, 300, height=0.7, pen=pen))) / BOX
    assert 0.8 * THIN <= ratio <= 1.25 * BOLD


def test_stroke_width_is_measured_in_pixels() -> None:
    ring = Image.new("L", (100, 100), 0)
    y, x = np.mgrid[:100, :100] - 49.5
    radius = np.hypot(y, x)
    for width in (4, 8, 12):
        ring = (np.abs(radius - 30) <= width / 2) * np.uint8(255)
        assert stroke_width(ring) == pytest.approx(width, rel=0.12)


def test_a_one_keeps_its_aspect() -> None:
    height, width = box_of(normalized(draw_digit(1)))
    assert height >= BOX - 1
    assert width <= 5


def test_no_ink_is_no_digit() -> None:
    assert normalize(Ink(np.zeros((10, 10), np.uint8), frozenset({"blank"}))) is None
