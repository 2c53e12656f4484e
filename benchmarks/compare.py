"""Side by side: the in-process limit, this service, and the servers a user could pick instead.

Every server does the same work with the same pictures on one core, another core drives it with wrk. Rounds are
interleaved, so that a machine whose speed drifts favours nobody; what counts is the ratio within a round. Each measured
answer of another status than success is counted as failed. After each measurement answers are looked at, in the first
round those to all pictures, then those to a quarter of them: each must have status 200 and the digit that the same work
gives in process. The results are written to a file, from which `benchmarks.report` writes the document; it is the report
that ends with status 1 if anything failed or was wrong.

    make bench                  what the promises are about, and how cost grows: some 19 minutes
    make bench BENCH=--full     all sizes, bodies, batches and numbers of connections for all servers: an hour and a half
    make bench BENCH=--quick    only see that everything runs
"""

import argparse
import http.client
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bodies import Bodies, write_bodies
from benchmarks.checks import count_wrong
from benchmarks.instances import machine
from benchmarks.pauses import pauses
from benchmarks.pictures import KINDS, write_pictures
from benchmarks.servers import (
    BENTOML,
    CLIENT_CORE,
    DIGITS,
    LITSERVE,
    LITSERVE_BATCHES,
    MOSEC,
    MOSEC_SINGLE,
    PORT,
    RAW,
    ROOT,
    SERVER_CORE,
    SPIN,
    TUTORIAL,
    Server,
    Usage,
    install,
    running,
)
from service import __version__
from service.settings import released_model

OUTPUT = ROOT / "docs" / "performance.json"
LIMIT = "in process"
BOTH_CORES = f"{SERVER_CORE},{CLIENT_CORE}"
_URL = f"http://127.0.0.1:{PORT}"


@dataclass(frozen=True)
class Load:
    """What wrk sends: bodies of a form ("raw", "form", "JSON") with so many pictures each, over so many connections."""

    body: str
    kind: str = "28"
    items: int = 1
    connections: int = 16
    work: str = "robust"

    def seconds(self, usual: int) -> int:
        """How long it is measured: wrk counts no request that is under way at the end, which a few large ones feel."""
        return usual * _LONGER if self.items * self.connections > _MANY else usual


# So many pictures under way are 3 % of those that are read in 3 seconds.
_MANY = 128
_LONGER = 3


# What the promises of docs/performance.md are about. What is compared comes close to each other: batches after the limit
# in process of many cells, forms and raw bodies side by side, and raw bodies before mosec's.
BARS: Mapping[Server, Sequence[Load]] = {
    DIGITS: (
        Load("JSON", "64", items=64, connections=4),
        Load("form", "64", items=64, connections=4),
        Load("raw", connections=1),
        Load("JSON"),
        Load("form"),
        Load("raw"),
    ),
    MOSEC: (Load("raw"), Load("raw", "64", connections=64)),
    TUTORIAL: (Load("form"),),
    RAW: (Load("raw"),),
    LITSERVE: (Load("form"),),
    LITSERVE_BATCHES: (Load("form"),),
    BENTOML: (Load("form"),),
}
# The tutorial service only resizes, whatever the others do.
PLAIN: Mapping[Server, Sequence[Load]] = {
    server: [Load(load.body, connections=16, work="plain") for load in BARS[server][:1]]
    for server in (MOSEC, TUTORIAL, RAW, LITSERVE, BENTOML)
}

# How this service's cost grows with connections, with the size of a picture, and with the number of pictures in a batch;
# the rest of each series is in `BARS`.
GROWTH: Sequence[Load] = (
    Load("raw", connections=64),
    Load("raw", "64"),
    Load("raw", "300"),
    Load("JSON", "64", items=1, connections=4),
    Load("JSON", "64", items=16, connections=4),
    Load("JSON", "64", items=256, connections=4),
)
GROWTH_ROUNDS = 3


def everything() -> dict[Server, list[Load]]:
    """All sizes, connections and bodies that each server takes."""
    sizes = [(kind, connections) for kind in KINDS for connections in (1, 16, 64)]
    loads: dict[Server, list[Load]] = {
        server: [
            Load(body, kind, 1, connections, work) for work in works for body in forms for kind, connections in sizes
        ]
        for server, forms, works in (
            (DIGITS, ("raw", "form", "JSON"), ("robust",)),
            (MOSEC, ("raw",), ("robust", "plain")),
            (MOSEC_SINGLE, ("raw",), ("robust", "plain")),
            (TUTORIAL, ("form",), ("robust", "plain")),
            (RAW, ("raw",), ("robust", "plain")),
            (LITSERVE, ("form",), ("robust", "plain")),
            (LITSERVE_BATCHES, ("form",), ("robust", "plain")),
            (BENTOML, ("form",), ("robust", "plain")),
        )
    }
    loads[DIGITS] += [
        Load(body, kind, items, 4) for body in ("form", "JSON") for kind in KINDS for items in (1, 16, 64, 256)
    ]
    return loads


@dataclass
class Experiment:
    """Options, what was measured so far, and where it is written to."""

    options: argparse.Namespace
    scratch: Path
    results: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    _bodies: dict[tuple[str, str, int], Bodies] = field(default_factory=dict)
    _expected: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def bodies(self, body: str, kind: str, items: int = 1) -> Bodies:
        key = (body, kind, items)
        if key not in self._bodies:
            paths = write_pictures(self.scratch / kind, kind, self.options.pictures)
            self._bodies[key] = write_bodies(paths, body, items, self.scratch / "-".join(map(str, key)))
        return self._bodies[key]

    def expected(self, kind: str, work: str) -> list[int]:
        """The digits that this work finds in the pictures without any server."""
        if (kind, work) not in self._expected:
            digits = _in_process(self, kind, "--answers", work=work)
            labels = [label for [label] in self.bodies("raw", kind).labels]
            hits = sum(digit == label for digit, label in zip(digits, labels, strict=True))
            if work == "robust" and hits < 0.9 * len(labels):
                raise RuntimeError(f"only {hits} of {len(labels)} pictures are read right")
            self._expected[kind, work] = digits
        return self._expected[kind, work]

    def add(self, what: str, row: dict[str, Any]) -> None:
        """Write a result down, at once: an interrupted run leaves what it had."""
        self.results.setdefault(what, []).append(row)
        self._write()
        print(f"{what}: {row}", file=sys.stderr)

    def finish(self) -> None:
        """Write down how long all of it took."""
        self.results["machine"]["minutes"] = round((time.monotonic() - self.started) / 60, 1)
        self._write()

    def _write(self) -> None:
        self.options.output.write_text(json.dumps(self.results, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    how_much = parser.add_mutually_exclusive_group()
    how_much.add_argument("--full", action="store_true", help="all loads that a server takes")
    how_much.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--pictures", type=int, default=1024, help="distinct pictures")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="servers whose names contain one of these"
    )
    parser.add_argument("--output", type=Path, default=OUTPUT, help="file for the results (docs/performance.json)")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.pictures = 1, 1, 256
    # So that a server under measurement is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    _compare(options)
    return 0


def is_spoiled(row: Mapping[str, Any]) -> bool:
    """Whether a request of this measurement failed, or an answer looked at after it was wrong."""
    return bool(row.get("failed") or row.get("wrong"))


def _compare(options: argparse.Namespace) -> None:
    loads = everything() if options.full else {**BARS}
    wanted = {server: loads[server] for server in loads if _is_wanted(server, options.only)}
    for server in (DIGITS, *wanted):
        install(server)
    with tempfile.TemporaryDirectory() as scratch:
        experiment = Experiment(options, Path(scratch), {"machine": _about(options)})
        for number in range(options.rounds):
            _limits(experiment, number)
            for server, server_loads in wanted.items():
                _measure(experiment, number, server, server_loads)
            if not options.full:
                _measure_more(experiment, number, wanted)
        if DIGITS in wanted:
            for special in (_workers, _open_loop, _probes):
                special(experiment)
        experiment.finish()


def _measure_more(experiment: Experiment, number: int, wanted: Collection[Server]) -> None:
    """What `everything` holds anyway."""
    for server in filter(wanted.__contains__, PLAIN):
        _measure(experiment, number, server, PLAIN[server])
    if DIGITS in wanted and number < GROWTH_ROUNDS:
        _measure(experiment, number, DIGITS, GROWTH)


def _is_wanted(server: Server, only: Sequence[str]) -> bool:
    return not only or any(part in server.name for part in only)


def _about(options: argparse.Namespace) -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "machine": machine(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
        "service": __version__,
        "model": model(),
        "commit": commit.stdout.strip(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "longer": {"seconds": options.seconds * _LONGER, "pictures": _MANY},
        "pictures": options.pictures,
    }


def model() -> dict[str, str]:
    """Name, version and checksum of the network that all servers run."""
    path = released_model()
    record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return {"name": record["name"], "version": record["version"], "sha256": sha256(path.read_bytes()).hexdigest()}


# --- one server after the other ----------------------------------------------------------------------------------


def _limits(experiment: Experiment, number: int) -> None:
    experiment.add("reading", {"round": number} | _in_process(experiment, "28", "--reading"))
    for kind, items in (("28", 1), ("28", 16), ("64", 1), ("64", 64)):
        row = _in_process(experiment, kind, "--items", str(items))
        experiment.add(
            "loads", {"round": number, "server": LIMIT, "kind": kind, "items": items, "work": "robust"} | row
        )


def _in_process(
    experiment: Experiment, kind: str, *arguments: str, work: str = "robust", core: str = SERVER_CORE
) -> Any:
    listing = experiment.bodies("raw", kind).listing
    command = [str(DIGITS.bin / "python"), "-m", "benchmarks.limit", str(listing), *arguments]
    command += ["--seconds", str(experiment.options.seconds)]
    done = subprocess.run(
        ["taskset", "-c", core, *command],
        cwd=ROOT,
        env=_environ() | {"BENCH_WORK": work},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def _measure(experiment: Experiment, number: int, server: Server, loads: Sequence[Load]) -> None:
    for work in dict.fromkeys(load.work for load in loads):
        with running(server, BENCH_WORK=work) as usage:
            for load in (load for load in loads if load.work == work):
                bodies = experiment.bodies(load.body, load.kind, load.items)
                row = {"round": number, "server": server.name} | vars(load) | {"start_seconds": usage.start_seconds}
                row |= _drive(server, load, bodies, usage, load.seconds(experiment.options.seconds))
                experiment.add("loads", row | _check(experiment, number, server, load))


def _check(experiment: Experiment, number: int, server: Server, load: Load) -> dict[str, Any]:
    """Look at the answers to all pictures in the first round, to a quarter of them, each time another, in each later one."""
    bodies = experiment.bodies(load.body, load.kind, load.items)
    which = range(len(bodies.labels))[slice(number % 4, None, 4) if number else slice(None)]
    expected = experiment.expected(load.kind, load.work)
    wrong = count_wrong(_URL + _path(server, load), bodies, expected, which, load.connections)
    return {"checked": len(which) * load.items, "wrong": wrong}


def _drive(
    server: Server, load: Load, bodies: Bodies, usage: Usage, seconds: float, core: str = CLIENT_CORE
) -> dict[str, Any]:
    """Warm up, then measure."""
    path = _path(server, load)
    wrk(server, path, bodies, load.connections, 1, core)
    before, callers_before, started = usage.cpu_seconds(), _cpu_of_children(), time.perf_counter()
    result = wrk(server, path, bodies, load.connections, seconds, core)
    took = time.perf_counter() - started
    return {
        "requests_per_second": result["answered"] / result["seconds"],
        "images_per_second": result["answered"] / result["seconds"] * load.items,
        "failed": result["failed"],
        "p50_ms": result["p50_ms"],
        "p99_ms": result["p99_ms"],
        "server_cpu": (usage.cpu_seconds() - before) / took,
        "client_cpu": (_cpu_of_children() - callers_before) / took,
        "peak_mb": usage.peak_megabytes(),
    }


def _path(server: Server, load: Load) -> str:
    return server.path if load.items == 1 else f"{server.path}/batch"


def wrk(
    server: Server, path: str, bodies: Bodies, connections: int, seconds: float, core: str = CLIENT_CORE
) -> dict[str, Any]:
    """Send the bodies in turn for so many seconds; what wrk says of it.

    `answered` counts requests answered with success; `failed` those answered with another status, or not at all.
    """
    script = Path(__file__).with_name("cycle.lua")
    command = [
        "taskset",
        "-c",
        core,
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        "30s",
        "-s",
        str(script),
        _URL + path,
    ]
    environ = _environ() | {"BENCH_BODIES": str(bodies.listing), "BENCH_TYPE": bodies.content_type}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    result |= {"answered": result["requests"] - result["refused"], "failed": result["refused"] + result["lost"]}
    # On a busy machine the first large batch may take longer than that.
    if result["requests"] or result["failed"]:
        return result
    return wrk(server, path, bodies, connections, 2 * seconds, core)


def _environ() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def _cpu_of_children() -> float:
    """Of those that have ended: wrk has, the server has not."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# --- this service alone ------------------------------------------------------------------------------------------


def _workers(experiment: Experiment) -> None:
    """One worker and two, on both cores, which wrk shares; and the same readings in one process, and in one on each core.

    The latter share nothing but the machine: what two of them do less than twice one is the machine's doing.
    """
    load = Load("raw", connections=32)
    bodies = experiment.bodies(load.body, load.kind)
    for number in range(experiment.options.rounds):
        for workers in (1, 2):
            with running(DIGITS, core=BOTH_CORES, DIGITS_WORKERS=str(workers)) as usage:
                row = _drive(DIGITS, load, bodies, usage, experiment.options.seconds, core=BOTH_CORES)
                row |= _check(experiment, number, DIGITS, load)
                experiment.add("workers", {"round": number, "workers": workers} | row)
        for cores in ((SERVER_CORE,), (SERVER_CORE, CLIENT_CORE)):
            with ThreadPoolExecutor() as pool:
                jobs = [pool.submit(_in_process, experiment, "28", core=core) for core in cores]
                pace = sum(job.result()["images_per_second"] for job in jobs)
            experiment.add("scaling", {"round": number, "processes": len(cores), "images_per_second": pace})


def _open_loop(experiment: Experiment) -> None:
    """Latency at 80 % of capacity, asked by an open loop: even gaps between the requests, and random ones.

    Capacity is what the same generator gets answered as a closed loop over 16 connections: two cores of a virtual machine
    are often two threads of a real one, and the server is slower beside a generator that costs more than `wrk`.
    The fastest peer is asked in the same way, and a server that only uses up time: its latencies are the machine's and
    the generator's doing. Beside them stands for how long the machine keeps busy processes from their cores: no server
    can answer meanwhile.
    """
    bodies, seconds = experiment.bodies("raw", "28"), 3 * experiment.options.seconds
    for number in range(min(3, experiment.options.rounds)):
        alone = pauses([SERVER_CORE, CLIENT_CORE], experiment.options.seconds)[0]
        experiment.add("pauses", {"round": number} | alone)
        for server in (DIGITS, MOSEC, SPIN):
            with running(server):
                wrk(server, server.path, bodies, 16, 1)
                closed = _generate(server, bodies, experiment.options.seconds, "--closed", "16")
                rate = 0.8 * closed["answered_per_second"]
                for gaps, how in (("even", ()), ("random", ("--at-random",))):
                    row = {"round": number, "server": server.name, "rate": rate, "gaps": gaps}
                    openly = _generate(server, bodies, seconds, "--rate", f"{rate:.0f}", *how)
                    experiment.add("open_loop", row | openly)


def _generate(server: Server, bodies: Bodies, seconds: int, *how: str) -> dict[str, Any]:
    """What came of a load of `benchmarks.load`."""
    pictures = bodies.listing.read_text().split()[:500]
    command = [str(DIGITS.bin / "python"), "-m", "benchmarks.load", _URL + server.path, *pictures]
    command += ["--seconds", str(seconds), *how]
    done = subprocess.run(
        ["taskset", "-c", CLIENT_CORE, *command], cwd=ROOT, env=_environ(), capture_output=True, text=True, check=False
    )
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def _probes(experiment: Experiment) -> None:
    """How soon a probe is answered while batches of 256 keep the service busy."""
    bodies = experiment.bodies("JSON", "64", min(256, experiment.options.pictures))
    seconds = 3 * experiment.options.seconds
    with running(DIGITS), ThreadPoolExecutor() as pool:
        load = pool.submit(wrk, DIGITS, "/predict/batch", bodies, 4, seconds)
        time.sleep(0.5)
        latencies = sorted(_probe_until(time.monotonic() + seconds - 1))
    experiment.add(
        "probes",
        {
            "probes": len(latencies),
            "p50_ms": median(latencies),
            "p99_ms": latencies[int(len(latencies) * 0.99)],
            "max_ms": latencies[-1],
            "failed": load.result()["failed"],
        },
    )


def _probe_until(end: float) -> list[float]:
    """Milliseconds from a probe, one every 20 ms, to its answer."""
    latencies = []
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    while time.monotonic() < end:
        started = time.perf_counter()
        connection.request("GET", "/health/live")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        latencies.append((time.perf_counter() - started) * 1000)
        time.sleep(0.02)
    return latencies


if __name__ == "__main__":
    sys.exit(main())
