import itertools
import math

import pytest

from service.checks import CHECKS
from service.paths import ANY, Constraints, Step, best_paths, best_through, shares


def every_digit(probabilities: list[dict[int, float]]) -> list[Step]:
    """Each piece is one of these digits, or none."""
    steps = [Step(index, index, None, -20.0, -1) for index in range(len(probabilities))]
    for index, piece in enumerate(probabilities):
        steps += [Step(index, index, digit, math.log(share), index) for digit, share in piece.items()]
    return steps


def test_the_likeliest_number_comes_first_and_each_only_once() -> None:
    steps = every_digit([{1: 0.9, 7: 0.1}, {3: 0.6, 8: 0.4}])
    paths = best_paths(2, steps, ANY)
    assert [path.text for path in paths[:4]] == ["13", "18", "73", "78"]
    assert len({path.text for path in paths}) == len(paths)
    assert sum(shares(paths)) == pytest.approx(1)


def test_pieces_are_joined_where_they_are_likelier_one_digit() -> None:
    apart = [Step(0, 0, 1, -2.0, 0), Step(1, 1, 3, -2.0, 1)]
    paths = best_paths(2, [*apart, Step(0, 1, 8, -0.1, 2)], ANY)
    assert [path.text for path in paths] == ["8", "13"]
    assert [(step.first, step.last) for step in paths[0].steps()] == [(0, 1)]


def test_a_length_leaves_only_numbers_of_it() -> None:
    steps = [*every_digit([{1: 1.0}, {3: 1.0}, {4: 1.0}]), Step(0, 1, 8, -0.1, 3)]
    assert best_paths(3, steps, Constraints((2, 2)))[0].text == "84"
    assert {len(path.text) for path in best_paths(3, steps, Constraints((2, 3)))} == {2, 3}
    assert best_paths(3, steps, Constraints((4, 4))) == []


@pytest.mark.parametrize("check", CHECKS.values(), ids=str)
def test_a_check_digit_chooses_the_likeliest_number_that_passes(check) -> None:
    shares_ = [{5: 0.5, 6: 0.3, 8: 0.2}, {1: 0.7, 7: 0.3}, {0: 0.6, 6: 0.4}, {3: 0.9, 8: 0.1}, {2: 0.8, 7: 0.2}]
    expected = max(
        (numbers for numbers in itertools.product(*shares_) if check.holds("".join(map(str, numbers)))),
        key=lambda numbers: math.prod(piece[digit] for piece, digit in zip(shares_, numbers, strict=True)),
        default=(),
    )
    found = best_paths(5, every_digit(shares_), Constraints((5, 5), check))
    assert (found[0].text if found else "") == "".join(map(str, expected))
    assert all(check.holds(path.text) for path in found)


def test_many_pieces_take_no_exponential_time() -> None:
    steps = every_digit([{1: 0.6, 7: 0.3, 4: 0.1}] * 100)
    steps += [Step(index, index + 1, 8, -3.0, 0) for index in range(99)]
    assert len(best_paths(100, steps, ANY)) > 0


def test_the_best_path_through_each_run_is_found() -> None:
    spans, scores, skips = [(0, 0), (1, 1), (0, 1), (2, 2)], [-2.0, -1.0, -2.5, -0.5], [-4.0, -4.0, -4.0]
    # Apart they score 3.5 in all, joined 3.0.
    assert best_through(spans, scores, skips) == pytest.approx([-0.5, -0.5, 0.0, 0.0])
    # Skipping costs less than any run: each is behind by what it costs more.
    assert best_through(spans, scores, [-0.1, -0.1, -0.1]) == pytest.approx([-1.9, -0.9, -2.3, -0.4])
