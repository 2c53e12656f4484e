"""Where the network is unsure of a digit, the picture is looked at again: in other ways, in other places."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from service import ink
from service.classifier import DigitClassifier, choose
from service.columns import ColumnReader
from service.decisions import Decision, Reason
from service.images import pages
from service.preprocessing import placed_elsewhere
from service.reader import Digit, Reader, Timings
from service.settings import released_field_model, released_model
from tests import pictures
from tests.service.drawings import draw_digit, encode, with_grain


def a_digit(top: int, left: int, height: int = 6, width: int = 3) -> np.ndarray:
    digit = np.zeros((28, 28), np.uint8)
    digit[top : top + height, left : left + width] = 200
    return digit


def test_a_digit_is_put_a_pixel_to_each_side_and_in_the_middle():
    placed = placed_elsewhere(a_digit(top=4, left=9))
    assert [(int(y), int(x)) for picture in placed for y, x in [np.argwhere(picture)[0]]] == [
        (3, 9),
        (5, 9),
        (4, 8),
        (4, 10),
        (11, 12),
    ]
    assert (placed.sum(axis=(1, 2)) == a_digit(4, 9).sum()).all()


def test_no_ink_is_pushed_out():
    for digit in (a_digit(0, 0), a_digit(22, 25), np.full((28, 28), 9, np.uint8)):
        assert (placed_elsewhere(digit).sum(axis=(1, 2)) == digit.sum()).all()


def answers(*ways: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Of each way of looking, in each place, a digit and how sure the network is of it."""
    probabilities = [
        [[sure if each == digit else (1 - sure) / 9 for each in range(10)] for digit, sure in places] for places in ways
    ]
    return np.array(probabilities, np.float32), np.zeros((len(ways), len(ways[0])), np.float32)


def test_the_digit_is_the_one_that_one_way_of_looking_is_surest_of():
    probabilities, rejects = answers([(9, 0.5), (9, 0.5), (4, 0.4)], [(4, 0.8), (4, 0.9), (4, 0.6)])
    chosen = choose(probabilities, rejects)
    assert probabilities.reshape(-1, 10)[chosen].argmax() == 4


def test_a_place_that_speaks_against_a_digit_counts_as_much_as_one_for_it():
    probabilities, rejects = answers([(9, 0.99), (9, 0.99), (4, 0.99)], [(4, 0.8), (4, 0.8), (4, 0.7)])
    # On average the first way is 66 % for a 9 and the second 77 % for a 4; pooled, the first is 88 % for a 9.
    assert probabilities.reshape(-1, 10)[choose(probabilities, rejects)].argmax() == 9


def test_what_speaks_against_it_makes_the_answer_less_sure():
    agreeing = answers([(4, 0.6), (4, 0.8), (4, 0.95)])
    doubted = answers([(4, 0.6), (4, 0.8), (4, 0.95)], [(9, 0.5), (9, 0.5), (9, 0.5)])
    sure, unsure = (
        probabilities.reshape(-1, 10)[choose(probabilities, rejects)].max()
        for probabilities, rejects in (agreeing, doubted)
    )
    assert unsure < sure


def test_what_is_likely_no_digit_has_no_say():
    probabilities, rejects = answers([(4, 0.7), (4, 0.7)], [(9, 0.99), (9, 0.99)])
    rejects[1] = 0.9
    assert probabilities.reshape(-1, 10)[choose(probabilities, rejects)].argmax() == 4


class Doubtful(DigitClassifier):
    """The released network, half as sure of everything as it is; notes how many pictures it is asked about."""

    def __init__(self, session, record) -> None:
        super().__init__(session, record)
        self.asked: list[int] = []

    def predict(self, digits):
        self.asked.append(len(digits))
        probabilities, rejects = super().predict(digits)
        return np.float32(0.5) * probabilities + np.float32(0.05), rejects


@pytest.fixture
def doubtful():
    return Doubtful.load(released_model())


SEVEN = encode(draw_digit(7))


def test_what_is_told_is_what_the_network_says_of_the_picture_told(doubtful):
    reader, timings = Reader(doubtful), Timings()
    [reading] = reader.read([SEVEN], timings=timings)
    assert doubtful.asked == [1, 24]
    [again], [again_reject] = doubtful.predict(reading.pixels[np.newaxis])
    assert np.array_equal(again, reading.probabilities)
    assert float(again_reject) == reading.reject
    assert reading.digit == reading.probabilities.argmax() == 7
    assert timings.infer > 0


def test_an_answer_depends_on_no_other(doubtful):
    reader = Reader(doubtful)
    [alone] = reader.read([SEVEN])
    for company in ([SEVEN, SEVEN], [encode(draw_digit(4)), SEVEN]):
        reading = reader.read(company)[-1]
        assert np.array_equal(reading.probabilities, alone.probabilities)
        assert np.array_equal(reading.pixels, alone.pixels)


def test_what_came_normalised_is_not_looked_at_again(doubtful):
    mnists = np.zeros((28, 28), np.uint8)
    mnists[4:24, 12:16] = 255
    mnists[13:15, 8:20] = 255
    Reader(doubtful).read([Digit(mnists, frozenset())])
    Reader(doubtful).read([encode(Image.fromarray(mnists))])
    assert doubtful.asked == [1, 1]


def test_a_sure_answer_is_not_looked_at_again(doubtful, monkeypatch):
    monkeypatch.setattr("service.reader.UNSURE", 0.5)
    Reader(doubtful).read([SEVEN])
    assert doubtful.asked == [1]


def test_what_was_no_digit_at_first_sight_is_not_accepted(doubtful, monkeypatch):
    predict = doubtful.predict
    first = [True]

    def doubting(digits):
        probabilities, rejects = predict(digits)
        return probabilities, np.full_like(rejects, 0.9) if first.pop() else rejects

    reader = Reader(doubtful)
    monkeypatch.setattr(doubtful, "predict", lambda digits: doubting(digits) if first else predict(digits))
    [doubted], [sure] = reader.read([SEVEN], accept_at=0.1), reader.read([SEVEN], accept_at=0.1)
    assert (doubted.digit, doubted.decision, doubted.reasons) == (7, Decision.REVIEW, (Reason.NOT_A_DIGIT,))
    assert (sure.decision, sure.reasons) == (Decision.ACCEPT, ())
    assert doubted.reject == sure.reject < 0.5


def test_a_field_of_one_digit_is_looked_at_again_too(doubtful):
    reader = Reader(doubtful, ColumnReader.load(released_field_model()))
    [alone], field = reader.read([SEVEN]), reader.read_field(SEVEN)
    assert doubtful.asked == [1, 24] * 2
    assert field.text == str(alone.digit)
    assert field.digits[0].confidence == pytest.approx(alone.confidence)


def test_paper_is_smoothed_where_it_was_not(monkeypatch):
    smoothed = []
    monkeypatch.setattr(ink, "SMOOTH", type(ink.SMOOTH)(1.0))
    monkeypatch.setattr(Image.Image, "filter", lambda self, how: smoothed.append(how) or self)
    for noise, expected in ((0, [0, 0, 1, 0, 1]), (12, [1, 1, 0, 1, 0])):
        picture = with_grain(draw_digit(5, ink=150), noise) if noise else draw_digit(5)
        counted = []
        for look in (ink.FIRST_LOOK, *ink.OTHER_LOOKS):
            smoothed.clear()
            ink.find_ink(picture, look)
            counted.append(len(smoothed))
        assert counted == expected


def test_neighbours_are_left_where_they_were_cut_off():
    sheet = Image.new("L", (200, 100), 250)
    for left in (11, 89, 50):
        sheet.paste(pictures.draw(0, 100, pen=0.1).crop((29, 0, 71, 100)), (left + 29, 0))
    picture = sheet.crop((65, 5, 135, 95))
    cut, whole, *_ = (ink.find_ink(picture, look).box for look in (ink.FIRST_LOOK, *ink.OTHER_LOOKS))
    assert cut is not None
    assert whole is not None
    assert whole[2] - whole[0] > cut[2] - cut[0]


FIRM = ink.Look(firm=True)


def test_a_firm_look_leaves_out_what_lies_at_the_rim_beside_a_slanted_stroke():
    picture = Image.new("L", (60, 60), 240)
    draw = ImageDraw.Draw(picture)
    draw.line([(57, 0), (3, 59)], fill=40, width=7)
    draw.ellipse([46, 48, 59, 56], fill=40)
    first, firm = (ink.find_ink(picture, look).density for look in (ink.FIRST_LOOK, FIRM))
    assert first[52, 55] > 0
    assert firm[52, 55] == 0
    assert firm[30, 30] > 0


def test_a_firm_look_takes_less_for_strokes():
    picture = with_grain(draw_digit(5, ink=120).filter(ImageFilter.GaussianBlur(3)), 4)
    first, firm = (ink.find_ink(picture, look).density for look in (ink.FIRST_LOOK, FIRM))
    assert 0 < np.count_nonzero(firm) < np.count_nonzero(first)


@pytest.mark.parametrize("level", [0, 100, 225])
def test_a_firm_look_finds_ink_of_one_level(level):
    ink_alone = draw_digit(5).point(lambda grey: level if grey < 128 else 250)
    first, firm = (ink.find_ink(ink_alone, look).density for look in (ink.FIRST_LOOK, FIRM))
    assert first.any()
    assert np.array_equal(first > 0, firm > 0)


def test_pages_are_looked_at_again_too(doubtful):
    digits = [draw_digit(7), draw_digit(4), draw_digit(5)]
    file = io.BytesIO()
    digits[0].save(file, "TIFF", save_all=True, append_images=digits[1:])
    reader = Reader(doubtful)
    from_pages = reader.read(pages(file.getvalue(), max_pages=9))
    alone = reader.read([encode(digit) for digit in digits])
    assert [reading.digit for reading in from_pages] == [7, 4, 5]
    for page, single in zip(from_pages, alone, strict=True):
        assert np.array_equal(page.probabilities, single.probabilities)
