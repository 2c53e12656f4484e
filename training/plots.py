"""Pictures of results, drawn without a display."""

import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.data import Digits
from training.runs import write_bytes

MISTAKES_SHOWN = 40
MISTAKES_COLUMNS = 8
GALLERY_COLUMNS = 10


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
    titles = [f"{digits.labels[i]} > {probabilities[i].argmax()}  {probabilities[i].max():.3f}" for i in worst]
    figure, axes = _figure(10, 1.15 * MISTAKES_SHOWN / MISTAKES_COLUMNS)
    _tile(axes, list(digits.images[worst]), titles, MISTAKES_COLUMNS, MISTAKES_SHOWN // MISTAKES_COLUMNS)
    _save(figure, path)


def plot_reliability(bins: Sequence[Mapping[str, float]], path: Path) -> None:
    """Share of right answers by stated confidence; on the diagonal a confidence means what it says."""
    figure, axes = _figure(5, 4.5)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    confidence, accuracy = ([each[name] for each in bins] for name in ("confidence", "accuracy"))
    axes.scatter(confidence, accuracy, s=[10 + 12 * np.log1p(each["n"]) for each in bins])
    for each in bins:
        axes.annotate(
            f"{each['n']:,.0f}",
            (each["confidence"], each["accuracy"]),
            (6, -10),
            textcoords="offset points",
            fontsize=7,
        )
    axes.set(xlabel="stated confidence", ylabel="share of right answers", xlim=(0, 1.05), ylim=(-0.05, 1.05))
    _save(figure, path)


def plot_risk_coverage(curve: Sequence[Sequence[float]], promised: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Error among the accepted against their share, with the points of the model's thresholds.

    Args:
        curve: pairs of coverage and error.
        promised: by promised error rate, `coverage` and `error` at its threshold.
        path: where the picture goes.
    """
    figure, axes = _figure(6.5, 4.5)
    axes.plot([coverage for coverage, _ in curve], [risk for _, risk in curve], color="tab:blue")
    for target, at in promised.items():
        if at.get("accepted"):
            axes.plot(at["coverage"], at["error"], "o", label=f"threshold for {float(target):.1%}")
    axes.set(xlabel="coverage: share accepted", ylabel="risk: error among the accepted", xlim=(0.8, 1.005))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.2%}")
    axes.legend()
    _save(figure, path)


def plot_confidences(counts: Mapping[str, Sequence[float]], path: Path) -> None:
    """How often each confidence is given, to right answers and to wrong ones, on a logarithmic scale.

    Args:
        counts: `edges` of the bins, and the numbers of `right` and `wrong` answers in each.
        path: where the picture goes.
    """
    edges = counts["edges"]
    figure, axes = _figure(7, 3.5)
    place = np.arange(len(edges) - 1)
    for shift, name, colour in ((-0.2, "right", "tab:blue"), (0.2, "wrong", "tab:red")):
        axes.bar(place + shift, counts[name], 0.4, label=name, color=colour)
    names = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(edges)]
    axes.set_xticks(place, names, rotation=35, ha="right", fontsize=8)
    axes.set(yscale="log", ylim=(0.5, None), xlabel="confidence", ylabel="digits")
    axes.legend()
    _save(figure, path)


def plot_gallery(digits: Digits, probabilities: NDArray[np.float32], digit: int, path: Path) -> None:
    """One digit as it was read: the surest at the top, the least sure of the right answers below, then the mistakes."""
    members = np.flatnonzero(digits.labels == digit)
    right = probabilities[members].argmax(axis=1) == digit
    by_sureness = np.argsort(-probabilities[members, digit], kind="stable")
    ordered = members[by_sureness]
    hits, misses = ordered[right[by_sureness]], ordered[~right[by_sureness]][::-1]
    lines = [hits[:GALLERY_COLUMNS], hits[::-1][:GALLERY_COLUMNS], misses[:GALLERY_COLUMNS]]
    figure, grid = _figure(10, 3.9, rows=3)
    for axes, indices, name in zip(grid, lines, ("surest", "least sure", "mistaken"), strict=True):
        titles = [f"{probabilities[index].argmax()}  {probabilities[index].max():.3f}" for index in indices]
        _tile(axes, list(digits.images[indices]), titles, GALLERY_COLUMNS)
        axes.text(-0.01, 0.4, name, transform=axes.transAxes, rotation=90, ha="right", va="center", fontsize=8)
    _save(figure, path)


def plot_occlusion(images: NDArray[np.uint8], maps: NDArray[np.float32], titles: Sequence[str], path: Path) -> None:
    """Digits above, below them where covering a patch cost the answer most (red) and where it helped (blue).

    Each map has its own scale: what counts is which part of this digit decided.
    """
    figure, grid = _figure(1.25 * len(images), 2.9, rows=2, columns=len(images))
    for (top, bottom), image, lost, title in zip(grid.T, images, maps, titles, strict=True):
        bound = max(float(np.abs(lost).max()), 1e-6)
        _show(top, image, title)
        bottom.imshow(image, cmap="gray_r", alpha=0.4)
        bottom.imshow(lost, cmap="RdBu_r", vmin=-bound, vmax=bound, alpha=0.7)
        for axes in (top, bottom):
            axes.axis("off")
    _save(figure, path)


def plot_answer(
    original: Image.Image, pixels: NDArray[np.uint8], probabilities: NDArray[np.float32], path: Path
) -> None:
    """A picture, what the network saw of it, and what it answered, side by side."""
    figure, (left, middle, right) = _figure(9, 3, columns=3)
    left.imshow(original, cmap="gray")
    left.set_title("picture", fontsize=9)
    _show(middle, pixels, "what the network saw")
    for axes in (left, middle):
        axes.axis("off")
    best = int(probabilities.argmax())
    right.barh(range(10), probabilities, color=["tab:red" if digit == best else "tab:grey" for digit in range(10)])
    right.set(yticks=range(10), xlim=(0, 1), xlabel="probability", title=f"{best}  ({probabilities[best]:.2%})")
    right.invert_yaxis()
    _save(figure, path)


def plot_grid(images: NDArray[np.uint8], titles: Sequence[str], path: Path, *, columns: int = 10) -> None:
    """Digits side by side, each under its title; rows are filled one after another."""
    figure, axes = _figure(columns, 1.2 * max(1, -(-len(images) // columns)))
    _tile(axes, list(images), titles, columns)
    _save(figure, path)


def plot_counts(counts: Mapping[str, Sequence[int]], path: Path) -> None:
    """How many there are of each digit, as shares of each part."""
    figure, axes = _figure(7, 3)
    width = 0.8 / len(counts)
    for number, (part, values) in enumerate(counts.items()):
        shares = np.array(values) / max(1, sum(values))
        axes.bar(np.arange(10) + (number - (len(counts) - 1) / 2) * width, shares, width, label=part)
    axes.set(xticks=range(10), xlabel="digit", ylabel="share")
    axes.legend(loc="lower center", ncols=len(counts))
    _save(figure, path)


def plot_intensities(histogram: Sequence[int], path: Path) -> None:
    """How often each grey level occurs, on a logarithmic scale: paper, ink, and the anti-aliased rim between."""
    figure, axes = _figure(7, 3)
    axes.fill_between(range(len(histogram)), np.maximum(histogram, 0.5), 0.5, step="mid")
    axes.set(yscale="log", xlabel="grey level", ylabel="pixels", xlim=(0, 255))
    _save(figure, path)


def plot_cost(points: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Error against time per image, both logarithmic: low and left is good.

    Args:
        points: with `name`, `microseconds`, `error` and the error's `spread` over seeds.
        path: where the picture goes.
    """
    figure, axes = _figure(7.5, 5)
    for point in points:
        axes.errorbar(point["microseconds"], point["error"], point["spread"] or None, fmt="o", capsize=3)
        axes.annotate(
            point["name"], (point["microseconds"], point["error"]), (6, 5), textcoords="offset points", fontsize=8
        )
    axes.set(xscale="log", yscale="log", xlabel="microseconds per image, one at a time", ylabel="error on MNIST test")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.2%}")
    axes.yaxis.set_minor_formatter(lambda value, _: f"{value:.2%}" if f"{value:.0e}"[0] in "235" else "")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    times = [point["microseconds"] for point in points]
    few = max(times) < 30 * min(times)  # more labels would run into each other
    axes.xaxis.set_minor_formatter(lambda value, _: f"{value:,.0f}" if few and f"{value:.0e}"[0] in "25" else "")
    axes.margins(x=0.25, y=0.1)
    _save(figure, path)


def _tile(
    axes: Any, images: Sequence[NDArray[np.uint8]], titles: Sequence[str], columns: int, rows: int | None = None
) -> None:
    """Digits in rows, each under its title, as one picture: matplotlib takes seconds over a hundred axes."""
    height, width = 28 + 8, 28 + 4
    rows = rows or max(1, -(-len(images) // columns))
    canvas = np.full((rows * height, columns * width), 255, np.uint8)
    axes.axis("off")
    for number, (image, title) in enumerate(zip(images, titles, strict=True)):
        top, left = number // columns * height + 8, number % columns * width + 2
        canvas[top : top + 28, left : left + 28] = image
        axes.text(left + 14, top - 1.5, title, ha="center", va="bottom", fontsize=8)
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=255, interpolation="nearest")


def _show(axes: Any, image: NDArray[np.uint8], title: str) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    axes.set_title(title, fontsize=8)


def _figure(width: float, height: float, *, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(rows, columns, figsize=(width, height), layout="constrained")
    return figure, axes


def _save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot as plt

    content = io.BytesIO()
    # No date and no version in the file: the same result gives the same bytes.
    figure.savefig(content, format="png", dpi=120, metadata={"Software": None})
    plt.close(figure)
    write_bytes(path, content.getvalue())
