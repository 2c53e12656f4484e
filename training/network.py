"""Networks as they are kept and asked: a Keras file -> logits -> probabilities.

What training, calibration, evaluation and export all need of a network, and nothing of how it came about.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.errors import RunError

# Images in one call of a network.
BATCH = 500


def load_keras_model(path: Path) -> Any:
    """Load a `.keras` or `.h5` file.

    Raises:
        RunError: it is missing, or no Keras model.
    """
    from training.backend import keras

    if not path.is_file():
        raise RunError(f"the model {path} does not exist")
    try:
        return keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise RunError(f"{path} is no readable Keras model") from exc


def save_model(model: Any, path: Path) -> None:
    """Write a `.keras` or `.h5` file at once or not at all.

    Raises:
        RunError: the disk is full or not writable.
    """
    part = path.with_name(f"part-{path.name}")
    try:
        model.save(part)
        part.replace(path)
    except OSError as exc:
        raise RunError(f"{path} cannot be written: {exc.strerror or exc}") from exc


def to_input(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Images uint8 `[N, 28, 28]` as a network takes them in training: float32 `[N, 28, 28, 1]` in 0..1."""
    return images[..., np.newaxis].astype(np.float32) / np.float32(255)


def predict_logits(model: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits float32 `[N, classes]` of uint8 images `[N, 28, 28]`."""
    starts = range(0, len(images), BATCH)
    pieces = [model.predict_on_batch(to_input(images[start : start + BATCH])) for start in starts]
    return np.concatenate([np.asarray(piece, dtype=np.float32) for piece in pieces])


def apply_temperature(
    logits: NDArray[np.float32], temperature: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the exported graph makes of logits `[N, 10]` or `[N, 11]`.

    Returns:
        `probabilities` float32 `[N, 10]`, given that it is a digit, and `reject` float32 `[N]`, the probability of
        the eleventh class, 0 where there is none.
    """
    scaled = logits.astype(np.float64) / temperature
    reject = _softmax(scaled)[:, 10] if logits.shape[1] == 11 else np.zeros(len(logits))
    return _softmax(scaled[:, :10]).astype(np.float32), reject.astype(np.float32)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
