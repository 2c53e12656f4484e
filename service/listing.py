"""What `digits predict` and `digits field` print: a table, JSON lines or CSV, and how far it is."""

import csv
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TextIO

import orjson

_COLUMNS = ("confidence", "decision", "reasons", "error")
_BAR = 30
_REDRAW_SECONDS = 0.1


@dataclass(frozen=True)
class Row:
    """One picture's line: the answer of the service for it, or `{"error": {"code": ..., "detail": ...}}`."""

    path: str
    answer: dict[str, Any]

    @property
    def failed(self) -> bool:
        return "error" in self.answer


Write = Callable[[Row], None]


def printable(path: str | os.PathLike[str]) -> str:
    """A path as text; bytes of its name that are no text are shown as such."""
    return os.fsencode(path).decode("utf-8", "replace")


def writer(kind: str, out: TextIO, what: str = "digit") -> Write:
    """A function that writes rows as a `table`, as `jsonl` or as `csv`; `what` was read: a `digit`, or a `text`."""
    return {"table": _table, "jsonl": _jsonl, "csv": _csv}[kind](out, what)


def _table(out: TextIO, what: str) -> Write:
    width = 5 if what == "digit" else 12

    def write(row: Row) -> None:
        path, digit, confidence, decision, reasons, error = _cells(row, what)
        # Cut, not rounded: 0.99996 is no certainty.
        shown = f"{math.floor(float(confidence) * 1e4) / 1e4:.4f}" if confidence else "-"
        remark = f"  ({reasons or error})" if reasons or error else ""
        print(f"{digit or '-':{width}}  {shown:10}  {decision or 'error':8}  {path}{remark}", file=out)

    print(f"{what:{width}}  {'confidence':10}  {'decision':8}  path", file=out)
    return write


def _jsonl(out: TextIO, _what: str) -> Write:
    def write(row: Row) -> None:
        print(orjson.dumps({"path": row.path, **row.answer}).decode(), file=out)

    return write


def _csv(out: TextIO, what: str) -> Write:
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("path", what, *_COLUMNS))
    return lambda row: rows.writerow(_cells(row, what))


def _cells(row: Row, what: str) -> list[str]:
    answer = row.answer
    if row.failed:
        return [row.path, "", "", "", "", answer["error"]["detail"]]
    digit = "" if answer[what] is None else str(answer[what])
    return [row.path, digit, str(answer["confidence"]), answer["decision"], " ".join(answer["reasons"]), ""]


def with_progress(rows: Iterable[Row], total: int, write: Write) -> Iterator[Row]:
    """Write each row, with a bar below on a terminal; say nothing where standard error is none."""
    if not sys.stderr.isatty():
        for row in rows:
            write(row)
            yield row
        return
    drawn = 0.0
    for done, row in enumerate(rows, start=1):
        if sys.stdout.isatty():
            _erase_bar()
        write(row)
        # On a terminal each row took the bar's place.
        if sys.stdout.isatty() or done == total or time.monotonic() - drawn > _REDRAW_SECONDS:
            drawn = time.monotonic()
            _draw_bar(done, total)
        yield row
    _erase_bar()


def _draw_bar(done: int, total: int) -> None:
    filled = _BAR * done // total
    print(f"\r[{'#' * filled}{'.' * (_BAR - filled)}] {done}/{total}", end="", file=sys.stderr, flush=True)


def _erase_bar() -> None:
    print("\r\033[K", end="", file=sys.stderr, flush=True)
