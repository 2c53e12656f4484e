"""A look at the data before anything is trained on them: pictures and a short Markdown report.

Counts, samples, grey levels, mean digits, the pairs of classes that lie nearest to each other, digits that look more
like another class than like their own, duplicates and other oddities.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import plots
from training.batches import Batch
from training.curriculum import SOURCES
from training.data import Dataset, Digits
from training.negatives import NOT_A_DIGIT
from training.recipe import Recipe
from training.runs import write_bytes, write_json
from training.train import BATCHES

SAMPLES = 10  # of each digit
PAIRS = 10
ODD = 20
TAUGHT = 100
LOOKED_THROUGH = 1000  # digits that a picture of what is taught is made of


def explore(dataset: Dataset, folder: Path, seed: int = 0) -> dict[str, Any]:
    """Measure a data set; write pictures, `explore.json` and `README.md` into a folder.

    Raises:
        RunError: the folder cannot be written.
    """
    facts = {
        "parts": {name: _part_facts(dataset.part(name)) for name in ("train", "validation", "test")},
        "pairs": nearest_pairs(dataset.train),
        "duplicates": count_duplicates(dataset),
        "split": dict(dataset.split),
    }
    odd = oddities(dataset.train)
    write_json(folder / "explore.json", facts | {"oddities": odd})
    _draw(dataset, facts, odd, folder, seed)
    write_bytes(folder / "README.md", _report(facts, odd).encode())
    return facts | {"oddities": odd}


def draw_taught(digits: Digits, recipe: Recipe, folder: Path, seed: int = 0) -> NDArray[np.uint8]:
    """Draw pictures as a network is given them in training, augmented, with their labels, into `taught.png`.

    Returns:
        The labels, uint8 `[N]`, 10 for what is no digit.

    Raises:
        RunError: the folder cannot be written.
    """
    rng = np.random.default_rng(seed)
    some = digits.take(rng.permutation(len(digits))[:LOOKED_THROUGH])
    source: Callable[..., Iterator[Batch]] = BATCHES[recipe.batches]
    if recipe.batches in SOURCES:
        source = partial(source, stock_size=TAUGHT)
    images, labels, _ = (np.concatenate(each)[:TAUGHT] for each in zip(*source(some, recipe, rng, 0.0), strict=True))
    plots.plot_grid(images, ["none" if label == NOT_A_DIGIT else str(label) for label in labels], folder / "taught.png")
    return labels


def mean_digits(digits: Digits) -> NDArray[np.float64]:
    """The mean image of each class, float64 `[10, 28, 28]`; zero for a class that is not there."""
    means = np.zeros((10, 28, 28))
    for label in np.unique(digits.labels):
        means[label] = digits.images[digits.labels == label].mean(axis=0)
    return means


def nearest_pairs(digits: Digits) -> list[dict[str, Any]]:
    """Pairs of classes by the Euclidean distance of their mean images, nearest first: the first to be confused."""
    means, there = mean_digits(digits), np.unique(digits.labels).tolist()
    pairs = [
        {"first": a, "second": b, "distance": float(np.linalg.norm(means[a] - means[b]))}
        for a in there
        for b in there
        if a < b
    ]
    return sorted(pairs, key=lambda pair: pair["distance"])[:PAIRS]


def count_duplicates(dataset: Dataset) -> dict[str, int]:
    """Pictures that are there more than once: within training, with other labels, and across the parts."""
    train, validation, test = (_pixels(dataset.part(name)) for name in ("train", "validation", "test"))
    labels: dict[bytes, set[int]] = {}
    for pixels, label in zip(train, dataset.train.labels, strict=True):
        labels.setdefault(pixels, set()).add(int(label))
    return {
        "within_train": len(train) - len(labels),
        "with_other_labels": sum(len(each) > 1 for each in labels.values()),
        "train_in_validation": sum(pixels in labels for pixels in validation),
        "train_in_test": sum(pixels in labels for pixels in test),
    }


def oddities(digits: Digits) -> list[dict[str, Any]]:
    """Digits that lie nearest to the mean of another class, by how much nearer: mislabelled, or badly written."""
    means = mean_digits(digits)
    flat = digits.images.reshape(len(digits), -1).astype(np.float32)
    centres = means.reshape(10, -1).astype(np.float32)
    squared = (flat**2).sum(axis=1)[:, None] - 2 * flat @ centres.T + (centres**2).sum(axis=1)
    squared[:, means.sum(axis=(1, 2)) == 0] = np.inf
    distance = np.sqrt(np.maximum(squared, 0))
    own = distance[np.arange(len(digits)), digits.labels]
    excess = own - distance.min(axis=1)
    chosen = np.argsort(-excess, kind="stable")[:ODD]
    return [
        {"index": int(i), "label": int(digits.labels[i]), "nearer_to": int(distance[i].argmin())}
        for i in chosen
        if excess[i] > 0
    ]


def _pixels(digits: Digits) -> list[bytes]:
    return [image.tobytes() for image in digits.images]


def _part_facts(digits: Digits) -> dict[str, Any]:
    ink: NDArray[np.bool_] = digits.images > 0
    rim = np.concatenate([ink[:, 0], ink[:, -1], ink[:, :, 0], ink[:, :, -1]], axis=1)
    return {
        "n": len(digits),
        "counts": np.bincount(digits.labels, minlength=10).tolist(),
        "mean": float(digits.images.mean()),
        "standard_deviation": float(digits.images.std()),
        "ink_share": float(ink.mean()),
        "blank": int((~ink.any(axis=(1, 2))).sum()),
        "touching_the_rim": int(rim.any(axis=1).sum()),
        "histogram": np.bincount(digits.images.ravel(), minlength=256).tolist(),
    }


def _draw(dataset: Dataset, facts: Mapping[str, Any], odd: list[dict[str, Any]], folder: Path, seed: int) -> None:
    rng, train = np.random.default_rng(seed), dataset.train
    samples = [
        index for label in range(10) for index in rng.permutation(np.flatnonzero(train.labels == label))[:SAMPLES]
    ]
    plots.plot_grid(train.images[samples], [str(label) for label in train.labels[samples]], folder / "samples.png")
    means = np.rint(mean_digits(train)).astype(np.uint8)
    plots.plot_grid(means, [str(label) for label in range(10)], folder / "means.png")
    plots.plot_counts({name: part["counts"] for name, part in facts["parts"].items()}, folder / "counts.png")
    plots.plot_intensities(facts["parts"]["train"]["histogram"], folder / "intensities.png")
    if odd:
        titles = [f"{each['label']}, near {each['nearer_to']}" for each in odd]
        plots.plot_grid(train.images[[each["index"] for each in odd]], titles, folder / "oddities.png")


def _report(facts: Mapping[str, Any], odd: list[dict[str, Any]]) -> str:
    rows = [
        f"| {name} | {part['n']:,} | {' | '.join(f'{count:,}' for count in part['counts'])} | {part['mean']:.1f} "
        f"| {part['ink_share']:.1%} | {part['touching_the_rim']:,} | {part['blank']} |"
        for name, part in facts["parts"].items()
    ]
    pairs = ", ".join(f"{pair['first']} and {pair['second']} ({pair['distance']:.0f})" for pair in facts["pairs"])
    twice = facts["duplicates"]
    lines = [
        "# The data",
        "",
        "| part | n | " + " | ".join(map(str, range(10))) + " | mean grey | ink | touching the rim | blank |",
        "|---|--:|" + "--:|" * 14,
        *rows,
        "",
        f"Validation was split off {facts['split']['method']}.",
        "",
        "![counts](counts.png)",
        "",
        "![samples](samples.png)",
        "",
        "![grey levels](intensities.png)",
        "",
        "Most pixels are paper; the grey between paper and ink is the anti-aliased rim of the strokes.",
        "",
        "![mean digit of each class](means.png)",
        "",
        f"Nearest classes by the distance of their mean digits: {pairs}.",
        "",
        (
            f"Duplicates: {twice['within_train']:,} in the training part, {twice['with_other_labels']} of them with two "
            f"labels; {twice['train_in_validation']} training pictures are in validation too, {twice['train_in_test']} in test."
        ),
    ]
    if odd:
        lines += [
            "",
            f"The {len(odd)} digits that look most like another class than their own:",
            "",
            "![odd](oddities.png)",
        ]
    return "\n".join(lines) + "\n"
