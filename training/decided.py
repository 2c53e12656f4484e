"""The sections of the report about decisions: what may pass unread, and what does not pass."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from training import plots
from training.blocks import Block, Picture, Section, Table, Text, named
from training.compare import Record

# In `training.curriculum.SOURCES`.
_WITHOUT_NEGATIVES = "taught_without_negatives"
_SELECTION = ("n", "accepted", "coverage", "95 %", "wrong", "error", "95 %", "bound")


def passing_unread(measured: Mapping[str, Any], folder: Path) -> Section:
    """Coverage and error on test digits; the pictures go into the folder."""
    test, model, digits = measured["test"], measured["model"], measured["tested_on"]
    told = (
        f"Model {named(model)} on {digits}, each digit as a PNG file through the service's own reader, accepted at "
        "the thresholds in the model's record, which these digits did not choose. The last column is the one-sided 95 % "
        "bound. The rows in brackets are points of the curve: the largest share that any threshold on confidence accepts with "
        "no more wrong than that."
    )
    rows = [(f"promised {_rate(target)}", *_cells(row)) for target, row in test["at"].items()]
    rows += [(f"(best at {_rate(target)})", *_cells(row)) for target, row in test["best"].items()]
    cost = measured["cost"]
    costs = (
        f"The decision takes {cost['decide']:.1f} of the {cost['read']:.0f} microseconds of a whole reading of a PNG of "
        f"28x28, the smallest there is ({cost['share']:.1%}, medians of one run in turns)."
    )
    blocks: list[Block] = [
        Text(told),
        Table(("", *_SELECTION), rows),
        Text(f"Area under the risk-coverage curve: {test['selection']['aurc']:.6f}. Called blank: {test['blank']}."),
        _picture(
            folder / "risk-coverage.png",
            f"Error among the accepted against their share, on {digits}.",
            partial(plots.plot_risk_coverage, test["selection"]["curve"], test["at"]),
        ),
        _picture(
            folder / "confidences.png",
            f"How often each confidence is given on {digits}, to right answers and to wrong ones.",
            partial(plots.plot_confidences, test["confidences"]),
        ),
        Text(costs),
    ]
    return Section("What may pass unread", blocks)


def confidences(measured: Mapping[str, Any], calibration: Mapping[str, Any], folder: Path) -> Section:
    """Whether confidences mean what they say, on clean and on corrupted digits, and what the temperature did for it."""
    told = (
        f"Model {named(measured['model'])}. Corrupted are digits after the fifteen corruptions of MNIST-C, each of which takes its turn. Before and after is "
        f"without and with the temperature ({calibration.get('temperature', 1.0):.3f}), which was fitted on the held-out digits."
    )
    rows = [_likelihood(f"{measured['tested_on']}, {name}", row) for name, row in measured["likelihood"].items()]
    for part, row in calibration.get("scores", {}).items():
        after = {"n": calibration["mixture"][part], "nll": row["nll_after"], "brier": row["brier_after"]}
        rows.append(_likelihood(f"held out, {part}", row | after))
    pictures = [
        _picture(
            folder / f"reliability-{name}.png",
            f"Stated confidence and share of right answers, {measured['tested_on']}, {name}.",
            partial(plots.plot_reliability, row["bins"]),
        )
        for name, row in measured["likelihood"].items()
    ]
    header = ("digits", "n", "NLL before", "after", "Brier before", "after", "ECE")
    return Section("Do confidences mean what they say", [Text(told), Table(header, rows), *pictures])


def _likelihood(name: str, row: Mapping[str, Any]) -> list[str]:
    scores = [f"{row[key]:.5f}" for key in ("nll_before", "nll", "brier_before", "brier")]
    return [name, f"{row['n']:,}", *scores, f"{row['ece']:.4f}" if "ece" in row else "-"]


def photos(measured: Mapping[str, Any]) -> Section:
    """Coverage and error on photos, pooled and by folder."""
    found = measured["photos"]
    shares = [row["wrong"] / row["accepted"] if row["accepted"] else 0.0 for row in found["folders"].values()]
    told = (
        f"Model {named(measured['model'])}: {found['n']} photographs and scans of single digits from {len(found['folders'])} sources, {found['right']} read "
        f"right, {found['blank']} called blank. Nothing was trained or chosen on them. Mean over the sources at the default "
        f"promise: coverage {mean(row['coverage'] for row in found['folders'].values()):.2%}, error {mean(shares):.2%}."
    )
    rows = [(f"promised {_rate(target)}", *_cells(row)) for target, row in found["at"].items()]
    folders = [(name, str(row["right"]), *_cells(row)) for name, row in found["folders"].items()]
    reasons = ", ".join(f"{name} {count}" for name, count in sorted(found["reasons"].items()))
    return Section(
        "Photos of real handwriting",
        [
            Text(told),
            Table(("all", *_SELECTION), rows),
            Text(f"Reasons at the default promise: {reasons or 'none'}. By source:"),
            Table(("source", "right", *_SELECTION), folders),
        ],
    )


def no_digits(measured: Mapping[str, Any]) -> Section:
    """What becomes of blank cells, letters and drawn negatives."""
    blocks: list[Block] = []
    if found := measured.get("negatives"):
        names = ("n", "accept", "review", "reject", "blank")
        blocks += [
            Text(
                f"Model {named(measured['model'])}. Scans and photographs of what is no digit, at the default thresholds. A "
                "beta is written as an 8 or as a B."
            ),
            Table(("", *names), [(folder, *(str(row[name]) for name in names)) for folder, row in found.items()]),
        ]
    families = measured["families"]
    told = (
        f"Model {named(measured['model'])}. Drawn by code, {next(iter(families['families'].values()))['n']} of each family, against {families['digits']:,} "
        f"validation digits: AUROC of the reject output; what passes where {families['digits_rejected']:.0%} of the digits is "
        f"rejected; what is accepted at the default thresholds; and how much of it when it comes as a PNG of 112x112. One that is held out was never trained on. "
        "Left out are look-alikes: letters such as O, I, l, S, Z and B, and scenes in which only an upright bar is found."
    )
    rows = [
        (
            f"{name} (held out)" if row["held_out"] else name,
            f"{row['auroc']:.4f}",
            f"{row['accepted']:.2%}",
            f"{row['accepted_by_default']:.2%}",
            f"{row['accepted_as_upload']:.2%}",
        )
        for name, row in families["families"].items()
    ]
    return Section(
        "What is no digit", [*blocks, Text(told), Table(("family", "AUROC", "passes", "accepted", "as upload"), rows)]
    )


def reject_cost(records: Sequence[Record]) -> Section | None:
    """Accuracy of the same recipe taught without negatives, and with ten classes."""
    without = [
        record for record in records if record["recipe"].get("batches") == _WITHOUT_NEGATIVES and _accuracy(record)
    ]
    taught = [
        record
        for record in records
        if record["recipe"].get("batches") == "taught" and _accuracy(record) and _comparable(record, without)
    ]
    if not without or not taught:
        return None
    lost = mean(map(_accuracy, without)) - mean(map(_accuracy, taught))
    told = (
        f"The same training with ten classes and no negatives reads {100 * lost:+.3f} points better (mean accuracy on MNIST test; one "
        "digit is 0.01 points)."
    )
    rows = [
        (
            record["id"],
            str(record["recipe"]["classes"]),
            str(record["evaluation"]["test"]["errors"]),
            f"{_accuracy(record):.2%}",
        )
        for record in (*taught, *without)
    ]
    return Section("What the reject output costs", [Text(told), Table(("run", "classes", "errors", "accuracy"), rows)])


def _comparable(record: Record, others: Sequence[Record]) -> bool:
    """Whether it is the recipe of one of the others, but for classes and negatives."""
    keys = ("architecture", "epochs", "optimizer", "learning_rate", "batch_size", "teachers")
    return any(all(record["recipe"].get(key) == other["recipe"].get(key) for key in keys) for other in others)


def _accuracy(record: Record) -> float:
    accuracy: float = record.get("evaluation", {}).get("test", {}).get("accuracy", 0.0)
    return accuracy


def _rate(target: str) -> str:
    return f"{100 * float(target):g}%"


def _cells(row: Mapping[str, Any]) -> list[str]:
    """A selection as the cells of a row."""
    cells = [f"{row['n']:,}", f"{row['accepted']:,}", f"{row['coverage']:.2%}", _interval(row["coverage_interval"])]
    if not row["accepted"]:
        return [*cells, "0", "-", "-", "-"]
    return [
        *cells,
        str(row["wrong"]),
        f"{row['error']:.3%}",
        _interval(row["error_interval"]),
        f"{row['error_upper']:.3%}",
    ]


def _interval(interval: Sequence[float]) -> str:
    low, high = (min(max(end, 0.0), 1.0) for end in interval)  # the last bits may lie beyond
    return f"{low:.2%} to {high:.2%}"


def _picture(path: Path, caption: str, draw: Callable[[Path], None]) -> Picture:
    """A picture drawn into the folder of those that the Markdown shows."""
    draw(path)
    return Picture(path, caption, f"{path.parent.name}/{path.name}")
