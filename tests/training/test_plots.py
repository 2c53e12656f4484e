from pathlib import Path

import numpy as np
from PIL import Image

from training.data import Dataset
from training.plots import plot_confusion, plot_history, plot_mistakes


def is_picture(path: Path) -> bool:
    with Image.open(path) as image:
        return image.width > 400 and len(image.convert("L").getcolors() or []) > 5


def test_the_confusion_matrix_is_drawn(tmp_path: Path) -> None:
    plot_confusion((np.eye(10, dtype=int) * 90 + 1).tolist(), tmp_path / "plots" / "confusion.png")
    assert is_picture(tmp_path / "plots" / "confusion.png")


def test_the_history_is_drawn(tmp_path: Path) -> None:
    epoch = {"loss": 0.5, "validation_loss": 0.4, "accuracy": 0.9, "validation_accuracy": 0.95}
    plot_history([epoch, epoch], tmp_path / "history.png")
    assert is_picture(tmp_path / "history.png")


def test_mistakes_are_drawn_and_none_is_fine_too(tmp_path: Path, dataset: Dataset) -> None:
    right = np.eye(10, dtype=np.float32)[dataset.test.labels]
    plot_mistakes(dataset.test, np.roll(right, 1, axis=1), tmp_path / "mistakes.png")
    plot_mistakes(dataset.test, right, tmp_path / "none.png")
    assert is_picture(tmp_path / "mistakes.png")


def test_equal_results_give_equal_files(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        plot_confusion(np.eye(10, dtype=int).tolist(), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
