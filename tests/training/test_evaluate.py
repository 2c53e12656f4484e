from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data import Dataset
from training.errors import RunError
from training.evaluate import (
    brier_score,
    class_scores,
    confusion_matrix,
    encode_png,
    evaluate,
    evaluate_uploads,
    load_classifier,
    load_predict,
    negative_log_likelihood,
    score,
)
from training.runs import Run


@pytest.fixture
def guesses() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, size=400).astype(np.uint8)
    logits = rng.normal(size=(400, 10)) + 2 * np.eye(10)[labels]
    powers = np.exp(logits)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32), labels


def test_scores_agree_with_scikit_learn(guesses: tuple[np.ndarray, np.ndarray]) -> None:
    from sklearn import metrics

    probabilities, labels = guesses
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, n = metrics.precision_recall_fscore_support(labels, predicted)
    ours = score(probabilities, labels)
    assert ours["accuracy"] == metrics.accuracy_score(labels, predicted)
    assert ours["confusion"] == metrics.confusion_matrix(labels, predicted).tolist()
    assert ours["nll"] == pytest.approx(metrics.log_loss(labels, probabilities), rel=1e-5)
    for name, expected in (("precision", precision), ("recall", recall), ("f1", f1), ("n", n)):
        assert [row[name] for row in ours["per_class"]] == pytest.approx(expected.tolist())
    assert ours["macro"]["f1"] == pytest.approx(f1.mean())


def test_the_interval_holds_the_accuracy(guesses: tuple[np.ndarray, np.ndarray]) -> None:
    ours = score(*guesses)
    low, high = ours["interval"]
    assert low < ours["accuracy"] < high
    assert ours["errors"] == round((1 - ours["accuracy"]) * ours["n"])


def test_brier_score_is_0_for_sure_and_right_and_2_for_sure_and_wrong() -> None:
    sure = np.eye(10, dtype=np.float32)[[3]]
    assert brier_score(sure, np.array([3], np.uint8)) == 0
    assert brier_score(sure, np.array([4], np.uint8)) == 2


def test_a_probability_of_zero_costs_much_but_not_infinity() -> None:
    assert 80 < negative_log_likelihood(np.eye(10, dtype=np.float32)[[3]], np.array([4], np.uint8)) < 100


def test_rows_of_the_confusion_matrix_are_the_true_digits() -> None:
    matrix = confusion_matrix(np.array([7, 7, 1]), np.array([1, 7, 1]))
    assert (matrix[1, 7], matrix[7, 7], matrix[1, 1], matrix.sum()) == (1, 1, 1, 3)


def test_a_digit_that_never_occurs_scores_0() -> None:
    rows = class_scores(confusion_matrix(np.array([1]), np.array([1])))
    assert (rows[1]["f1"], rows[2]["precision"], rows[2]["recall"], rows[2]["f1"]) == (1, 0, 0, 0)


def test_run_keras_h5_and_onnx_answer_alike(exported_run: Run, dataset: Dataset) -> None:
    paths = [exported_run.folder, exported_run.onnx_path, exported_run.model_path, exported_run.folder / "model.h5"]
    calibrated, graph, plain, old = (load_predict(path)(dataset.test.images)[0] for path in paths)
    assert np.abs(calibrated - graph).max() < 1e-5
    assert np.array_equal(plain, old)
    assert np.array_equal(plain.argmax(axis=1), graph.argmax(axis=1))


def test_a_small_network_learns_printed_digits(exported_run: Run, dataset: Dataset) -> None:
    result = evaluate(load_predict(exported_run.folder), dataset.test)
    assert result["accuracy"] > 0.9
    assert result["mean_reject"] == 0


def test_digits_in_mnists_geometry_read_as_uploads_almost_as_they_are(exported_run: Run, dataset: Dataset) -> None:
    uploads = evaluate_uploads(load_classifier(exported_run.onnx_path), dataset.test)
    arrays = evaluate(load_predict(exported_run.onnx_path), dataset.test)
    assert uploads["accuracy"] >= arrays["accuracy"] - 0.05
    assert sum(uploads["decisions"].values()) == len(dataset.test)
    assert uploads["decisions"]["error"] == 0


def test_a_png_holds_the_very_pixels(dataset: Dataset) -> None:
    import io

    image = dataset.test.images[0]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_png(image)))), image)


@pytest.mark.parametrize("name", ["missing.keras", "missing.onnx", "missing.h5"])
def test_a_missing_model_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match=name):
        load_predict(tmp_path / name)


@pytest.mark.parametrize("name", ["broken.keras", "broken.h5", "broken.onnx"])
def test_a_broken_model_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no model")
    with pytest.raises(RunError, match=name):
        load_predict(tmp_path / name)


def test_a_file_of_another_kind_is_refused_with_the_kinds_that_are_read(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"neither a run folder nor a .keras, .h5 or .onnx file"):
        load_predict(tmp_path / "model.pt")
