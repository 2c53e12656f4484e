import numpy as np
import pytest
from PIL import Image, ImageOps

from service.paper import Counts, Residue, best_channel, count_levels, find_residue, threshold_otsu
from tests.service.drawings import draw_digit, with_grain, with_shadow


def test_otsu_separates_two_classes_in_the_middle_of_the_gap() -> None:
    counts = np.zeros(256, np.intp)
    counts[10], counts[200] = 900, 100
    threshold, separability = threshold_otsu(Counts(counts))
    assert threshold in range(100, 110)
    assert separability == pytest.approx(1.0)


def test_otsu_finds_grain_less_separable_than_ink() -> None:
    grain = np.random.default_rng(0).normal(100, 10, 20_000).astype(np.uint8)
    assert threshold_otsu(count_levels(grain))[1] < 0.7


def residue_of(image: Image.Image) -> Residue:
    return find_residue(image, np.asarray(image))


@pytest.mark.parametrize("change", [lambda image: image, with_grain, with_shadow])
@pytest.mark.parametrize("invert", [False, True])
def test_ink_stands_out_whatever_the_polarity_light_and_grain(change, invert: bool) -> None:
    digit = draw_digit(5)
    picture = change(digit)
    residue = residue_of(ImageOps.invert(picture) if invert and change is not with_shadow else picture)
    ink = np.asarray(digit) < 128
    assert residue.levels[ink].min() > 2 * residue.levels[~ink].max()
    assert (residue.counts.counts == count_levels(residue.levels).counts).all()


def test_levels_are_counted_rightly_where_ink_is_as_dark_as_can_be() -> None:
    sheet = with_shadow(Image.new("L", (60, 60), 255))
    sheet.paste(0, (20, 20, 30, 40))
    residue = residue_of(sheet)
    assert residue.levels.max() > 232
    assert (residue.counts.counts == count_levels(residue.levels).counts).all()


def test_grain_is_measured_on_the_paper_and_not_on_the_ink() -> None:
    assert residue_of(draw_digit(5)).grain == 0
    assert 2 <= residue_of(with_grain(draw_digit(5, paper=200), 4)).grain <= 6


@pytest.mark.parametrize(("ink", "paper"), [((30, 40, 180), (250, 250, 250)), ((200, 30, 40), (250, 210, 210))])
def test_the_channel_of_most_contrast_is_taken(ink: tuple[int, ...], paper: tuple[int, ...]) -> None:
    image = Image.composite(
        Image.new("RGB", (100, 100), ink), Image.new("RGB", (100, 100), paper), draw_digit(5).point(lambda v: 255 - v)
    )
    widest = max(abs(a - b) for a, b in zip(ink, paper, strict=True))
    assert np.ptp(best_channel(image)) >= 0.85 * widest
