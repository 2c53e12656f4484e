"""How much of the reader's pace is left to `digits predict`: files found, read, listed, against pictures in memory.

Both do the same work in portions of 64.

    python -m benchmarks.command
"""

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.pictures import write_pictures
from service import cli
from service.classifier import DigitClassifier
from service.reader import Reader
from service.settings import released_model

_PORTION = 64


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.command", description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(arguments)
    reader = Reader(DigitClassifier.load(released_model()))
    with tempfile.TemporaryDirectory() as folder:
        sources = [path.read_bytes() for path in write_pictures(Path(folder), "64", options.files)]

        def alone() -> None:
            for start in range(0, len(sources), _PORTION):
                reader.read(sources[start : start + _PORTION])

        def command() -> None:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                cli.main(["predict", "--format", "jsonl", folder])

        # In turn, so that whatever else the machine does meets both alike.
        paces = [_pace(_seconds(alone), _seconds(command)) for _ in range(options.rounds)]
    for index, what in enumerate(("by the clock", "in processor time")):
        values = [pace[index] for pace in paces]
        middle = statistics.median(values)
        print(
            f"{middle:.2f} of the reader's pace {what} ({min(values):.2f} to {max(values):.2f} over {len(values)} rounds)"
        )
    return 0


def _pace(alone: tuple[float, float], command: tuple[float, float]) -> tuple[float, float]:
    return alone[0] / command[0], alone[1] / command[1]


def _seconds(work: Callable[[], object]) -> tuple[float, float]:
    """What the work took by the clock and in processor time."""
    started, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - used


if __name__ == "__main__":
    raise SystemExit(main())
