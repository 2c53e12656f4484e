"""Paths through little ink, along which marks are cut."""

import numpy as np

from service.seams import Wide, find_seams


def two_touching(width: int = 40, rows: int = 30) -> np.ndarray:
    """Two upright bars, joined by a stroke of three pixels."""
    ink = np.zeros((rows, width), bool)
    ink[:, :8] = ink[:, -8:] = True
    ink[rows // 3 : rows // 3 + 3] = True
    return ink


def wide(ink: np.ndarray, wanted: tuple[int, ...] = ()) -> Wide:
    allowed = np.zeros(ink.shape[1], bool)
    allowed[10:-10] = True
    return Wide(ink, allowed, wanted)


def test_a_seam_crosses_the_one_stroke_that_joins() -> None:
    ink = two_touching()
    [found] = find_seams([wide(ink, (20,))], 30.0, 9.0)
    assert found.columns.shape == (len(ink), len(found.costs))
    assert min(found.costs) == 3.0
    for path, cost in zip(found.columns.T, found.costs, strict=True):
        assert int(ink[np.arange(len(ink)), path].sum()) == cost
        assert np.abs(np.diff(path)).max() <= 1
    middles = found.columns[len(ink) // 2]
    assert ((middles >= 10) & (middles < 30)).all()
    assert (np.diff(middles) >= 3).all()


def test_no_seam_crosses_more_ink_than_allowed_but_where_one_is_wanted() -> None:
    ink = np.ones((30, 40), bool)
    assert [found.costs for found in find_seams([wide(ink), wide(ink, (20,))], 30.0, 9.0)] == [[], [30.0]]


def test_marks_of_any_size_have_the_same_seams_alone_and_beside_others() -> None:
    rng = np.random.default_rng(0)
    marks = [wide(rng.random((rows, width)) < 0.4) for rows, width in ((31, 40), (12, 25), (2, 33), (1, 21))]
    for mark, found in zip(marks, find_seams(marks, 30.0, 9.0), strict=True):
        [alone] = find_seams([mark], 30.0, 9.0)
        assert alone.costs == found.costs
        assert (alone.columns == found.columns).all()
        assert found.columns.shape[0] == len(mark.ink)
