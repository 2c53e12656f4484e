"""All networks and classifiers side by side, from the records that runs and baselines leave in the repository.

Runs of one recipe with several seeds make one row. Accuracies on the same digits are paired, so two rows are compared
by the digits that only one of them reads right (Q. McNemar, "Note on the sampling error of the difference between
correlated proportions", 1947), each row's median run against the best row's; the p-values are adjusted for the
number of comparisons (S. Holm, "A simple sequentially rejective multiple test procedure", 1979).
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median_low, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.architectures import ARCHITECTURES
from training.baselines import BASELINES
from training.errors import RunError
from training.export import export_untrained
from training.latency import ROUNDS, measure_latency
from training.recipe import Recipe
from training.runs import FORMAT, Run, machine, write_json

Record = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """What is known of one recipe; None where it was not measured."""

    name: str
    records: tuple[Record, ...]
    accuracy: float
    spread: float | None  # standard deviation over seeds
    precision: float
    recall: float
    f1: float
    ece: float
    parameters: int | None
    bytes: int | None
    microseconds: float | None  # per image, one at a time
    microseconds_16: float | None  # per image, sixteen at a time
    seconds: float  # of training, the mean

    @property
    def median(self) -> Record:
        """The run in the middle, the lower of two."""
        accuracies = [_test(record)["accuracy"] for record in self.records]
        return self.records[accuracies.index(median_low(accuracies))]


@dataclass(frozen=True)
class Significance:
    """A row against the best: digits that only one of the two reads right, and the exact McNemar test's p-value."""

    only_best: int
    only_other: int
    p: float
    adjusted: float


def read_records(folder: Path) -> list[Record]:
    """Read every record in a folder.

    Raises:
        RunError: there is none, or one is broken, of another format, or not evaluated on the same test digits.
    """
    records = [_read_record(path) for path in sorted(folder.glob("*.json"))]
    if not records:
        raise RunError(f"{folder} holds no records; `python -m training evaluate RUN --record {folder}` writes one")
    tested = {_test(record)["digits"] for record in records}
    if len(tested) > 1:
        raise RunError(
            f"the records in {folder} were evaluated on {len(tested)} different test sets; evaluate them on one"
        )
    return records


def compare(records: Sequence[Record]) -> list[Row]:
    """One row for each recipe, the most accurate first, of equals the fastest."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(name_of(record), []).append(record)
    rows = [_row(name, group) for name, group in groups.items()]
    return sorted(rows, key=lambda row: (-row.accuracy, row.microseconds or float("inf")))


def significance(rows: Sequence[Row]) -> dict[str, Significance]:
    """Every row but the best against the best, by name."""
    from scipy.stats import binomtest

    best, others = rows[0], rows[1:]
    counts = {row.name: discordant(best.median, row.median) for row in others}
    raw = {name: float(binomtest(min(pair), sum(pair)).pvalue) if sum(pair) else 1.0 for name, pair in counts.items()}
    adjusted = holm(raw)
    return {name: Significance(*counts[name], raw[name], adjusted[name]) for name in counts}


def discordant(first: Record, second: Record) -> tuple[int, int]:
    """How many digits only the first reads right, and only the second."""
    wrong = [{index for index, _ in _test(record)["mistakes"]} for record in (first, second)]
    return len(wrong[1] - wrong[0]), len(wrong[0] - wrong[1])


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values adjusted for their number by Holm's method."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, p * (len(p_values) - rank)))
        adjusted[name] = highest
    return adjusted


def name_of(record: Record) -> str:
    """The architecture, and whatever its recipe has other than by default."""
    fields = dict(record["recipe"])
    name = str(fields.pop("architecture"))
    if name in BASELINES:
        return f"{name} (fitted on {fields['fit_on']:,})" if "fit_on" in fields else name
    members = fields.pop("members", ())
    if members and name not in ARCHITECTURES:
        return f"{name} of {len(members)}"
    default = ARCHITECTURES[name].recipe.to_json() if name in ARCHITECTURES else Recipe(name).to_json()
    if fields.get("teachers"):
        # Every student is trained on classes as one-hot rows, and may start from a teacher of its own.
        default["loss"] = fields["loss"]
        if fields.get("init_from") in fields["teachers"]:
            fields["init_from"] = default["init_from"]
    [member, *_] = record.get("members") or [record]
    if fields.get("init_from") and "recipe" in (initial := member.get("initial", {})) and "version" not in initial:
        # So may every other run, from one of its own seed.
        fields["init_from"] = name_of(initial)
    changed = ["averaged"] if members else []
    changed += [f"{field}={_short(value)}" for field, value in fields.items() if value != _plain(default.get(field))]
    return f"{name} ({', '.join(changed)})" if changed else name


def time_records(
    folder: Path, runs: Path, images: NDArray[np.uint8], rounds: int = ROUNDS
) -> dict[str, dict[str, float]]:
    """Measure the graphs of all recorded networks in turns, and note it in their records with the processor.

    In place of a run whose graph is not there any more stands the graph of the same network with other weights, on which
    time does not depend. Of an ensemble, the time measured before is struck out then: it cannot be compared with these.

    Returns:
        Microseconds per image by run and size of batch.
    """
    records = {path: _read_record(path) for path in sorted(folder.glob("*.json"))}
    networks = {path: record for path, record in records.items() if "export" in record}
    with tempfile.TemporaryDirectory() as scratch:
        graphs, built = {}, dict[str, Path]()
        for path, record in networks.items():
            recipe = Recipe.from_json(record["recipe"])
            graph = Run(runs / path.stem).onnx_path
            if not graph.is_file() and recipe.architecture in ARCHITECTURES:
                network = f"{recipe.architecture}-{recipe.classes}-{recipe.normalize}"
                if network not in built:
                    built[network] = export_untrained(recipe, Path(scratch) / f"{network}.onnx")
                graph = built[network]
            if graph.is_file():
                graphs[path.stem] = graph
        measured = measure_latency(graphs, images, rounds)
    processor = machine()["processor"]
    for path, record in networks.items():
        record.pop("latency", None)
        found = {"latency": measured[path.stem], "timed_on": processor} if path.stem in measured else {}
        write_json(path, record | found)
    return measured


def _read_record(path: Path) -> Record:
    try:
        record: Record = json.loads(path.read_text(encoding="utf-8"))
        found = record["format"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise RunError(f"{path} is no record of a run") from exc
    if found != FORMAT:
        raise RunError(f"the record {path} has the format {found}; this version reads format {FORMAT}")
    if "mistakes" not in record.get("evaluation", {}).get("test", {}):
        raise RunError(f"the record {path} lacks the test digits read wrong; evaluate the run again with --record")
    return record


def _test(record: Record) -> Any:
    return record["evaluation"]["test"]


def _row(name: str, records: Sequence[Record]) -> Row:
    tests = [_test(record) for record in records]
    accuracies = [test["accuracy"] for test in tests]
    sizes = [record.get("bytes") or record.get("export", {}).get("bytes") for record in records]
    return Row(
        name,
        tuple(records),
        accuracy=mean(accuracies),
        spread=stdev(accuracies) if len(accuracies) > 1 else None,
        **{field: mean(test["macro"][field] for test in tests) for field in ("precision", "recall", "f1")},
        ece=mean(test["calibration"]["ece"] for test in tests),
        parameters=records[0]["training"]["parameters"],
        bytes=next((size for size in sizes if size), None),
        microseconds=_time(records, "1"),
        microseconds_16=_time(records, "16"),
        seconds=mean(record["training"]["seconds"] for record in records),
    )


def _time(records: Sequence[Record], size: str) -> float | None:
    """Microseconds per image in batches of a size, the median over those that were timed so."""
    timed = [record["latency"][size] for record in records if size in record.get("latency", {})]
    return float(np.median(timed)) if timed else None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _short(value: Any) -> str:
    """A folder of a run is told by its name alone."""
    if isinstance(value, list):
        return f"{len(value)}"
    return Path(value).name if isinstance(value, str) and "/" in value else str(value)
