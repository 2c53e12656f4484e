"""Segments with what the network says of them -> the likeliest numbers: best paths by dynamic programming.

A path goes through the pieces of a field from left to right and reads some runs of them as a digit each, and skips
others. Its score is the logarithm of its probability: of each digit `p (1 - reject)` and how likely its size is, of
each skipped piece how likely it is no part of the number. The paths are built from the right, so that a check digit
can be kept on the way.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import exp, inf, log

from service.checks import Check

# Paths kept at each piece: in all, of a length, and of a length and a remainder of the check.
BEAM, BEAM_OF_LENGTH, BEAM_OF_CHECK = 12, 6, 2
# Paths that are so much worse than the best one, in nats, are given up.
HOPELESS = 25.0
# Numbers are shorter, whatever is asked for.
MAX_DIGITS = 64


@dataclass(frozen=True)
class Step:
    """Pieces `first` to `last` (inclusive) read as `digit`, or skipped where it is None; `segment` is its index."""

    first: int
    last: int
    digit: int | None
    score: float
    segment: int


@dataclass(frozen=True)
class Path:
    """A way through the rest of the pieces, its number, and the remainder of the check."""

    score: float
    text: str
    remainder: int = 0
    step: Step | None = None
    rest: "Path | None" = None

    def steps(self) -> list[Step]:
        """From left to right."""
        found: list[Step] = []
        path: Path | None = self
        while path is not None and path.step is not None:
            found.append(path.step)
            path = path.rest
        return found


@dataclass(frozen=True)
class Constraints:
    """What is known of the number: least and greatest length, check digit."""

    lengths: tuple[int, int] | None = None
    check: Check | None = None

    def allow_one(self) -> bool:
        """Whether a single digit may be all."""
        return self.check is None and (self.lengths is None or self.lengths[0] <= 1)

    def allow(self, path: Path) -> bool:
        if self.lengths is not None and not self.lengths[0] <= len(path.text) <= self.lengths[1]:
            return False
        return self.check is None or (path.remainder == self.check.remainder and len(path.text) > 1)


# Nothing is known of the number.
ANY = Constraints()


def best_paths(count: int, steps: Sequence[Step], constraints: Constraints) -> list[Path]:
    """The likeliest path of each number that the constraints allow, best first; empty where there is none.

    Args:
        count: number of pieces.
        steps: all that may be done with runs of pieces.
        constraints: what is known of the number.
    """
    bucket, width = _buckets(constraints)
    longest = constraints.lengths[1] if constraints.lengths else MAX_DIGITS
    starting: list[list[Step]] = [[] for _ in range(count)]
    for step in steps:
        starting[step.first].append(step)
    beams: list[list[Path]] = [[] for _ in range(count)] + [[Path(0.0, "")]]
    for first in range(count - 1, -1, -1):
        paths = [
            _extend(step, rest, constraints.check)
            for step in starting[first]
            for rest in beams[step.last + 1]
            if step.digit is None or len(rest.text) < longest
        ]
        beams[first] = _keep_best(paths, bucket, width)
    return [path for path in beams[0] if constraints.allow(path)]


def best_through(spans: Sequence[tuple[int, int]], scores: Sequence[float], skips: Sequence[float]) -> list[float]:
    """How far the best path through each run of pieces is behind the best of all, at most 0 (its max-marginal).

    Args:
        spans: first and last piece (inclusive) of each run.
        scores: of reading each run as a digit.
        skips: of skipping each piece.
    """
    count = len(skips)
    starting: list[list[int]] = [[] for _ in range(count)]
    for index, (first, _) in enumerate(spans):
        starting[first].append(index)
    # From the right, the best of what follows; then from the left, what leads to each piece.
    after = [0.0] * (count + 1)
    for first in range(count - 1, -1, -1):
        after[first] = max(
            [skips[first] + after[first + 1]] + [scores[i] + after[spans[i][1] + 1] for i in starting[first]]
        )
    before = [0.0] + [-inf] * count
    through = [0.0] * len(spans)
    for first in range(count):
        before[first + 1] = max(before[first + 1], before[first] + skips[first])
        for index in starting[first]:
            reached, end = before[first] + scores[index], spans[index][1] + 1
            before[end] = max(before[end], reached)
            through[index] = reached + after[end] - after[0]
    return through


def _buckets(constraints: Constraints) -> tuple[Callable[[Path], Hashable], int]:
    if constraints.check is not None:
        return lambda path: (len(path.text), path.remainder), BEAM_OF_CHECK
    if constraints.lengths is not None:
        return lambda path: len(path.text), BEAM_OF_LENGTH
    return lambda _: 0, BEAM


def _extend(step: Step, rest: Path, check: Check | None) -> Path:
    if step.digit is None:
        return Path(rest.score + step.score, rest.text, rest.remainder, step, rest)
    remainder = check.add(rest.remainder, len(rest.text), step.digit) if check else 0
    return Path(rest.score + step.score, str(step.digit) + rest.text, remainder, step, rest)


def _keep_best(paths: list[Path], bucket: Callable[[Path], Hashable], width: int) -> list[Path]:
    """The best path of each number, and of those the best of each bucket."""
    paths.sort(key=lambda path: -path.score)
    kept: list[Path] = []
    seen: set[str] = set()
    filled: dict[Hashable, int] = {}
    for path in paths:
        if path.score < paths[0].score - HOPELESS:
            break
        key = bucket(path)
        if path.text not in seen and filled.get(key, 0) < width:
            seen.add(path.text)
            filled[key] = filled.get(key, 0) + 1
            kept.append(path)
    return kept


def shares(paths: Sequence[Path]) -> list[float]:
    """How the probability is shared among the paths, summing to 1."""
    if not paths:
        return []
    weights = [exp(path.score - paths[0].score) for path in paths]
    return [weight / sum(weights) for weight in weights]


def safe_log(probability: float) -> float:
    """Natural logarithm, of zero that of the least float32."""
    return log(max(probability, 1e-38))
