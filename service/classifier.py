"""28x28 digits -> probabilities: the ONNX model in an onnxruntime session, checked against the contract."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from service.decisions import DEFAULT_DOUBT_AT, Threshold, read_thresholds
from service.errors import ModelError
from service.preprocessing import PREPROCESSING_VERSION, SIZE
from service.sessions import open_session

# Bounds the memory of one run; larger batches are cut into pieces.
MAX_RUN = 64
# Digits uint8 `[N, 28, 28]` -> probabilities float32 `[N, 10]`, reject float32 `[N]`.
Predict = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.float32]]]

_INPUT = ("image", "tensor(uint8)", (SIZE, SIZE))
_OUTPUTS = {"probabilities": ("tensor(float)", (10,)), "reject": ("tensor(float)", ())}


@dataclass(frozen=True)
class ModelRecord:
    """What the model file says of itself, with the file's own hash.

    `doubt_at` is the probability of no digit from which on a person should look.
    """

    name: str
    version: str
    sha256: str
    preprocessing_version: str
    architecture: str
    labels: tuple[int, ...]
    thresholds: Mapping[str, Threshold | None]
    training: Mapping[str, Any]
    metrics: Mapping[str, Any]
    calibration: Mapping[str, Any]
    doubt_at: float = DEFAULT_DOUBT_AT


class DigitClassifier:
    """One session on one thread: the run takes about 0.1 ms, so a thread pool costs more than it gives."""

    def __init__(self, session: onnxruntime.InferenceSession, record: ModelRecord) -> None:
        self._session = session
        self.record = record

    @classmethod
    def load(cls, path: Path) -> "DigitClassifier":
        """Load a model file.

        Raises:
            ModelError: the file is missing, no ONNX model, or not what the contract describes; the message names
                the file and what differs.
        """
        session, sha256 = open_session(path)
        _check_signature(path, session)
        metadata = session.get_modelmeta().custom_metadata_map
        return cls(session, _read_record(path, metadata, sha256))

    def predict(self, digits: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities of normalised digits.

        Args:
            digits: uint8 `[N, 28, 28]`, white ink on black, N >= 1.

        Returns:
            `probabilities` float32 `[N, 10]`, each row summing to 1, and `reject` float32 `[N]`.
        """
        runs = [self._run(digits[start : start + MAX_RUN]) for start in range(0, len(digits), MAX_RUN)]
        if len(runs) == 1:
            return runs[0]
        probabilities, rejects = zip(*runs, strict=True)
        return np.concatenate(probabilities), np.concatenate(rejects)

    def warm_up(self) -> None:
        """Answer two digits drawn here, so that the first caller does not wait for the first run.

        Raises:
            ModelError: the answers are no probabilities, or not these digits.
        """
        known = np.stack([_draw_zero(), _draw_one()])
        probabilities, reject = self.predict(known)
        if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-5) or not ((reject >= 0) & (reject <= 1)).all():
            raise ModelError("the model answers a drawn 0 and 1 with values that are no probabilities")
        if probabilities.argmax(axis=1).tolist() != [0, 1]:
            raise ModelError(f"the model reads a drawn 0 and 1 as {probabilities.argmax(axis=1).tolist()}")

    def _run(self, digits: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        probabilities, reject = self._session.run(list(_OUTPUTS), {"image": digits})
        return probabilities, reject


# No answer speaks against a digit more than this.
LEAST_PROBABILITY = 1e-3


def choose(probabilities: NDArray[np.float32], rejects: NDArray[np.float32]) -> int:
    """Which of many answers about one digit stands for all.

    The digit is the one of which the network is surest in one of the ways it was found. There the places are pooled by their
    logarithms, so that one that speaks against a digit counts as much as one that speaks for it (C. Genest, J. Zidek,
    "Combining Probability Distributions", 1986). Of the answers that name it the nearest to the mean of all is told: it
    stays the network's answer about one picture, and no surer than what speaks against it allows.

    Args:
        probabilities: float32 `[M, N, 10]`, of a digit found in M ways and put in N places each.
        rejects: float32 `[M, N]`.

    Returns:
        The index into the M * N answers.
    """
    digits = probabilities.astype(np.float64) * (1 - rejects.astype(np.float64))[..., np.newaxis]
    answers = np.concatenate([digits, rejects[..., np.newaxis]], axis=2)
    pooled = np.exp(np.log(answers + LEAST_PROBABILITY).mean(axis=1))
    pooled = (pooled / pooled.sum(axis=1, keepdims=True))[:, :10]
    best = pooled[pooled.max(axis=1).argmax()].argmax()
    each = answers.reshape(-1, answers.shape[2])
    apart = np.abs(each - each.mean(axis=0)).sum(axis=1)
    # No two answers are further apart than 2.
    return int((apart + 2.0 * (each[:, :10].argmax(axis=1) != best)).argmin())


def _check_signature(path: Path, session: onnxruntime.InferenceSession) -> None:
    inputs = [(node.name, node.type, tuple(node.shape)) for node in session.get_inputs()]
    name, kind, shape = _INPUT
    if len(inputs) != 1 or inputs[0][:2] != (name, kind) or not _is_batch_of(shape, inputs[0][2]):
        raise ModelError(f"the model file {path} takes {inputs}, not one input '{name}' {kind} [N, {SIZE}, {SIZE}]")
    outputs = {node.name: (node.type, tuple(node.shape)) for node in session.get_outputs()}
    if outputs.keys() != _OUTPUTS.keys() or not all(
        outputs[name][0] == kind and _is_batch_of(shape, outputs[name][1]) for name, (kind, shape) in _OUTPUTS.items()
    ):
        raise ModelError(f"the model file {path} gives {outputs}, not {_OUTPUTS} behind a batch axis of any size")


def _is_batch_of(item: tuple[int, ...], shape: tuple[int | str | None, ...]) -> bool:
    """Whether the shape is that of any number of items: an axis of no fixed size, then the item's."""
    return bool(shape) and not isinstance(shape[0], int) and shape[1:] == item


def _read_record(path: Path, metadata: Mapping[str, str], sha256: str) -> ModelRecord:
    version = metadata.get("preprocessing_version")
    if version != PREPROCESSING_VERSION:
        raise ModelError(
            f"the model file {path} was made for preprocessing_version {version!r}; "
            f"this service normalises as version {PREPROCESSING_VERSION!r}"
        )
    try:
        record = ModelRecord(
            name=metadata["name"],
            version=metadata["version"],
            sha256=sha256,
            preprocessing_version=version,
            architecture=metadata["architecture"],
            labels=tuple(json.loads(metadata["labels"])),
            thresholds=read_thresholds(json.loads(metadata["thresholds"])),
            training=json.loads(metadata["training"]),
            metrics=json.loads(metadata["metrics"]),
            calibration=json.loads(metadata.get("calibration", "{}")),
            doubt_at=_read_probability(metadata.get("doubt_at", str(DEFAULT_DOUBT_AT))),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise ModelError(f"the metadata of the model file {path} is missing or unreadable at {exc}") from exc
    if record.labels != tuple(range(10)):
        raise ModelError(f"the model file {path} has the labels {list(record.labels)}, not 0 to 9")
    return record


def _read_probability(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(f"{text}, no probability")
    return value


def _draw_zero() -> NDArray[np.uint8]:
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    ring = np.abs(np.hypot(y / 9, x / 6) - 1)
    return np.asarray(255 * np.clip(1.4 - 5 * ring, 0, 1), dtype=np.uint8)


def _draw_one() -> NDArray[np.uint8]:
    digit = np.zeros((SIZE, SIZE), np.uint8)
    digit[4:24, 13:15] = 255
    digit[4:24, [12, 15]] = 90
    return digit
