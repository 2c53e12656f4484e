import numpy as np

from service.decisions import Decision, Reason
from service.errors import InvalidImage, InvalidRequest
from service.reader import Reader, Reading, Timings
from tests import pictures


def test_reads_each_drawn_digit(reader: Reader) -> None:
    results = reader.read([pictures.png(digit) for digit in range(10)])
    assert [result.digit for result in results if isinstance(result, Reading)] == list(range(10))


def test_a_blank_picture_is_no_digit(reader: Reader) -> None:
    [blank] = reader.read([pictures.blank()])
    assert isinstance(blank, Reading)
    assert (blank.digit, blank.confidence, blank.probabilities, blank.pixels) == (None, 0.0, None, None)
    assert (blank.decision, blank.reasons, blank.reject) == (Decision.REJECT, (Reason.BLANK,), 1.0)


def test_a_bad_picture_keeps_its_place_and_harms_no_other(reader: Reader) -> None:
    failed = InvalidRequest("given as an error")
    results = reader.read([pictures.png(3), b"no picture", failed, pictures.blank(), pictures.png(7)])
    assert isinstance(results[0], Reading)
    assert results[0].digit == 3
    assert isinstance(results[1], InvalidImage)
    assert results[2] is failed
    assert isinstance(results[3], Reading)
    assert isinstance(results[4], Reading)
    assert results[4].digit == 7


def test_nothing_to_read_is_no_error(reader: Reader) -> None:
    assert reader.read([]) == []


def test_a_picture_is_read_alike_alone_and_among_others(reader: Reader) -> None:
    sources = [pictures.png(digit, size=90 + digit) for digit in range(10)]
    together = reader.read(sources)
    for source, result in zip(sources, together, strict=True):
        [alone] = reader.read([source])
        assert isinstance(alone, Reading)
        assert isinstance(result, Reading)
        np.testing.assert_array_equal(alone.probabilities, result.probabilities)
        assert (alone.digit, alone.decision) == (result.digit, result.decision)


def test_the_threshold_decides(reader: Reader) -> None:
    [accepted] = reader.read([pictures.png(7)], accept_at=0.0)
    [reviewed] = reader.read([pictures.png(7)], accept_at=1.1)
    assert isinstance(accepted, Reading)
    assert isinstance(reviewed, Reading)
    assert accepted.decision == Decision.ACCEPT
    assert (reviewed.decision, reviewed.reasons) == (Decision.REVIEW, (Reason.AMBIGUOUS,))


def test_a_reader_with_its_own_threshold_uses_it_by_default(reader: Reader) -> None:
    assert Reader(reader.classifier, accept_at=0.123).default_accept_at == 0.123
    assert reader.default_accept_at != 0.123


def test_stages_are_timed_and_digits_counted(reader: Reader) -> None:
    timings = Timings()
    reader.read([pictures.png(1), pictures.blank(), b"no picture", pictures.png(2)], timings=timings)
    assert timings.digits == 2
    assert min(timings.decode, timings.normalize, timings.infer) > 0
