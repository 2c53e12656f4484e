"""Evaluation: how well a run, a Keras file or an exported graph reads digits, in figures.

Two ways in: the arrays themselves, and `uploads`, where each digit is encoded as a PNG and goes through the service's
own reader, as a caller's picture does.
"""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.classifier import DigitClassifier
from service.decisions import wilson_interval
from service.errors import ServiceError, StartupError
from service.reader import Reader
from training.data import Digits
from training.errors import RunError
from training.network import apply_temperature, load_keras_model, predict_logits
from training.runs import Run

# uint8 [N, 28, 28] -> probabilities float32 [N, 10], reject float32 [N]
Predict = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.float32]]]

UPLOADS_PER_CALL = 256
CALIBRATION_BINS = 15
CONFUSED_SHOWN = 10


def load_predict(path: Path) -> Predict:
    """How the model in a run folder, a `.keras`, `.h5` or `.onnx` file predicts.

    A run's model is used with the run's temperature where it is calibrated, a Keras file as it is.

    Raises:
        RunError: there is no such model, or it cannot be read.
    """
    if path.suffix == ".onnx":
        return load_classifier(path).predict
    temperature = 1.0
    if path.is_dir():
        run = Run.open(path)
        temperature = run.read("calibration")["temperature"] if run.has("calibration") else 1.0
        path = run.model_path
    elif path.suffix not in (".keras", ".h5"):
        raise RunError(f"{path} is neither a run folder nor a .keras, .h5 or .onnx file")
    model = load_keras_model(path)
    return lambda images: apply_temperature(predict_logits(model, images), temperature)


def load_classifier(path: Path) -> DigitClassifier:
    """Load an exported graph as the service does.

    Raises:
        RunError: it is missing, or not what the contract describes.
    """
    try:
        return DigitClassifier.load(path)
    except StartupError as exc:
        raise RunError(str(exc)) from exc


def evaluate(predict: Predict, digits: Digits) -> dict[str, Any]:
    """Metrics of one model on one set of digits."""
    probabilities, reject = predict(digits.images)
    return score(probabilities, digits.labels) | {"mean_reject": float(reject.mean())}


def measure(probabilities: NDArray[np.float32], digits: Digits) -> dict[str, Any]:
    """As `score`, with what two classifiers are compared by: the digits read wrong, and which digits they were."""
    return score(probabilities, digits.labels) | {
        "digits": hashlib.sha256(digits.images.tobytes() + digits.labels.tobytes()).hexdigest(),
        "mistakes": mistakes(probabilities, digits.labels),
    }


def evaluate_uploads(classifier: DigitClassifier, digits: Digits) -> dict[str, Any]:
    """Accuracy on digits that arrive as PNG files, read exactly as the service reads an upload."""
    reader = Reader(classifier)
    hits, decisions = 0, dict.fromkeys(("accept", "review", "reject", "error"), 0)
    for start in range(0, len(digits), UPLOADS_PER_CALL):
        batch = slice(start, start + UPLOADS_PER_CALL)
        readings = reader.read([encode_png(image) for image in digits.images[batch]])
        for reading, label in zip(readings, digits.labels[batch], strict=True):
            if isinstance(reading, ServiceError):
                decisions["error"] += 1
            else:
                decisions[reading.decision.value] += 1
                hits += int(reading.digit == label)
    return accuracy_of(hits, len(digits)) | {"decisions": decisions}


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """A grey picture uint8 `[height, width]` as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def score(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> dict[str, Any]:
    """Accuracy with its 95 % interval, log-likelihood, Brier score, calibration, confused pairs, and scores by class.

    Args:
        probabilities: float `[N, 10]`.
        labels: `[N]`, 0 to 9.
    """
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(predicted, labels)
    per_class = class_scores(confusion)
    return {
        **accuracy_of(int((predicted == labels).sum()), len(labels)),
        "nll": negative_log_likelihood(probabilities, labels),
        "brier": brier_score(probabilities, labels),
        "macro": {name: float(np.mean([row[name] for row in per_class])) for name in ("precision", "recall", "f1")},
        "calibration": calibration_error(probabilities, labels),
        "confused": confused_pairs(confusion),
        "per_class": per_class,
        "confusion": confusion.tolist(),
    }


def accuracy_of(hits: int, n: int) -> dict[str, Any]:
    """Accuracy, with the two-sided 95 % Wilson interval."""
    return {"n": n, "errors": n - hits, "accuracy": hits / n, "interval": list(wilson_interval(hits, n))}


def confusion_matrix(predicted: NDArray[np.integer], labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """int64 `[10, 10]`: row is the true digit, column the predicted one."""
    return np.bincount(labels.astype(np.int64) * 10 + predicted, minlength=100).reshape(10, 10)


def class_scores(confusion: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each digit; 0 where a digit was never predicted or never there."""
    rows = []
    for digit in range(10):
        hits, predicted, there = (
            int(x) for x in (confusion[digit, digit], confusion[:, digit].sum(), confusion[digit].sum())
        )
        rows.append(
            {
                "digit": digit,
                "n": there,
                "precision": hits / predicted if predicted else 0.0,
                "recall": hits / there if there else 0.0,
                "f1": 2 * hits / (predicted + there) if predicted + there else 0.0,
            }
        )
    return rows


def negative_log_likelihood(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Mean of -ln p(label); a probability of zero counts as the least positive float32."""
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return abs(float(np.log(np.maximum(chosen, np.finfo(np.float32).tiny)).mean()))


def brier_score(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Mean squared distance to the one-hot label, summed over the classes: 0 is perfect, 2 the worst (G. Brier, 1950)."""
    distance = probabilities.astype(np.float64) - np.eye(10)[labels]
    return float((distance**2).sum(axis=1).mean())


def calibration_error(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> dict[str, Any]:
    """Expected calibration error over bins of equal width, with each bin that is not empty.

    Source: M. Naeini, G. Cooper, M. Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015.
    """
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    number = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    bins = [
        {"n": int(there.sum()), "confidence": float(confidence[there].mean()), "accuracy": float(correct[there].mean())}
        for there in (number == each for each in range(CALIBRATION_BINS))
        if there.any()
    ]
    error = sum(each["n"] * abs(each["confidence"] - each["accuracy"]) for each in bins) / len(labels)
    return {"ece": error, "bins": bins}


def confused_pairs(confusion: NDArray[np.int64]) -> list[dict[str, int]]:
    """The pairs of digits most often taken for each other, with the mistakes of both ways together."""
    pairs = [
        {"first": low, "second": high, "n": int(confusion[low, high] + confusion[high, low])}
        for low in range(10)
        for high in range(low + 1, 10)
    ]
    return sorted((pair for pair in pairs if pair["n"]), key=lambda pair: -pair["n"])[:CONFUSED_SHOWN]


def mistakes(probabilities: NDArray[np.float32], labels: NDArray[np.uint8]) -> list[list[int]]:
    """`[index, predicted digit]` of every digit that was read wrong: what two classifiers are compared by."""
    predicted = probabilities.argmax(axis=1)
    return [[int(index), int(predicted[index])] for index in np.flatnonzero(predicted != labels)]
