"""What stands in each column of a line of writing: the column network, and what it says for and against each segment.

    strip --network--> log probabilities of each frame --log odds, best run of frames--> evidence for a digit

The network slides over the line and needs no cuts (O. Matan, C. Burges, Y. LeCun, J. Denker, "Multi-digit recognition
using a space displacement neural network", 1992), so it reads digits that touch as well as others.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from service.decisions import FIELD_FEATURES, FieldCalibration, read_thresholds
from service.errors import ModelError
from service.sessions import open_session
from service.strip import HEIGHT, STEP, STRIDE, Strip

# Version of the way strips are made.
STRIP_VERSION = "1"
DIGITS = 10
PAPER = 10

# Log odds of a single frame are believed up to here.
MOST_ODDS = 10.0
# A frame may be a digit's middle from these log odds on, and lie between two digits from this probability on.
MAY_BE_MIDDLE, MAY_BE_BETWEEN = -2.0, 0.1

# Probabilities of a line's first frames are brought back to about 1 after so many, before they are too small.
_RESCALED = 16
_LEAST = 1e-250

_INPUT = ("strip", "tensor(uint8)")
_OUTPUT = ("log_probabilities", "tensor(float)")


@dataclass(frozen=True)
class ColumnRecord:
    """What the model file says of itself, with the file's own hash."""

    name: str
    version: str
    sha256: str
    calibration: FieldCalibration
    training: Mapping[str, Any]
    metrics: Mapping[str, Any]


class ColumnReader:
    """One session on one thread."""

    def __init__(self, session: onnxruntime.InferenceSession, record: ColumnRecord) -> None:
        self._session = session
        self.record = record

    @classmethod
    def load(cls, path: Path) -> "ColumnReader":
        """Load a model file.

        Raises:
            ModelError: the file is missing, no ONNX model, or not a column network; the message names it.
        """
        session, sha256 = open_session(path, "field model file")
        _check_signature(path, session)
        metadata = session.get_modelmeta().custom_metadata_map
        return cls(session, _read_record(path, metadata, sha256))

    def read(self, strip: Strip) -> "Frames":
        """What stands in each frame of a strip."""
        return Frames(self.log_probabilities(strip.pixels[np.newaxis])[0], strip)

    def log_probabilities(self, strips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Of digits 0 to 9, and of none: uint8 `[N, 32, width]` -> float32 `[N, width / 2, 11]`."""
        logs: NDArray[np.float32] = self._session.run([_OUTPUT[0]], {_INPUT[0]: strips})[0]
        return logs

    def warm_up(self) -> None:
        """Answer an empty strip.

        Raises:
            ModelError: the answers are no probabilities.
        """
        width = 8 * STEP
        frames = self.read(Strip(np.zeros((HEIGHT, width), np.uint8), 0.0, 1.0))
        if frames.logs.shape != (width // STRIDE, DIGITS + 1) or not np.allclose(np.exp(frames.logs).sum(axis=1), 1):
            raise ModelError("the field model answers an empty strip with values that are no probabilities")


@dataclass(frozen=True, eq=False)
class Frames:
    """Log probabilities float32 `[T, 11]` of digits 0 to 9, and of none, in each frame of a strip."""

    logs: NDArray[np.float32]
    strip: Strip

    @cached_property
    def odds(self) -> NDArray[np.float32]:
        """Log odds float32 `[T, 10]` of each digit against none."""
        odds: NDArray[np.float32] = (self.logs[:, :DIGITS] - self.logs[:, PAPER:]).clip(-MOST_ODDS, MOST_ODDS)
        return odds

    @cached_property
    def most(self) -> float:
        """The evidence there is for any number at all: no reading has more."""
        return float(np.maximum(self.odds.max(axis=1), 0).sum())

    def evidence(
        self, bounds: NDArray[np.intp], first: NDArray[np.intp], last: NDArray[np.intp]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Log odds that a segment is one digit, against none, and where its middle is.

        A digit is there if the frames say so in one run of them, and none before and after: the run with the
        greatest sum of log odds (as of a two-state hidden Markov model, by Viterbi's algorithm).

        Args:
            bounds: frames at which pieces begin, and the end of the last, intp `[pieces + 1]`, not falling.
            first: the first piece of each segment, intp `[N]`.
            last: the last piece of each segment, intp `[N]`.

        Returns:
            The log odds float32 `[N, 10]`; the middle of the run, in columns of the ink map, float32 `[N, 10]`, nan in
            segments without a frame.
        """
        sums = np.zeros((len(self.odds) + 1, DIGITS), np.float32)
        np.cumsum(self.odds, axis=0, out=sums[1:])
        sizes = bounds[last + 1] - bounds[first]
        # For each piece that one may begin with, the sums up to each frame behind it: [pieces, frames, 10].
        onward = np.arange(max(int(sizes.max()), 1))
        begins = bounds[:-1, np.newaxis]
        behind = sums[np.minimum(begins + onward, len(self.odds))]
        lowest = np.minimum.accumulate(behind, axis=1)
        gain = sums[np.minimum(begins + onward + 1, len(self.odds))] - lowest
        best = np.maximum.accumulate(gain, axis=1)
        steps = onward[np.newaxis, :, np.newaxis]
        starts = np.maximum.accumulate(steps * (behind == lowest), axis=1)
        ends = np.maximum.accumulate(steps * (gain == best), axis=1)
        chosen = first, np.maximum(sizes - 1, 0)
        end = ends[chosen]
        start = starts[first[:, np.newaxis], end, np.arange(DIGITS)]
        middles = self.strip.column_of(begins[first] + (start + end + 1) / 2)
        empty = sizes[:, np.newaxis] <= 0
        return np.where(empty, np.float32(-MOST_ODDS), best[chosen]), np.where(empty, np.nan, middles).astype(
            np.float32
        )

    def likelihoods(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Log probability of each number in the whole line, wherever its digits stand, float64 `[N]`.

        All ways to spread the digits over the frames are added up: each in a run of frames, with none before, after
        and between, though two unlike digits may meet (A. Graves et al., "Connectionist temporal classification",
        2006).
        """
        sizes = np.array([2 * len(text) + 1 for text in texts])
        labels = np.full((len(texts), int(sizes.max())), PAPER)
        for row, text in zip(labels, texts, strict=True):
            row[1 : 2 * len(text) : 2] = [int(digit) for digit in text]
        # From a digit to the next one without a frame between, if it is another.
        meets = np.zeros(labels.shape)
        meets[:, 3::2] = labels[:, 3::2] != labels[:, 1:-2:2]
        emitted = np.exp(self.logs.astype(np.float64))[:, labels]
        reached = np.zeros((len(texts), labels.shape[1] + 2))
        now, before, earlier = reached[:, 2:], reached[:, 1:-1], reached[:, :-2]
        now[:, 0] = 1.0
        scale = np.zeros(len(texts))
        for frame, each in enumerate(emitted):
            now[:] = (now + before + meets * earlier) * each
            if frame % _RESCALED == _RESCALED - 1:
                most = np.maximum(now.max(axis=1), _LEAST)
                now /= most[:, np.newaxis]
                scale += np.log(most)
        index = np.arange(len(texts))
        ends = now[index, sizes - 1] + np.where(sizes > 1, now[index, sizes - 2], 0.0)
        return np.asarray(scale + np.log(np.maximum(ends, _LEAST)))

    def bounds(self, edges: list[tuple[float, float]]) -> NDArray[np.intp]:
        """The frames at which pieces begin, and the end of the last: half way between neighbours.

        Args:
            edges: left and right of each piece in columns of the ink map, from left to right.
        """
        between = [(before[1] + after[0]) / 2 for before, after in pairwise(edges)]
        columns = [self.strip.left, *between, np.inf]
        frames = [min(self.strip.frame_of(column) + 0.5, len(self.odds)) for column in columns]
        return np.maximum.accumulate(np.array(frames).clip(0).astype(np.intp))

    def middles(self, columns: int) -> NDArray[np.bool_]:
        """Columns of the ink map, as many, that may be in the middle of a digit."""
        return self._spread(self.odds.max(axis=1) > MAY_BE_MIDDLE, columns)

    def gaps(self, columns: int) -> NDArray[np.bool_]:
        """Columns of the ink map, as many, that may lie between two digits."""
        return self._spread(np.exp(self.logs[:, PAPER]) > MAY_BE_BETWEEN, columns)

    def borders(self) -> list[float]:
        """Columns of the ink map half way between neighbouring digits, as the network sees them."""
        return [
            self.strip.left + float(end + start) / 2 * STRIDE / self.strip.scale
            for (_, _, end), (_, start, _) in pairwise(self._runs)
        ]

    @property
    def text(self) -> str:
        """The number that the network reads by itself, each frame as what it is likeliest to be."""
        return "".join(str(digit) for digit, _, _ in self._runs)

    @cached_property
    def _runs(self) -> list[tuple[int, int, int]]:
        """Digit, first frame and end of each run of frames that are likeliest to be one digit."""
        best = self.logs.argmax(axis=1)
        starts = np.flatnonzero(np.diff(best, prepend=PAPER))
        ends = np.append(starts[1:], len(best))[: len(starts)]
        runs = zip(best[starts].tolist(), starts.tolist(), ends.tolist(), strict=True)
        return [run for run in runs if run[0] != PAPER]

    def _spread(self, frames: NDArray[np.bool_], columns: int) -> NDArray[np.bool_]:
        first, last = self.strip.frame_of(0.5), self.strip.frame_of(columns - 0.5)
        places = np.linspace(first, last, columns).astype(np.intp)
        return np.asarray(frames[places.clip(0, len(frames) - 1)])


def _check_signature(path: Path, session: onnxruntime.InferenceSession) -> None:
    inputs = [(node.name, node.type, node.shape[1]) for node in session.get_inputs()]
    outputs = [(node.name, node.type, node.shape[-1]) for node in session.get_outputs()]
    if inputs != [(*_INPUT, HEIGHT)] or outputs != [(*_OUTPUT, DIGITS + 1)]:
        raise ModelError(f"the field model file {path} takes {inputs} and gives {outputs}; it is no column network")


def _read_record(path: Path, metadata: Mapping[str, str], sha256: str) -> ColumnRecord:
    try:
        if metadata["strip_version"] != STRIP_VERSION:
            raise ModelError(
                f"the field model file {path} is made for strips of version {metadata['strip_version']}, "
                f"not {STRIP_VERSION}"
            )
        return ColumnRecord(
            name=metadata["name"],
            version=metadata["version"],
            sha256=sha256,
            calibration=_read_calibration(json.loads(metadata["calibration"])),
            training=json.loads(metadata["training"]),
            metrics=json.loads(metadata["metrics"]),
        )
    except (KeyError, ValueError, TypeError) as exc:
        raise ModelError(f"the field model file {path} lacks a readable record: {exc!r}") from exc


def _read_calibration(entry: Mapping[str, Any]) -> FieldCalibration:
    weights = tuple(map(float, entry["weights"]))
    if len(weights) != FIELD_FEATURES:
        raise ValueError(f"{len(weights)} weights of confidence; there are {FIELD_FEATURES}")
    return FieldCalibration(float(entry["bias"]), weights, read_thresholds(entry))
