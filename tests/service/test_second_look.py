"""Where the network is unsure of a digit that was put where it stands, it is asked about other places too."""

from dataclasses import replace

import numpy as np
import pytest

from service.classifier import UNSURE, DigitClassifier, look_again
from service.preprocessing import placed_elsewhere
from service.reader import Digit, Reader, Timings
from service.settings import released_model


@pytest.fixture(scope="module")
def classifier():
    return DigitClassifier.load(released_model())


def a_digit(top: int, left: int, height: int = 6, width: int = 3) -> np.ndarray:
    digit = np.zeros((28, 28), np.uint8)
    digit[top : top + height, left : left + width] = 200
    return digit


def a_hybrid() -> np.ndarray:
    """Half of one digit's shape, half of another's: nothing that could be read surely."""
    digit = np.zeros((28, 28), np.uint8)
    digit[4:24, 16:19] = 255
    digit[4:7, 10:18] = 160
    digit[12:14, 9:17] = 130
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


def as_network(answers: dict[int, tuple[int, float]]):
    """A network that tells, by the column in which ink begins, a digit and how sure it is of it."""

    def predict(digits):
        told = [answers[int(np.flatnonzero(digit.any(axis=0))[0])] for digit in digits]
        rows = [[sure if each == digit else (1 - sure) / 9 for each in range(10)] for digit, sure in told]
        return np.array(rows, np.float32), np.zeros(len(digits), np.float32)

    return predict


def test_the_answer_is_one_that_agrees_with_most():
    digit = a_digit(11, 9)
    # Where it stands, a pixel up and one down it is a 9; to the left, to the right and in the middle a 4.
    most_say_4 = as_network({9: (9, 0.5), 8: (4, 0.7), 10: (4, 0.8), 12: (4, 0.9)})
    most_say_9 = as_network({9: (9, 0.8), 8: (4, 0.5), 10: (4, 0.6), 12: (4, 0.7)})
    for network, expected in ((most_say_4, 4), (most_say_9, 9)):
        probabilities, rejects = network(digit[np.newaxis])
        pixels, seen, reject = look_again(network, digit, probabilities[0], rejects[0])
        assert seen.argmax() == expected
        assert reject == 0
        assert np.array_equal(network(pixels[np.newaxis])[0][0], seen)


def test_what_is_told_is_what_the_network_says_of_the_picture_told(classifier):
    digit = Digit(a_hybrid(), frozenset(), placed=True)
    probabilities, rejects = classifier.predict(digit.pixels[np.newaxis])
    assert probabilities.max() < UNSURE
    timings = Timings()
    reading = Reader(classifier).decide(digit, probabilities[0], rejects[0], timings)
    again, again_rejects = classifier.predict(reading.pixels[np.newaxis])
    assert np.array_equal(again[0], reading.probabilities)
    assert float(again_rejects[0]) == reading.reject
    assert reading.digit == reading.probabilities.argmax()
    assert timings.infer > 0


def test_sure_digits_and_those_that_came_normalised_are_not_looked_at_again(classifier):
    asked = []

    def predict(digits):
        asked.append(len(digits))
        return classifier.predict(digits)

    class Counting(DigitClassifier):
        def predict(self, digits):
            return predict(digits)

    reader = Reader(Counting(classifier._session, classifier.record))
    sure = a_digit(4, 13, height=20)
    unsure = Digit(a_hybrid(), frozenset())
    reader.read([Digit(sure, frozenset(), placed=True), unsure])
    assert asked == [2]
    reader.read([replace(unsure, placed=True)])
    assert asked == [2, 1, 5]
