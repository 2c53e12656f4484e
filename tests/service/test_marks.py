import numpy as np
import pytest

from service.marks import bounding_box, find_marks, find_runs, paint


def mask_of(*rows: str) -> np.ndarray:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def test_pixels_that_touch_at_corners_are_one_mark() -> None:
    [mark] = find_marks(find_runs(mask_of("#...", ".#..", "..##")))
    assert (mark.area, mark.left, mark.top, mark.right, mark.bottom) == (4, 0, 0, 4, 3)


def test_arms_that_meet_only_at_the_bottom_are_one_mark() -> None:
    assert len(find_marks(find_runs(mask_of("#.#.#", "#.#.#", "#####")))) == 1


def test_the_end_of_a_row_does_not_touch_the_start_of_the_next() -> None:
    assert len(find_marks(find_runs(mask_of("...#", "....", "#...")))) == 2
    assert len(find_marks(find_runs(mask_of("...#", "#...")))) == 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 3)])
def test_smallest_masks(shape: tuple[int, int]) -> None:
    [mark] = find_marks(find_runs(np.ones(shape, bool)))
    assert mark.area == shape[0] * shape[1]
    assert find_marks(find_runs(np.zeros(shape, bool))) == []


def test_painting_all_marks_gives_the_mask_and_their_areas_its_pixels() -> None:
    mask = np.random.default_rng(0).random((40, 30)) < 0.4
    runs = find_runs(mask)
    marks = find_marks(runs)
    assert (paint(runs, [run for mark in marks for run in mark.runs]) == mask).all()
    assert sum(mark.area for mark in marks) == mask.sum()
    for mark in marks:
        assert len(find_marks(find_runs(paint(runs, mark.runs)))) == 1
    assert bounding_box(marks) == (0, 0, 30, 40)
