"""Weights of what speaks for a segment of a field: fitted so that the numbers of strings become the likeliest.

    strings of validation digits --candidates of the service--> lattices --conditional random field--> FieldWeights

A lattice holds all ways through the pieces of a field. Which of them is right is not told, only the number that it has
to lead to: the paths of that number are summed up (a hidden conditional random field; A. Quattoni and others, 2007).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service import fields, scores
from service.fields import Candidates, FieldWeights, Weights
from service.reader import Reader
from training.data import Digits
from training.errors import RunError
from training.freehand import write_many
from training.strings import STYLES, Pool, String, make_strings

SEED = 21
STRINGS = 150  # of each style, and of free writing
# A number that is read wrong counts as if it had at least this probability: what is hopeless shall not decide; less of
# it where only the scale of all weights is sought.
HOPELESS, SCALE_HOPELESS = 0.05, 0.003
SCALES = np.geomspace(0.25, 1.5, 19)
DECAY = 0.02
ROUNDS = 60
NOWHERE = -1e9

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lattice:
    """All ways through P pieces: N segments from piece `first` to piece `last`, intp `[N]`, and the number they hold.

    Features are `segment` `[N, S]`, `digit` `[N, 10, D]` and `skip` `[P, 3]`.
    """

    text: str
    first: NDArray[np.intp]
    last: NDArray[np.intp]
    segment: Floats
    digit: Floats
    skip: Floats

    @cached_property
    def starting(self) -> list[NDArray[np.intp]]:
        """The segments that begin with each piece."""
        return [np.flatnonzero(self.first == piece) for piece in range(len(self.skip))]

    @cached_property
    def ending(self) -> list[NDArray[np.intp]]:
        """The segments that end with each piece."""
        return [np.flatnonzero(self.last == piece) for piece in range(len(self.skip))]

    def scores(self, weights: Floats) -> tuple[Floats, Floats]:
        """Of each segment as each digit `[N, 10]`, and of skipping each piece `[P]`."""
        segment, digit, skip = np.split(weights, np.cumsum([self.segment.shape[1], self.digit.shape[2]]))
        return (self.segment @ segment)[:, np.newaxis] + self.digit @ digit, self.skip @ skip

    def sums(self, read: Floats, skipped: Floats) -> Floats:
        """The features summed up, weighed by how likely each segment is each digit and each piece is skipped."""
        return np.concatenate([read.sum(axis=1) @ self.segment, np.tensordot(read, self.digit, 2), skipped @ self.skip])


def fit_weights(reader: Reader, held_out: Digits, per_style: int = STRINGS) -> FieldWeights:
    """Weights without and with the digit network, of strings in all styles and of numbers written freely."""
    pool, rng = Pool(held_out), np.random.default_rng(SEED)
    strings = [string for style in STYLES for string in make_strings(per_style, style, pool, rng)]
    strings += write_many(per_style, pool, rng)
    found = [(string.text, candidates) for string in strings if (candidates := _candidates(reader, string))]
    fitted = []
    for part, start in asdict(scores.DEFAULT_WEIGHTS).items():
        lattices = [make_lattice(*pair, with_network=part == "after") for pair in found]
        fitted.append(_unpack(fit([row for row in lattices if row], _pack(Weights(**start), part)), part))
    return FieldWeights(*fitted)


def _candidates(reader: Reader, string: String) -> Candidates | None:
    if reader.columns is None:
        raise RunError("fields are read with a column network, and there is none")
    return fields.find_candidates(Image.fromarray(string.picture), reader.classifier.predict, reader.columns, np.inf)


# --- lattices ---------------------------------------------------------------------------------------------------------


def make_lattice(text: str, candidates: Candidates, *, with_network: bool) -> Lattice | None:
    """The lattice of a field; None where no way leads to its number."""
    seen = candidates.seen
    cut = seen.is_cut[:, np.newaxis, np.newaxis]
    digit, segment = seen.columns, seen.shape
    if with_network:
        digit = np.concatenate([candidates.behind[..., np.newaxis], digit], axis=2)
        segment = np.concatenate([segment, candidates.network], axis=1)
    lattice = Lattice(
        text,
        np.array([part.first for part in seen.segments]),
        np.array([part.last for part in seen.segments]),
        segment,
        np.concatenate([digit * ~cut, digit * cut], axis=2),
        -np.eye(3)[scores.skipped(seen.pieces)],
    )
    flat = np.zeros((len(seen.segments), 10)), np.zeros(len(seen.pieces.pieces))
    return lattice if through_number(lattice, *flat)[0] > NOWHERE / 2 else None


def _pack(weights: Weights, part: str) -> Floats:
    if part == "before":
        return np.array([*weights.shape, *weights.whole[1:], *weights.cut[1:], *weights.skip])
    return np.array([*weights.shape, *weights.network, *weights.whole, *weights.cut, *weights.skip])


def _unpack(packed: Floats, part: str) -> Weights:
    values = iter(packed.tolist())

    def take(count: int) -> tuple[float, ...]:
        return tuple(next(values) for _ in range(count))

    if part == "before":
        return Weights(take(9), (0.0,) * 4, (0.0, *take(3)), (0.0, *take(3)), take(3))
    return Weights(take(9), take(4), take(4), take(4), take(3))


# --- fit --------------------------------------------------------------------------------------------------------------


def fit(lattices: Sequence[Lattice], start: Floats) -> Floats:
    """The weights under which the numbers of the lattices are likely, and how likely they are means what it says."""
    from scipy.optimize import minimize

    size = np.sqrt(np.mean([lattice.sums(*_flat(lattice)) ** 2 for lattice in lattices], axis=0)) + 1e-3
    size /= np.sqrt(np.mean([len(lattice.first) ** 2 for lattice in lattices]))

    def loss(scaled: Floats) -> tuple[float, Floats]:
        total, gradient = 0.0, np.zeros_like(scaled)
        for lattice in lattices:
            value, slope = number_loss(lattice, scaled / size, HOPELESS)
            total, gradient = total + value, gradient + slope
        return total + DECAY * float(scaled @ scaled), gradient / size + 2 * DECAY * scaled

    fitted = minimize(loss, start * size, jac=True, method="L-BFGS-B", options={"maxiter": ROUNDS}).x / size
    losses = [sum(number_loss(row, scale * fitted, SCALE_HOPELESS)[0] for row in lattices) for scale in SCALES]
    return np.asarray(fitted * SCALES[int(np.argmin(losses))])


def _flat(lattice: Lattice) -> tuple[Floats, Floats]:
    return np.full((len(lattice.first), 10), 0.1), np.ones(len(lattice.skip))


def number_loss(lattice: Lattice, weights: Floats, hopeless: float) -> tuple[float, Floats]:
    """Negative logarithm of the number's probability, and its gradient.

    At most so large as if a number that is read wrong had the probability `hopeless` all the same.
    """
    read, skip = lattice.scores(weights)
    all_ways, all_read, all_skipped = through_all(lattice, read, skip)
    right_ways, right_read, right_skipped = through_number(lattice, read, skip)
    probability = float(np.exp(right_ways - all_ways))
    gradient = lattice.sums(all_read - right_read, all_skipped - right_skipped)
    return -float(np.log(hopeless + probability)), gradient * probability / (hopeless + probability)


def through_all(lattice: Lattice, read: Floats, skip: Floats) -> tuple[float, Floats, Floats]:
    """Logarithm of the sum over all ways; how likely each segment is each digit, and each piece skipped, on them."""
    count, first, end = len(skip), lattice.first, lattice.last + 1
    any_digit = np.logaddexp.reduce(read, axis=1)
    before, after = np.full(count + 1, NOWHERE), np.full(count + 1, NOWHERE)
    before[0] = after[count] = 0.0
    for piece, here in enumerate(lattice.ending):
        ways = before[first[here]] + any_digit[here]
        before[piece + 1] = np.logaddexp.reduce(np.append(ways, before[piece] + skip[piece]))
    for piece in range(count - 1, -1, -1):
        here = lattice.starting[piece]
        ways = after[end[here]] + any_digit[here]
        after[piece] = np.logaddexp.reduce(np.append(ways, after[piece + 1] + skip[piece]))
    total = float(before[count])
    likely = np.exp(before[first, np.newaxis] + read + after[end, np.newaxis] - total)
    return total, likely, np.exp(before[:-1] + skip + after[1:] - total)


def through_number(lattice: Lattice, read: Floats, skip: Floats) -> tuple[float, Floats, Floats]:
    """The same over the ways that lead to the lattice's number."""
    count, first, end = len(skip), lattice.first, lattice.last + 1
    digits = [int(digit) for digit in lattice.text]
    wanted = read[:, digits]
    # At each piece, with so many digits of the number behind.
    before = np.full((count + 1, len(digits) + 1), NOWHERE)
    after = before.copy()
    before[0, 0] = after[count, -1] = 0.0
    for piece, here in enumerate(lattice.ending):
        ways = np.full((len(here) + 1, len(digits) + 1), NOWHERE)
        ways[:-1, 1:] = before[first[here], :-1] + wanted[here]
        ways[-1] = before[piece] + skip[piece]
        before[piece + 1] = np.logaddexp.reduce(ways, axis=0)
    for piece in range(count - 1, -1, -1):
        here = lattice.starting[piece]
        ways = np.full((len(here) + 1, len(digits) + 1), NOWHERE)
        ways[:-1, :-1] = after[end[here], 1:] + wanted[here]
        ways[-1] = after[piece + 1] + skip[piece]
        after[piece] = np.logaddexp.reduce(ways, axis=0)
    total = float(before[count, -1])
    reached = np.exp(before[first, :-1] + wanted + after[end, 1:] - total)
    likely = np.zeros_like(read)
    np.add.at(likely.T, digits, reached.T)
    return total, likely, np.exp(before[:-1] + skip[:, np.newaxis] + after[1:] - total).sum(axis=1)
