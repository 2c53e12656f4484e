"""Side by side: the in-process limit, this service, and the servers a user could pick instead.

Every server does the same work with the same pictures on one core, another core drives it with wrk. Rounds are
interleaved, so that a machine whose speed drifts favours nobody; what counts is the ratio, from medians.

    make bench
    python -m benchmarks.compare --work plain --kinds 28 --connections 16 --rounds 5
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.pictures import KINDS, write_pictures
from benchmarks.servers import CLIENT_CORE, DIGITS, DIGITS_FORM, PEERS, SERVER_CORE, Server, install, running

LIMIT = "in process, one at a time"
LIMIT_CODE = """
import sys, time
from pathlib import Path
from benchmarks.work import Work, to_json
pictures = [Path(line).read_bytes() for line in Path(sys.argv[1]).read_text().split()]
work, n, seconds = Work(), 0, float(sys.argv[2])
for picture in pictures[:50]:
    work.read(picture)
started = time.perf_counter()
while time.perf_counter() - started < seconds:
    to_json(work.read(pictures[n % len(pictures)]))
    n += 1
print(n / (time.perf_counter() - started))
"""
BOUNDARY = "benchmark"


@dataclass(frozen=True)
class Bodies:
    """Request bodies in files, and their content type."""

    listing: Path
    content_type: str


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__.splitlines()[0])
    parser.add_argument("--work", choices=("robust", "plain"), default="robust", help="read as digits does, or resize")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["28"], help="sides of the pictures")
    parser.add_argument("--connections", nargs="+", type=int, default=[16], help="connections of wrk")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--pictures", type=int, default=1000, help="distinct pictures")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="servers whose names contain one of these"
    )
    options = parser.parse_args(arguments)
    os.environ["BENCH_WORK"] = options.work
    servers = [DIGITS, DIGITS_FORM, *PEERS] if options.work == "robust" else list(PEERS)
    servers = [server for server in servers if not options.only or any(part in server.name for part in options.only)]
    for server in servers:
        install(server)
    for kind in options.kinds:
        with tempfile.TemporaryDirectory() as scratch:
            _compare(servers, kind, Path(scratch), options)
    return 0


def _compare(servers: Sequence[Server], kind: str, scratch: Path, options: argparse.Namespace) -> None:
    paths = write_pictures(scratch / "pictures", kind, options.pictures)
    raw, form = write_bodies(paths, scratch)
    figures: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for number in range(options.rounds):
        limit = _in_process(raw.listing, options.seconds)
        figures.setdefault((LIMIT, 1), []).append({"per_second": limit, "cpu": 1.0})
        for server in servers:
            bodies = form if server.form else raw
            with running(server) as usage:
                if number == 0:
                    _check_answers(server, bodies, paths, robust=options.work == "robust")
                for connections in options.connections:
                    _wrk(server, bodies, connections, 1)
                    before, started = usage.cpu_seconds(), time.perf_counter()
                    result = _wrk(server, bodies, connections, options.seconds)
                    result["cpu"] = (usage.cpu_seconds() - before) / (time.perf_counter() - started)
                    result["peak_mb"] = usage.peak_megabytes()
                    figures.setdefault((server.name, connections), []).append(result)
        print(f"round {number + 1} of {options.rounds} done", file=sys.stderr)
    _print_table(f"{options.work} reading of {kind}x{kind} PNG", figures, options.rounds)


def write_bodies(paths: Sequence[Path], scratch: Path) -> tuple[Bodies, Bodies]:
    """The pictures as raw bodies and as forms with the field `file`."""
    listing = scratch / "raw.txt"
    listing.write_text("\n".join(map(str, paths)) + "\n")
    forms = scratch / "forms"
    forms.mkdir()
    for path in paths:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n'
        body = (
            f"{head}Content-Type: image/png\r\n\r\n".encode() + path.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()
        )
        (forms / path.name).write_bytes(body)
    form_listing = scratch / "form.txt"
    form_listing.write_text("\n".join(str(forms / path.name) for path in paths) + "\n")
    return Bodies(listing, "image/png"), Bodies(form_listing, f"multipart/form-data; boundary={BOUNDARY}")


def _in_process(listing: Path, seconds: int) -> float:
    command = ["taskset", "-c", SERVER_CORE, str(DIGITS.bin / "python"), "-c", LIMIT_CODE, str(listing), str(seconds)]
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    return float(subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout)


def _wrk(server: Server, bodies: Bodies, connections: int, seconds: int) -> dict[str, Any]:
    script = Path(__file__).with_name("cycle.lua")
    command = ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script)]
    environ = os.environ | {"BENCH_BODIES": str(bodies.listing), "BENCH_TYPE": bodies.content_type}
    done = subprocess.run([*command, server.url], env=environ, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if result["failed"]:
        raise RuntimeError(f"{server.name} failed {result['failed']} of {result['requests']} requests")
    return result | {"per_second": result["requests"] / result["seconds"]}


def _check_answers(server: Server, bodies: Bodies, paths: Sequence[Path], *, robust: bool) -> None:
    """Every answer is 200, and where the pictures are read as they should be, nearly every digit is right."""
    hits = 0
    for body, path in zip(bodies.listing.read_text().split(), paths, strict=True):
        request = urllib.request.Request(server.url, Path(body).read_bytes(), {"Content-Type": bodies.content_type})
        with urllib.request.urlopen(request, timeout=10) as answer:
            content = json.load(answer)
        hits += content["digit"] == int(path.stem.split("-")[1])
        assert len(content["probabilities"]) == 10
    if robust and hits < 0.9 * len(paths):
        raise RuntimeError(f"{server.name} read only {hits} of {len(paths)} pictures right")


def _print_table(title: str, figures: dict[tuple[str, int], list[dict[str, Any]]], rounds: int) -> None:
    print(f"\n{title}; medians of {rounds} rounds on {os.uname().machine}, one core for the server, one for wrk\n")
    print("| server | connections | requests/s | min-max | vs digits | p50 ms | p99 ms | CPU | peak MB |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for (name, connections), results in figures.items():
        rates = [result["per_second"] for result in results]
        base = figures.get((DIGITS.name, connections))
        ratio = median(r["per_second"] / b["per_second"] for r, b in zip(results, base, strict=True)) if base else None
        cells = [
            f"{median(result[key] for result in results):.2f}" if key in results[0] else "-"
            for key in ("p50_ms", "p99_ms", "cpu")
        ]
        peak = f"{max(result['peak_mb'] for result in results):.0f}" if "peak_mb" in results[0] else "-"
        spread = f"{min(rates):.0f}-{max(rates):.0f}"
        against = f"{ratio:.2f}" if ratio else "-"
        print(f"| {name} | {connections} | {median(rates):.0f} | {spread} | {against} | {' | '.join(cells)} | {peak} |")


if __name__ == "__main__":
    sys.exit(main())
