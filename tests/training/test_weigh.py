"""The weights of what speaks for a segment: the sums over all ways of reading, their slope, and the fit."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from service.columns import read_weights
from service.reader import Reader
from training.data import Digits
from training.drawing import draw_digits
from training.weigh import Lattice, fit, fit_weights, number_loss, through_all, through_number


def make_lattice(seed: int, text: str = "12") -> Lattice:
    """Three pieces, of which neighbours may be one digit; the first feature of a digit tells the right one."""
    rng = np.random.default_rng(seed)
    spans = [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2)]
    digit = rng.normal(size=(len(spans), 10, 2))
    digit[0, int(text[0]), 0] += 3
    digit[3, int(text[-1]), 0] += 3
    first, last = np.array(spans).T
    return Lattice(text, first, last, rng.normal(size=(len(spans), 2)), digit, -np.eye(3)[rng.integers(0, 3, 3)])


def every_way(lattice: Lattice, read: np.ndarray, skip: np.ndarray) -> dict[str, float]:
    """The sum over all ways to each number, by trying every one."""
    spans = list(zip(lattice.first.tolist(), lattice.last.tolist(), strict=True))
    sums: dict[str, float] = {}

    def go_on(piece: int, text: str, score: float) -> None:
        if piece == len(skip):
            sums[text] = sums.get(text, 0.0) + float(np.exp(score))
            return
        go_on(piece + 1, text, score + skip[piece])
        for (index, (first, last)), digit in itertools.product(enumerate(spans), range(10)):
            if first == piece:
                go_on(last + 1, text + str(digit), score + read[index, digit])

    go_on(0, "", 0.0)
    return sums


def test_the_sums_are_those_of_every_single_way() -> None:
    lattice = make_lattice(0)
    read, skip = lattice.scores(np.random.default_rng(1).normal(size=7))
    sums = every_way(lattice, read, skip)
    total, likely, skipped = through_all(lattice, read, skip)
    assert total == pytest.approx(np.log(sum(sums.values())))
    assert through_number(lattice, read, skip)[0] == pytest.approx(np.log(sums["12"]))
    # Each piece is read or skipped once on every way.
    covered = [likely[(lattice.first <= piece) & (lattice.last >= piece)].sum() for piece in range(3)]
    np.testing.assert_allclose(np.array(covered) + skipped, 1)


def test_a_number_that_no_way_leads_to_is_out_of_reach() -> None:
    lattice = replace(make_lattice(0), text="1234")
    read, skip = lattice.scores(np.zeros(7))
    assert through_number(lattice, read, skip)[0] < -1e8


def test_the_slope_is_that_of_the_loss() -> None:
    lattice, weights = make_lattice(2), np.random.default_rng(3).normal(size=7)
    _, slope = number_loss(lattice, weights, 0.05)
    for index, step in enumerate(1e-5 * np.eye(7)):
        ahead, back = (number_loss(lattice, weights + sign * step, 0.05)[0] for sign in (1, -1))
        assert slope[index] == pytest.approx((ahead - back) / 2e-5, abs=1e-6)


def test_the_fit_makes_numbers_likely() -> None:
    lattices = [make_lattice(seed, f"{seed % 10}{seed * 7 % 10}") for seed in range(40)]
    start = np.zeros(7)
    fitted = fit(lattices, start)
    before, after = (sum(number_loss(row, weights, 0.05)[0] for row in lattices) for weights in (start, fitted))
    assert after < 0.7 * before
    assert fitted[2] > 0.5


def test_weights_are_fitted_on_strings_and_kept_in_a_record(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.weigh.ROUNDS", 3)
    drawn = Digits(*draw_digits(200, np.random.default_rng(0)))
    weights = fit_weights(reader, drawn, 2)
    kept = {part: vars(getattr(weights, part)) for part in ("before", "after")}
    assert read_weights(kept) == weights
    with pytest.raises(ValueError, match="weights are not"):
        read_weights(kept | {"before": kept["before"] | {"skip": [1.0]}})
