"""Counters, gauges and histograms that cost little to count with.

The Prometheus client's own take a lock and several calls for each number, 35 us for what one reading counts; these are
rows of plain numbers, brought into Prometheus's form when somebody looks. With several workers each number is also
written into a file of the form that the client's `MultiProcessCollector` adds up: what was counted is there for all, and
survives a worker that is killed. Writing costs more than counting, so what changed in a turn of the event loop, mostly the
same few numbers for many requests, is written once, at its end.

All counting belongs to one thread, the event loop's.
"""

import asyncio
import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.utils import floatToGoString

Labels = tuple[object, ...]


class Row:
    """The numbers of one combination of labels."""

    __slots__ = ("numbers",)

    def __init__(self, size: int) -> None:
        self.numbers = [0.0] * size

    def add(self, index: int, amount: float) -> None:
        self.numbers[index] += amount


class SavedRow(Row):
    """A row whose numbers lie in a file too; it goes on where a row of the same keys stopped."""

    __slots__ = ("_changed", "_file", "_keys")

    def __init__(self, file: MmapedDict, keys: Sequence[str]) -> None:
        self.numbers = [file.read_value(key)[0] for key in keys]  # type: ignore[no-untyped-call]
        self._file, self._keys = file, keys
        self._changed: set[int] = set()

    def add(self, index: int, amount: float) -> None:
        self.numbers[index] += amount
        is_first = not self._changed
        self._changed.add(index)
        if is_first:
            _save_later(self)

    def save(self) -> None:
        """Write what changed."""
        for index in self._changed:
            self._file.write_value(self._keys[index], self.numbers[index], 0.0)  # type: ignore[no-untyped-call]
        self._changed.clear()


_unsaved: list[SavedRow] = []


def _save_later(row: SavedRow) -> None:
    _unsaved.append(row)
    if len(_unsaved) > 1:
        return  # somebody saves already
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # no turn will end
        save()
    else:
        loop.call_soon(save)


def save() -> None:
    """Bring the files up to date; for the thread that counts."""
    for row in _unsaved:
        row.save()
    _unsaved.clear()


class Tally:
    """One metric: a row of numbers for each combination of its labels that was seen."""

    # The file's name tells the client library what its numbers are and how those of several workers are joined.
    file_kind = ""

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = (), folder: Path | None = None) -> None:
        self.name, self.documentation, self.labels = name, documentation, tuple(labels)
        self._rows: dict[Labels, Row] = {}
        self._file = None if folder is None else _file(folder / f"{self.file_kind}_{os.getpid()}.db")
        if not labels:
            self.row()

    def row(self, *labels: object) -> Row:
        """The numbers of these labels, one value for each of the metric's label names."""
        row = self._rows.get(labels)
        return self._begin(labels) if row is None else row

    def collect(self) -> Iterator[Metric]:
        """The metric in Prometheus's form."""
        raise NotImplementedError

    def _begin(self, labels: Labels) -> Row:
        samples = self._samples()
        if self._file is None:
            self._rows[labels] = Row(len(samples))
        else:
            keys = [self._key(sample, extra, labels) for sample, extra in samples]
            self._rows[labels] = SavedRow(self._file, keys)
        return self._rows[labels]

    def _samples(self) -> Sequence[tuple[str, dict[str, str]]]:
        """Name and further labels of each number of a row."""
        return [(self.name, {})]

    def _key(self, sample: str, extra: dict[str, str], labels: Labels) -> str:
        values = [*map(str, labels), *extra.values()]
        return mmap_key(self.name, sample, [*self.labels, *extra], values, self.documentation)

    def _seen(self) -> list[tuple[list[str], list[float]]]:
        """Labels and numbers as they are now; copied, since they go on counting while another thread writes them."""
        return [([str(label) for label in labels], list(row.numbers)) for labels, row in list(self._rows.items())]


class Counter(Tally):
    """What only grows."""

    file_kind = "counter"

    def inc(self, *labels: object, times: int = 1) -> None:
        self.row(*labels).add(0, times)

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self.name, self.documentation, labels=self.labels)
        for labels, [value] in self._seen():
            family.add_metric(labels, value)
        yield family

    def _samples(self) -> Sequence[tuple[str, dict[str, str]]]:
        return [(f"{self.name}_total", {})]


class Gauge(Tally):
    """What goes up and down; that of several workers is the sum over the living."""

    file_kind = "gauge_livesum"

    def add(self, amount: float) -> None:
        self.row().add(0, amount)

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(self.name, self.documentation, labels=self.labels)
        for labels, [value] in self._seen():
            family.add_metric(labels, value)
        yield family


class Info(Gauge):
    """A gauge that is always 1 and says something in its labels; all workers say the same."""

    file_kind = "gauge_livemax"

    def tell(self, *labels: object) -> None:
        row = self.row(*labels)
        row.add(0, 1.0 - row.numbers[0])


class Histogram(Tally):
    """How often a value fell into each bucket, up to and including its bound, and the sum of all values."""

    file_kind = "histogram"

    def __init__(
        self,
        name: str,
        documentation: str,
        bounds: Sequence[float],
        labels: Sequence[str] = (),
        folder: Path | None = None,
    ) -> None:
        self._bounds = tuple(bounds)
        self._names = [floatToGoString(bound) for bound in (*bounds, float("inf"))]  # type: ignore[no-untyped-call]
        super().__init__(name, documentation, labels, folder)

    def observe(self, value: float, *labels: object, times: int = 1) -> None:
        row = self.row(*labels)
        row.add(bisect_left(self._bounds, value), times)
        row.add(-1, value * times)

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(self.name, self.documentation, labels=self.labels)
        for labels, [*counts, total] in self._seen():
            so_far = [sum(counts[: index + 1]) for index in range(len(counts))]
            family.add_metric(labels, list(zip(self._names, so_far, strict=True)), total)
        yield family

    def _samples(self) -> Sequence[tuple[str, dict[str, str]]]:
        buckets = [(f"{self.name}_bucket", {"le": name}) for name in self._names]
        return [*buckets, (f"{self.name}_sum", {})]


_files: dict[Path, MmapedDict] = {}


def _file(path: Path) -> MmapedDict:
    """All metrics of a kind share one file."""
    if path not in _files:
        _files[path] = MmapedDict(str(path))  # type: ignore[no-untyped-call]
    return _files[path]
