"""Write docs/performance.md from the results of `benchmarks.compare`: every figure in it comes from there.

Ends with status 1 if a measured request failed or an answer was wrong.

python -m benchmarks.report
python -m benchmarks.report results.json --output performance.md
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.compare import BARS as MEASURED
from benchmarks.compare import LIMIT, OUTPUT, is_spoiled
from benchmarks.peers.spin import WORK_SECONDS
from benchmarks.servers import BENTOML, DIGITS, LITSERVE, LITSERVE_BATCHES, MOSEC, ROOT, SPIN, TUTORIAL

Row = Mapping[str, Any]
Results = Mapping[str, Any]

_DOCUMENT = ROOT / "docs" / "performance.md"
_PROFILE = ROOT / "docs" / "performance-profile.svg"
_RAW = {"body": "raw", "kind": "28", "items": 1, "connections": 16, "work": "robust"}
_LOAD = ("work", "kind", "body", "items", "connections")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="?", default=OUTPUT)
    parser.add_argument("--output", type=Path, default=_DOCUMENT)
    options = parser.parse_args(arguments)
    results = json.loads(options.results.read_text(encoding="utf-8"))
    bars = [_judge(bar, results) for bar in BARS]
    options.output.write_text(_document(results, bars), encoding="utf-8")
    print("\n".join(_bar_table(bars)))
    return 1 if _spoiled(results) else 0


# --- the promises ------------------------------------------------------------------------------------------------


class Missing(Exception):
    """The results do not hold what a promise is about."""


def _rows(results: Results, server: str, **load: Any) -> dict[int, Row]:
    """A server's results with this load, by round."""
    found = {row["round"]: row for row in results.get("loads", ()) if _is_of(row, server, load)}
    if not found:
        raise Missing
    return found


def _ratios(ours: dict[int, Row], theirs: dict[int, Row], key: str = "images_per_second") -> list[float]:
    """Ours by theirs, round by round: what slows the machine down meets both."""
    return [ours[number][key] / theirs[number][key] for number in sorted(ours.keys() & theirs.keys())]


def _best(results: Results, *choices: tuple[str, dict[str, Any]]) -> dict[int, Row]:
    """Of several servers or loads, the one with the best median."""
    measured = []
    for server, load in choices:
        try:
            measured.append(_rows(results, server, **load))
        except Missing:
            continue
    if not measured:
        raise Missing
    return max(measured, key=lambda rows: median(row["images_per_second"] for row in rows.values()))


def _predict_against(*choices: tuple[str, dict[str, Any]]) -> Callable[[Results], list[float]]:
    return lambda results: _ratios(_rows(results, DIGITS.name, **_RAW), _best(results, *choices))


def _form_by_raw(results: Results) -> list[float]:
    return _ratios(_rows(results, DIGITS.name, **_RAW | {"body": "form"}), _rows(results, DIGITS.name, **_RAW))


def _batch_rows(results: Results) -> dict[int, Row]:
    return _best(
        results,
        *[(DIGITS.name, {"body": body, "kind": "64", "items": 64, "work": "robust"}) for body in ("JSON", "form")],
    )


def _batch_by_limit(results: Results) -> list[float]:
    return _ratios(_batch_rows(results), _rows(results, LIMIT, kind="64", items=64))


def _batch_by_mosec(results: Results) -> list[float]:
    return _ratios(_batch_rows(results), _best(results, (MOSEC.name, {"kind": "64", "work": "robust"})))


def _beyond_reading(results: Results) -> list[float]:
    """p50 over one connection, less 1.3 times the time in process, in microseconds."""
    alone = _rows(results, DIGITS.name, **_RAW | {"connections": 1})
    limit = _rows(results, LIMIT, kind="28", items=1)
    return [
        alone[number]["p50_ms"] * 1000 - 1.3e6 / limit[number]["images_per_second"]
        for number in sorted(alone.keys() & limit.keys())
    ]


def _tail(results: Results) -> list[float]:
    return _column(_openly_asked(results, DIGITS.name, "even"), _p99_by_p50)


def _openly_asked(results: Results, server: str, gaps: str) -> list[Row]:
    return [row for row in results.get("open_loop", ()) if (row["server"], row["gaps"]) == (server, gaps)]


def _p99_by_p50(row: Row) -> float:
    return float(row["p99_ms"] / row["p50_ms"])


def _robust_by_naive(results: Results) -> list[float]:
    return _column(results.get("reading", ()), lambda row: row["robust_us"] / row["naive_us"])


def _two_workers(results: Results) -> list[float]:
    return _two_by_one(results.get("workers", ()), "workers", "requests_per_second")


def _two_by_one(rows: Sequence[Row], count: str, rate: str) -> list[float]:
    """How much faster two were than one, by round."""
    rates: dict[int, dict[int, float]] = {1: {}, 2: {}}
    for row in rows:
        rates[row[count]][row["round"]] = row[rate]
    if not rates[2]:
        raise Missing
    return [rates[2][number] / rates[1][number] for number in rates[2]]


def _peak(results: Results) -> list[float]:
    """While it answers what the promises about pace are about: other loads have processes of their own."""
    loads = [vars(load) for load in MEASURED[DIGITS]]
    rows = [row for row in results.get("loads", ()) if any(_is_of(row, DIGITS.name, load) for load in loads)]
    return _column(rows, lambda row: row["peak_mb"])


def _start(results: Results) -> list[float]:
    return _column(_rows(results, DIGITS.name).values(), lambda row: row["start_seconds"])


def _probes(results: Results) -> list[float]:
    return _column(results.get("probes", ()), lambda row: row["p99_ms"])


def _column(rows: Iterable[Row], value: Callable[[Row], float]) -> list[float]:
    values = [value(row) for row in rows]
    if not values:
        raise Missing
    return values


_FORM = _RAW | {"body": "form"}
# What is promised, how it is computed from the results, whether more or less is better, and the bound.
BARS: Sequence[tuple[str, Callable[[Results], list[float]], str, float]] = (
    (
        "`/predict`, raw body, 16 connections, by mosec with batches of 16",
        _predict_against((MOSEC.name, _RAW)),
        ">=",
        0.85,
    ),
    (
        "the same by LitServe, the faster of one and 16 at a time",
        _predict_against((LITSERVE.name, _FORM), (LITSERVE_BATCHES.name, _FORM)),
        ">=",
        3,
    ),
    ("the same by BentoML", _predict_against((BENTOML.name, _FORM)), ">=", 3),
    (
        "the same by the FastAPI tutorial service, which only resizes",
        _predict_against((TUTORIAL.name, _FORM | {"work": "plain"})),
        ">=",
        1.5,
    ),
    ("form upload by raw body", _form_by_raw, ">=", 0.8),
    ("`/predict/batch` of 64 cells, images/s, by the limit in process", _batch_by_limit, ">=", 0.85),
    ("the same by mosec's best", _batch_by_mosec, ">=", 1.1),
    ("one connection: p50 less 1.3 x the time in process, µs", _beyond_reading, "<=", 150),
    ("p99 by p50 at 80 % of capacity, open loop", _tail, "<=", 5),
    ("robust reading of a 28x28 PNG by a naive one", _robust_by_naive, "<=", 2),
    ("two workers by one, on two cores with the generator", _two_workers, ">=", 1.7),
    ("peak memory of a worker, MB", _peak, "<=", 180),
    ("start to first answer, s", _start, "<=", 2),
    ("p99 of probes among batches of 256, ms", _probes, "<=", 50),
)

Judged = tuple[str, str, float, list[float] | None, bool]


def _judge(bar: tuple[str, Callable[[Results], list[float]], str, float], results: Results) -> Judged:
    what, compute, relation, bound = bar
    try:
        values = compute(results)
    except Missing:
        return what, relation, bound, None, False
    middle = max(values) if what.startswith("peak") else median(values)
    return what, relation, bound, values, middle >= bound if relation == ">=" else middle <= bound


def _bar_table(bars: Sequence[Judged]) -> list[str]:
    lines = ["| promised | | measured | of all rounds | |", "|---|--:|--:|--:|---|"]
    for what, relation, bound, values, kept in bars:
        if values is None:
            lines.append(f"| {what} | {relation} {bound:g} | not measured | | |")
            continue
        middle = max(values) if what.startswith("peak") else median(values)
        spread = f"{_number(min(values))} to {_number(max(values))}"
        lines.append(
            f"| {what} | {relation} {bound:g} | {_number(middle)} | {spread} | {'kept' if kept else '**missed**'} |"
        )
    return lines


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


# --- the document ------------------------------------------------------------------------------------------------


def _document(results: Results, bars: Sequence[Judged]) -> str:
    about = results["machine"]
    lines = [
        "# Performance",
        "",
        "Written by `python -m benchmarks.report` from `docs/performance.json`, which `make bench` measures; no figure in here is",
        "typed by hand. Anyone can repeat it on a machine with two cores, make, and `wrk`.",
        "",
        _measured_on(about),
        "",
        *_answers(results),
        "## What is promised, and what was measured",
        "",
        "Ratios are taken within a round, so that what slows the machine down meets both sides; the figure is their median.",
        "",
        *_bar_table(bars),
        "",
        *_HOW,
        *_loads(results),
        *_growth_section(results),
        *_open_loop_section(results),
        *_WHY,
    ]
    if _PROFILE.exists():
        lines += [
            "",
            "## Where the time goes",
            "",
            "Sampled by `python -m benchmarks.profile` while 16 connections ask for readings of 28x28 PNG; the width is the time.",
            "",
            f"![profile]({_PROFILE.name})",
        ]
    return "\n".join(lines) + "\n"


def _spoiled(results: Results) -> list[Row]:
    return [row for rows in results.values() if isinstance(rows, list) for row in rows if is_spoiled(row)]


def _answers(results: Results) -> list[str]:
    """What came of looking at the answers, where it was done."""
    rows = [row for what in ("loads", "workers") for row in results.get(what, ()) if "checked" in row]
    if not rows:
        return []
    checked, wrong, failed = (sum(row[key] for row in rows) for key in ("checked", "wrong", "failed"))
    told = (
        f"After the {len(rows)} measurements the answers to {checked:,} pictures were compared with what the same work gives "
        f"in process: {wrong:,} were wrong. Of the measured requests {failed:,} failed."
    )
    spoiled = [
        f"- **{_name(row)}, {row['kind']}x{row['kind']}, {row['work']} work, round {row['round']}: "
        f"{row['failed']} failed, {row['wrong']} wrong**"
        for row in results["loads"]
        if is_spoiled(row)
    ]
    return [told, "", *spoiled, *([""] if spoiled else [])]


def _measured_on(about: Row) -> str:
    took = f", {about['minutes']:.0f} minutes in all" if "minutes" in about else ""
    return (
        f"Measured on {about['machine']}, load {about['load_before']} before the start, Python {about['python']}, "
        f"onnxruntime {about['onnxruntime']}, digits {about['service']} at commit {about['commit']}{_model(about)}, {about['date']}: "
        f"{about['rounds']} interleaved rounds of {about['seconds']} s for each load{_longer(about)}, {about['pictures']} distinct pictures{took}."
    )


def _longer(about: Row) -> str:
    if "longer" not in about:
        return ""
    longer, many = about["longer"]["seconds"], about["longer"]["pictures"]
    return f" ({longer} s where more than {many} pictures are under way at the end, which are not counted)"


def _model(about: Row) -> str:
    if "model" not in about:
        return ""
    model = about["model"]
    return f" with the model {model['name']} {model['version']} (SHA-256 `{model['sha256'][:16]}`)"


_HOW = """\
## How it is measured

Each server has core 0 for itself, `wrk` has core 1; servers are started and stopped in turn within each round. All do the same
work with the same functions (`benchmarks/work.py`): decode, normalise, the released network on one thread, decide, the same
JSON; with plain work they resize to 28x28 as tutorials do, and skip the rest. *In process* is that work without any server.
No server caches answers or pictures. Each measured request that fails, or is refused, is counted as failed and is no
throughput. After each measurement answers are looked at, over as many connections, in the first round those to all pictures,
then those to a quarter: each must have status 200 and the digit that the same work, plain work too, gives in process. LitServe and BentoML take forms, mosec raw bodies; each is set up as its
documentation says it is fastest (`benchmarks/peers/`). *CPU* is processor time by time, of all of a server's processes;
*images per CPU second* is therefore what a core gives if it has nothing else to do, and hardly depends on what else runs.
""".splitlines()

_WHY = """
## Why it is as fast as it is

- Most of a reading is the reading. A plain request (one small picture that came at once) is answered where its bytes come in,
  all that came in one turn of the event loop with one run of the network (`service/shortcut.py`); a task of its own, FastAPI's
  router and Starlette's layers would cost half as much as the reading. Anything else, errors included, goes the long way.
- Batching never waits: what is there is read together, what is alone is read alone. Joined, a digit costs the network about
  three quarters of what it costs alone.
- Small pictures are read on the event loop, since handing one to a thread and back takes as long as reading it. Batches and
  large pictures go to threads, so that probes are answered meanwhile; but only one thread at a time reads small pictures:
  each call of such a reading holds the interpreter's lock, and two threads that want it at once take half as long again.
- Metrics are counted in plain rows of numbers and brought into Prometheus's form when scraped (`service/tallies.py`).
- Forms of the usual form are split in one go; whatever is unusual goes to the parser, which would find the same parts.
""".splitlines()


def _loads(results: Results) -> list[str]:
    lines = ["", "## All servers, all loads", ""]
    groups: dict[tuple[Any, ...], dict[str, list[Row]]] = {}
    for row in results.get("loads", ()):
        if row["server"] != LIMIT:
            groups.setdefault((row["work"], row["kind"], row["items"]), {}).setdefault(_name(row), []).append(row)
    for (work, kind, items), servers in groups.items():
        pictures = "one picture a request" if items == 1 else f"{items} pictures a request"
        lines += [f"### {kind}x{kind} PNG, {pictures}, {work} work", ""]
        lines += [f"| server | {_COLUMNS}"]
        lines += ["|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
        lines += [
            f"| {LIMIT}, {row['items']} at a time | {_figures(rows)}"
            for rows in _limit_rows(results, work, kind)
            for row in rows[:1]
        ]
        ordered = sorted(servers.items(), key=lambda entry: -_middle(entry[1], "images_per_second"))
        lines += [f"| {name} | {_figures(rows)}" for name, rows in ordered]
        lines.append("")
    return lines


def _limit_rows(results: Results, work: str, kind: str) -> list[list[Row]]:
    rows = [
        row
        for row in results.get("loads", ())
        if row["server"] == LIMIT and row["work"] == work and row["kind"] == kind
    ]
    return [[row for row in rows if row["items"] == items] for items in sorted({row["items"] for row in rows})]


def _name(row: Row) -> str:
    name = f"{row['server']}, {row['body']}, {row['connections']} connections"
    return name.removesuffix("s") if row["connections"] == 1 else name


def _figures(rows: Sequence[Row]) -> str:
    rates = [row["images_per_second"] for row in rows]
    per_cpu = median(row["images_per_second"] / max(row["server_cpu"], 1e-9) for row in rows)
    cells = [f"{median(rates):.0f}", f"{min(rates):.0f} to {max(rates):.0f}", f"{per_cpu:.0f}"]
    keys = ("p50_ms", "p99_ms", "server_cpu", "client_cpu")
    cells += [f"{_middle(rows, key):.2f}" if key in rows[0] else "-" for key in keys]
    cells.append(f"{max(row['peak_mb'] for row in rows):.0f}" if "peak_mb" in rows[0] else "-")
    return " | ".join(cells) + " |"


def _middle(rows: Sequence[Row], key: str) -> float:
    return float(median(row[key] for row in rows))


# What grows: a heading, the rest of the load, and the name of what grows in the results.
_GROWTH: Sequence[tuple[str, str, dict[str, Any], str]] = (
    ("connections", "28x28 PNG, raw", _RAW, "connections"),
    (
        "pictures in a batch",
        "64x64 cells, JSON, 4 connections; one picture goes to `/predict`",
        _RAW | {"body": "JSON", "kind": "64", "connections": 4},
        "items",
    ),
    ("pixels along a side of a picture", "PNG, raw, 16 connections", _RAW, "kind"),
)
_COLUMNS = "images/s | min to max | images per CPU second | p50 ms | p99 ms | CPU | of wrk | peak MB |"


def _growth_section(results: Results) -> list[str]:
    workers = results.get("workers", ())
    by_workers = _growth_table(
        "workers", "28x28 PNG, raw, 32 connections; service and generator share both cores", workers
    )
    tables = [by_workers + _scaling(results)]
    for what, load, fixed, key in _GROWTH:
        alike = {name: value for name, value in fixed.items() if name != key}
        rows = [row for row in results.get("loads", ()) if _is_of(row, DIGITS.name, alike)]
        tables.append(_growth_table(what, load, rows, key))
    lines = [line for table in tables for line in table]
    return ["", "## Cost as work grows", "", "Of this service alone.", *lines] if lines else []


def _scaling(results: Results) -> list[str]:
    """What the machine leaves to two that share nothing."""
    if not results.get("scaling"):
        return []
    ratios = _two_by_one(results["scaling"], "processes", "images_per_second")
    pace = f"{median(ratios):.2f} times as much as one alone ({min(ratios):.2f} to {max(ratios):.2f} in the rounds)"
    return ["", f"Two processes without any server, one on each core, read {pace}."]


def _is_of(row: Row, server: str, load: Mapping[str, Any]) -> bool:
    return row["server"] == server and all(row.get(key) == value for key, value in load.items())


def _growth_table(what: str, load: str, rows: Sequence[Row], key: str = "workers") -> list[str]:
    """A line for each value that was measured; nothing where there is nothing to compare."""
    values = sorted({row[key] for row in rows}, key=int)
    if len(values) < 2:
        return []
    lines = ["", f"By {what} ({load}):", "", f"| {what} | {_COLUMNS}", "|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    return lines + [f"| {value} | {_figures([row for row in rows if row[key] == value])}" for value in values]


def _pauses(results: Results) -> str:
    share, longest = (_middle(results["pauses"], key) for key in ("share", "longest_ms"))
    return (
        f"With both cores busy the machine itself kept a process that only looks at the clock from the server's core for "
        f"{share:.1%} of the time, for {longest:.0f} ms at the longest (`benchmarks/pauses.py`, medians of the rounds); no server can "
        "answer meanwhile, and what has piled up takes four times as long to be worked off."
    )


def _open_loop_section(results: Results) -> list[str]:
    if not results.get("open_loop"):
        return []
    lines = ["", "## Latency at 80 % of capacity", ""]
    lines += [
        "Requests are sent when they are due, answered or not, and latency counts from then (`benchmarks/load.py`). Capacity is",
        "what the same generator gets answered right before, as a closed loop over 16 connections. Random gaps are those between",
        f"callers who know nothing of each other (Poisson). {_pauses(results)}",
        "",
        "| server | gaps | requests/s | answered | p50 ms | p90 ms | p99 ms | max ms |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for server in (DIGITS.name, MOSEC.name, SPIN.name):
        for gaps in ("even", "random"):
            if not (rows := _openly_asked(results, server, gaps)):
                continue
            figures = [f"{_middle(rows, key):.2f}" for key in ("p50_ms", "p90_ms", "p99_ms", "max_ms")]
            answered = f"{_middle(rows, 'answered_per_second'):.0f}"
            lines.append(f"| {server} | {gaps} | {_middle(rows, 'rate'):.0f} | {answered} | {' | '.join(figures)} |")
    if _openly_asked(results, SPIN.name, "even"):
        lines += [
            "",
            f"The server that only uses up time takes the same {1e6 * WORK_SECONDS:.0f} microseconds of its core for each request and does",
            "nothing else (`benchmarks/peers/spin.py`): how uneven its latencies are is the machine's and the generator's doing.",
        ]
    return [*lines, ""]


if __name__ == "__main__":
    sys.exit(main())
