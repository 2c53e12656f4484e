"""Pictures of results, drawn without a display."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import Digits

MISTAKES_SHOWN = 40


def plot_confusion(confusion: Sequence[Sequence[int]], path: Path) -> None:
    """The confusion matrix with its mistakes coloured; the diagonal is told, not coloured, or it would hide them."""
    counts = np.array(confusion)
    mistakes = counts * (1 - np.eye(10, dtype=int))
    figure, axes = _figure(6.5, 6)
    axes.imshow(mistakes, cmap="Reds")
    for row, column in np.ndindex(10, 10):
        if counts[row, column]:
            dark = mistakes[row, column] > mistakes.max() / 2
            axes.text(column, row, counts[row, column], ha="center", va="center", color="white" if dark else "black")
    axes.set(xticks=range(10), yticks=range(10), xlabel="predicted", ylabel="true")
    _save(figure, path)


def plot_history(epochs: Sequence[Mapping[str, float]], path: Path) -> None:
    """Loss and accuracy over the epochs, on training and validation digits."""
    figure, (left, right) = _figure(9, 3.5, columns=2)
    number = range(1, len(epochs) + 1)
    for axes, name in ((left, "loss"), (right, "accuracy")):
        axes.plot(number, [epoch[name] for epoch in epochs], marker="o", label="training")
        axes.plot(number, [epoch[f"validation_{name}"] for epoch in epochs], marker="o", label="validation")
        axes.set(xlabel="epoch", ylabel=name)
        axes.legend()
    left.set_yscale("log")
    _save(figure, path)


def plot_mistakes(digits: Digits, probabilities: NDArray[np.float32], path: Path) -> None:
    """The most confident mistakes: `true > predicted` and the confidence over each digit."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != digits.labels)
    worst = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:MISTAKES_SHOWN]
    figure, grid = _figure(10, 6.5, rows=5, columns=8)
    for axes in grid.flat:
        axes.axis("off")
    for axes, index in zip(grid.flat, worst, strict=False):
        row = probabilities[index]
        axes.imshow(digits.images[index], cmap="gray")
        axes.set_title(f"{digits.labels[index]} > {row.argmax()}  {row.max():.3f}", fontsize=8)
    _save(figure, path)


def _figure(width: float, height: float, *, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(rows, columns, figsize=(width, height), layout="constrained")
    return figure, axes


def _save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    # No date and no version in the file: the same result gives the same bytes.
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)
