import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from service.ink import Ink, find_ink
from service.padding import find_surrounded
from service.preprocessing import normalize
from tests import pictures
from tests.service.drawings import draw_digit, overlap, with_frame, with_grain, with_rules, with_shadow


def reading(image: Image.Image) -> np.ndarray:
    digit = normalize(find_ink(image))
    assert digit is not None
    return digit


PLAIN = {digit: reading(draw_digit(digit, 300)) for digit in (1, 4, 5, 7)}


@pytest.mark.parametrize("digit", [1, 4, 5, 7])
@pytest.mark.parametrize(
    "change",
    [
        ImageOps.invert,
        with_grain,
        with_shadow,
        with_frame,
        lambda image: with_rules(image, [35, 165, 280], ink=120),
        lambda image: with_frame(with_grain(with_shadow(image, 0.6))),
        lambda image: image.filter(ImageFilter.GaussianBlur(2)),
        lambda image: ImageOps.expand(image, 300, fill=240),
        lambda image: image.resize((60, 60), Image.Resampling.BOX),
        lambda image: image.point(lambda level: 200 + level // 8),
    ],
    ids=["inverted", "grain", "shadow", "frame", "rules", "all-together", "blurred", "far-away", "small", "pale"],
)
def test_the_digit_is_the_same_in_every_condition(digit: int, change) -> None:
    assert overlap(reading(change(draw_digit(digit, 300))), PLAIN[digit]) > 0.7


def test_lines_removed_are_noticed_and_only_they() -> None:
    assert find_ink(with_frame(draw_digit(5))).noticed == {"line_removed"}
    assert find_ink(draw_digit(5)).noticed == set()


@pytest.mark.parametrize(
    "paper",
    [
        Image.new("L", (100, 100), 255),
        Image.new("L", (100, 100), 0),
        Image.new("RGB", (60, 90), (230, 220, 190)),
        with_grain(Image.new("L", (100, 100), 200), 6),
        with_shadow(with_grain(Image.new("L", (100, 100), 220), 3)),
        with_frame(with_grain(Image.new("L", (64, 64), 220), 3)),
        with_rules(Image.new("L", (100, 100), 230), [30, 70]),
    ],
    ids=["white", "black", "coloured", "grainy", "shaded", "framed", "ruled"],
)
def test_empty_paper_is_blank(paper: Image.Image) -> None:
    ink = find_ink(paper)
    assert "blank" in ink.noticed
    assert ink.box is None
    assert not ink.density.any()
    assert normalize(ink) is None


@pytest.mark.parametrize("level", [200, 208])
def test_faint_pencil_is_read_and_called_faint(level: int) -> None:
    ink = find_ink(with_grain(draw_digit(5, paper=225, ink=level), 2))
    assert "low_contrast" in ink.noticed
    assert "blank" not in ink.noticed


def test_noise_without_paper_is_never_called_blank() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60)).astype(np.uint8)
    assert "blank" not in find_ink(Image.fromarray(noise)).noticed


def test_paper_of_two_tones_is_not_taken_for_ink() -> None:
    banded = draw_digit(5, paper=150, ink=60)
    banded.paste(235, (0, 0, 100, 14))
    assert overlap(reading(banded), reading(draw_digit(5))) > 0.8


def test_specks_are_left_out() -> None:
    specked = draw_digit(5)
    draw = ImageDraw.Draw(specked)
    for x, y in ((8, 12), (90, 20), (12, 92), (88, 88)):
        draw.ellipse((x, y, x + 2, y + 2), fill=30)
    assert overlap(reading(specked), reading(draw_digit(5))) > 0.95


def test_ends_of_neighbours_at_the_rim_are_left_out() -> None:
    between = draw_digit(5)
    draw = ImageDraw.Draw(between)
    draw.line((0, 15, 9, 80), fill=20, width=6)
    draw.arc((92, 20, 140, 80), 90, 270, fill=20, width=6)
    ink = find_ink(between)
    assert overlap(reading(between), reading(draw_digit(5))) > 0.95
    assert "multiple_digits" not in ink.noticed


def test_a_neighbour_that_touches_is_cut_off() -> None:
    touching = draw_digit(4, height=0.7)
    ImageDraw.Draw(touching).line((73, 54, 99, 50), fill=20, width=6)
    assert overlap(reading(touching), reading(draw_digit(4, height=0.7))) > 0.6


def test_a_rim_of_repeated_pixels_is_left_out() -> None:
    """A stroke or a smudge at the rim would be drawn out into streaks."""
    cell = draw_digit(5, height=0.8)
    ImageDraw.Draw(cell).line((0, 99, 30, 80), fill=20, width=6)
    pixels = np.asarray(with_grain(cell))
    padded = find_ink(Image.fromarray(np.pad(pixels, ((0, 20), (30, 0)), "edge")))
    plain = find_ink(Image.fromarray(pixels))
    assert (padded.density == plain.density).all()
    assert padded.offset == (30, 0)


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("digit", [1, 4, 5, 7])
def test_one_level_put_around_a_cell_is_not_its_paper(digit: int, level: int) -> None:
    """The step from it to grainy paper in a shadow is no ink."""
    cell = with_grain(with_shadow(draw_digit(digit, height=0.8), 0.6))
    squared = find_ink(ImageOps.expand(cell, (40, 20), level))
    left, top, right, bottom = squared.box or (0, 0, 0, 0)
    inner = find_ink(cell)
    assert inner.box is not None
    assert max(right - left, bottom - top) * squared.scale <= 1.1 * max(cell.size) * 0.8 + 4
    assert overlap(reading(ImageOps.expand(cell, (40, 20), level)), reading(cell)) > 0.7
    assert squared.noticed == inner.noticed


def test_a_neighbours_end_is_left_out_of_a_cell_with_one_level_around_it() -> None:
    alone, beside = draw_digit(7, height=0.7), draw_digit(7, height=0.7)
    ImageDraw.Draw(beside).line((99, 60, 93, 80), fill=20, width=5)
    readings = [reading(ImageOps.expand(with_grain(cell), 12, 240)) for cell in (alone, beside)]
    assert overlap(*readings) > 0.95


def test_strokes_along_the_rim_of_a_cell_with_one_level_around_it_are_no_lines() -> None:
    """Cells cut out along their writing are often brought to a square."""
    four = Image.new("L", (60, 90), 225)
    draw = ImageDraw.Draw(four)
    draw.line([(12, 0), (2, 55), (59, 55)], fill=30, width=4)
    draw.line([(40, 10), (40, 89)], fill=30, width=4)
    squared = ImageOps.expand(with_grain(four), (40, 25), 255)
    ink = find_ink(squared)
    assert ink.noticed == set()
    left, _, right, _ = ink.box or (0, 0, 0, 0)
    assert (right - left) * ink.scale >= 54


def test_paper_of_one_level_is_no_surround() -> None:
    """A drawing on clean paper is whole, though its paper has one level all around."""
    assert find_surrounded(np.asarray(draw_digit(5, height=0.9))) is None
    assert find_surrounded(np.asarray(Image.new("RGB", (50, 50), (9, 9, 9)))) is None


@pytest.mark.parametrize("side", [-1, 1])
def test_ends_of_round_neighbours_that_touch_are_cut_off(side: int) -> None:
    """Two arcs that meet have no thin stroke between them, but a valley above and below."""
    alone = pictures.draw(0, 100, pen=0.12)
    two = Image.new("L", (200, 100), 250)
    for left in (50, 50 + side * 39):
        two.paste(ImageChops.darker(alone, two.crop((left, 0, left + 100, 100))), (left, 0))
    assert overlap(reading(two.crop((65, 5, 135, 95))), reading(alone)) > 0.75


def test_parts_of_a_broken_digit_stay_together() -> None:
    broken = draw_digit(5)
    ImageDraw.Draw(broken).rectangle((0, 28, 99, 33), fill=240)
    _, top, _, bottom = find_ink(broken).box or (0, 0, 0, 0)
    assert bottom - top > 55


def test_two_digits_are_noticed() -> None:
    both = Image.new("L", (160, 100), 240)
    both.paste(draw_digit(5).crop((20, 0, 80, 100)), (15, 0))
    both.paste(draw_digit(7).crop((20, 0, 80, 100)), (85, 0))
    assert "multiple_digits" in find_ink(both).noticed


def half_dark(size: int, tilt: float = 0.0, soft: float = 1.0) -> Image.Image:
    y, x = np.indices((size, size)) / size - 0.5
    return Image.fromarray((250 - 230 * np.clip((x + tilt * y - 0.2) * size / soft + 0.5, 0, 1)).astype(np.uint8))


def wires(size: int, period: int, thick: int, *, both: bool) -> Image.Image:
    y, x = np.indices((size, size)) + period // 2
    inked = (x % period < thick) | (both & (y % period < thick))
    return Image.fromarray(np.where(inked, 30, 240).astype(np.uint8))


def dots(size: int, period: int) -> Image.Image:
    y, x = np.indices((size, size)) * (2 * np.pi / period)
    return Image.fromarray(np.where(np.sin(x) * np.sin(y) > 0.3, 30, 240).astype(np.uint8))


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("tilt", [0.0, 0.2])
@pytest.mark.parametrize("soft", [1.0, 20.0])
def test_an_edge_of_something_dark_is_no_digit_in_full_view(turn: int, tilt: float, soft: float) -> None:
    noticed = find_ink(half_dark(200, tilt, soft).rotate(turn)).noticed
    assert noticed & {"cut_off", "blank"}


@pytest.mark.parametrize("size", [60, 112, 300])
@pytest.mark.parametrize("parts", [3, 4, 5, 8])
@pytest.mark.parametrize("both", [False, True])
def test_one_of_many_wires_is_no_digit_in_full_view(size: int, parts: int, both: bool) -> None:
    noticed = find_ink(wires(size, size // parts, size // parts // 4, both=both)).noticed
    assert noticed & {"cut_off", "multiple_digits", "blank"}


@pytest.mark.parametrize("period", [24, 40])
def test_dots_of_a_pattern_are_many(period: int) -> None:
    assert "multiple_digits" in find_ink(dots(200, period)).noticed


def test_a_digit_between_ruled_columns_is_in_full_view() -> None:
    ruled = with_rules(draw_digit(1, height=0.6).rotate(90), [8, 92]).rotate(-90)
    assert find_ink(ruled).noticed == {"line_removed"}


def test_a_digit_cut_by_the_rim_is_noticed() -> None:
    assert "cut_off" in find_ink(draw_digit(5).crop((0, 0, 100, 65))).noticed


@pytest.mark.parametrize("digit", [4, 5, 7])
@pytest.mark.parametrize("scale", [40, 100, 300])
def test_a_whole_digit_is_not_cut_off_however_tight_the_crop(digit: int, scale: int) -> None:
    """The box is drawn around all ink that a pen with a round tip left, at the first pixel darker than paper."""
    drawn = pictures.draw(digit, 400)
    whole = drawn.crop(drawn.point(lambda level: 255 * (level < 240)).getbbox())
    whole.thumbnail((scale, scale))
    assert "cut_off" not in find_ink(whole).noticed


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize("turn", [0, 180])
def test_a_digit_that_lost_a_fifth_at_the_rim_is_cut_off(digit: int, turn: int) -> None:
    drawn = pictures.draw(digit, 120).rotate(turn)
    _, top, _, bottom = drawn.point(lambda level: 255 * (level < 128)).getbbox() or (0, 0, 0, 0)
    cut = drawn.crop((0, 0, drawn.width, bottom - (bottom - top) // 5))
    assert "cut_off" in find_ink(cut).noticed


def test_the_map_says_where_in_the_picture_it_lies() -> None:
    page = Image.new("L", (1000, 800), 235)
    page.paste(draw_digit(5, paper=235), (600, 300))
    ink = find_ink(page)
    left, top, right, bottom = (edge * ink.scale for edge in ink.box or (0, 0, 0, 0))
    found = left + ink.offset[0], top + ink.offset[1], right + ink.offset[0], bottom + ink.offset[1]
    wanted = draw_digit(5).point(lambda level: 255 * (level < 128)).getbbox()
    assert wanted is not None
    assert np.abs(np.subtract(found, np.add(wanted, (600, 300) * 2))).max() <= 4


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 2), (3, 500), (500, 3), (28, 28), (29, 13)])
def test_pictures_of_any_shape_are_looked_at(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for picture in (np.zeros(size), np.full(size, 255), rng.integers(0, 256, size), rng.integers(0, 2, size) * 255):
        ink = find_ink(Image.fromarray(picture.astype(np.uint8)))
        assert isinstance(ink, Ink)
        assert (normalize(ink) is None) == ("blank" in ink.noticed)


def test_the_same_picture_gives_the_same_ink_bit_for_bit() -> None:
    picture = with_frame(with_grain(with_shadow(draw_digit(5))))
    first, second = find_ink(picture), find_ink(picture.copy())
    assert (first.density == second.density).all()
    assert first.noticed == second.noticed


def test_a_small_scan_that_was_enlarged_is_no_shadow() -> None:
    """Its strokes run to the rim and fade as slowly as shadows do, but they are dark."""
    small = pictures.draw(3, 12, margin=0.0, pen=0.14)
    ink = find_ink(small.resize((120, 120), Image.Resampling.BICUBIC))
    assert "blank" not in ink.noticed


@pytest.mark.parametrize("level", [0, 60, 255], ids=["dark", "grey", "as light as the table"])
@pytest.mark.parametrize("at", [(0.1, 0.5), (0.0, 0.5), (0.9, 0.1)], ids=["whole", "half", "corner"])
def test_holes_of_a_punch_are_left_out(at: tuple[float, float], level: int) -> None:
    page = draw_digit(5, 300)
    whole = normalize(find_ink(page))
    x, y, radius = 300 * at[0], 300 * at[1], 21
    ImageDraw.Draw(page).ellipse((x - radius, y - radius, x + radius, y + radius), fill=level)
    punched = normalize(find_ink(page))
    assert punched is not None
    assert whole is not None
    assert np.abs(punched.astype(float) - whole).mean() < 1
