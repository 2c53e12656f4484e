"""The limit in process: the same functions without any server, as a program that `compare` pins to the server's core.

python -m benchmarks.limit LISTING --seconds 3 --items 64      images a second, with the answers as JSON
python -m benchmarks.limit LISTING --seconds 3 --reading       microseconds of a reading, robust and naive
python -m benchmarks.limit LISTING --answers                   the digits that are read, as the servers must answer
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.work import Work, resize, to_json
from service.reader import Timings


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limit", description=__doc__.splitlines()[0])
    parser.add_argument("listing", type=Path, help="file that names the pictures, one a line")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--items", type=int, default=1, help="pictures read in one run of the network")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--reading", action="store_true", help="compare a reading with a naive one instead")
    what.add_argument("--answers", action="store_true", help="tell the digits instead")
    options = parser.parse_args(arguments)
    pictures = [Path(line).read_bytes() for line in options.listing.read_text().split()]
    work = Work()
    if options.answers:
        print(json.dumps(answers(work, pictures)))
        return 0
    for picture in pictures[:50]:
        work.read(picture)
    print(json.dumps(reading(work, pictures, options.seconds) if options.reading else pace(work, pictures, options)))
    return 0


def answers(work: Work, pictures: Sequence[bytes]) -> list[int]:
    """The digit in each picture, each read alone."""
    return [work.read(picture)["digit"] for picture in pictures]


def pace(work: Work, pictures: Sequence[bytes], options: argparse.Namespace) -> dict[str, Any]:
    """Images a second, so many to a run."""
    read, started, used = 0, time.perf_counter(), time.process_time()
    while (seconds := time.perf_counter() - started) < options.seconds:
        some = [pictures[(read + index) % len(pictures)] for index in range(options.items)]
        answers = work.predict([work.prepare(picture) for picture in some])
        to_json(answers if options.items > 1 else answers[0])
        read += options.items
    return {"images_per_second": read / seconds, "server_cpu": (time.process_time() - used) / seconds}


def reading(work: Work, pictures: Sequence[bytes], seconds: float) -> dict[str, Any]:
    """Processor time of a robust reading (decode, normalise, infer, decide) and of a naive one (resize, infer)."""

    def naive(picture: bytes) -> None:
        work.reader.classifier.predict(resize(picture)[np.newaxis])

    def robust(picture: bytes) -> None:
        digit = work.prepare(picture)
        [probabilities], [reject] = work.reader.classifier.predict(digit.pixels[np.newaxis])
        work.reader.decide(digit, probabilities, reject, Timings())

    times: dict[str, list[float]] = {"naive_us": [], "robust_us": []}
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        for name, read in (("naive_us", naive), ("robust_us", robust)):
            times[name].append(_microseconds(read, pictures[:200]))
    return {name: float(np.median(values)) for name, values in times.items()}


def _microseconds(read: Callable[[bytes], None], pictures: Sequence[bytes]) -> float:
    used = time.process_time()
    for picture in pictures:
        read(picture)
    return (time.process_time() - used) / len(pictures) * 1e6


if __name__ == "__main__":
    sys.exit(main())
