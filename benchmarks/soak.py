"""Does it grow? Memory and latency over half a million requests of mixed sizes, and the same tests on planted growth.

Memory is sampled twice a second. After a warm-up its slope over the number of requests is fitted by least squares, with
a standard error that allows for samples that hang together (Newey and West, Econometrica 55, 1987, Bartlett weights,
lag of n^(1/2)). The service passes if the 95 % interval of the slope holds zero, or lies below it; the test counts as able
to see something if it finds a leak of 100 bytes a request, planted by the benchmark, outside that interval.

Latency is that of the single 28x28 pictures among the mixed requests. Those after the warm-up are cut into a hundred blocks of
equal number, in the order in which they were asked; the slope of the blocks' medians over the run is fitted in the same way,
and told as a share of the first tenth's median. Latency grows if the 95 % interval of that share lies above `LATENCY_NOISE`,
by which a machine's pace may drift in minutes. The planted leak is also walked through, ever longer, and must be found.

    python -m benchmarks.soak
    python -m benchmarks.soak --requests 50000 --leak-requests 30000
"""

import argparse
import asyncio
import base64
import json
import math
import random
import sys
import tempfile
from array import array
from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from benchmarks.instances import SERVE, Instance, machine, running
from benchmarks.load import Connection, Loop, raw_request
from benchmarks.pictures import write_pictures
from tests import pictures

CONNECTIONS = 8
WARM_UP = 0.2
BLOCKS = 100
LATENCY_NOISE = 0.05
# A bytes object of 59 takes 92 bytes, its place in the list 8; to walk through an eighth of 100,000 takes tenths of a ms.
LEAKING = """
import itertools, sys
from service import protocol
leaked, inherited = [], protocol.GuardedProtocol.on_headers_complete
def leak(self):
    leaked.append(bytes([len(leaked) % 256]) * 59)
    sum(map(len, itertools.islice(leaked, len(leaked) // 8)))
    inherited(self)
protocol.GuardedProtocol.on_headers_complete = leak
from service.cli import main
sys.exit(main(["serve"]))
"""


@dataclass(frozen=True)
class Slope:
    """Growth a request, and the half-width of its 95 % interval."""

    value: float
    margin: float

    @property
    def grows(self) -> bool:
        return self.value - self.margin > 0


@dataclass(frozen=True)
class Latency:
    """p50 and p99 in ms of the first and the last tenth, and the growth over the run as a share, with its 95 % margin."""

    p50_ms: tuple[float, float]
    p99_ms: tuple[float, float]
    growth: float
    margin: float

    @property
    def grows(self) -> bool:
        return self.growth - self.margin > LATENCY_NOISE


class TimedLoop(Loop):
    """Notes the latencies of some of the requests, in seconds, in the order of their answers."""

    def __init__(self, url: str, requests: Sequence[bytes], timed: Container[bytes], connections: int) -> None:
        super().__init__(url, requests, connections)
        self._is_timed = [request in timed for request in requests]
        self._asked: dict[Connection, bool] = {}
        self.latencies = array("d")
        self.answers_before = array("l")

    def answered(self, connection: Connection, status: int, latency: float, head: bytes) -> None:
        if self._asked[connection]:
            self.latencies.append(latency)
            self.answers_before.append(self.done)
        super().answered(connection, status, latency, head)

    def lost(self, connection: Connection, *, busy: bool, error: Exception | None) -> None:
        self._asked.pop(connection, None)
        super().lost(connection, busy=busy, error=error)

    def _send(self, connection: Connection) -> None:
        self._asked[connection] = self._is_timed[(self.result.sent + 1) % len(self._is_timed)]
        super()._send(connection)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=500_000)
    parser.add_argument("--minutes", type=float, default=60, help="at most, for each of the two")
    parser.add_argument("--leak-requests", type=int, default=100_000, help="with the planted leak")
    options = parser.parse_args(arguments)
    sound = _soak(SERVE, options.requests, options.minutes)
    leaking = _soak((sys.executable, "-c", LEAKING), options.leak_requests, options.minutes)
    print(json.dumps({"machine": machine(), "sound": sound, "leak of 100 bytes, walked": leaking}, indent=1))
    is_sound = not (sound["grows"] or sound["latency"]["grows"])
    return 0 if is_sound and leaking["grows"] and leaking["latency"]["grows"] else 1


def _soak(command: Sequence[str], count: int, minutes: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch, running(command=command) as instance:
        url = f"{instance.url}/predict"
        requests, small = _mixed(url, Path(scratch))
        loop = TimedLoop(url, requests, small, CONNECTIONS)
        samples = uvloop.run(_watch(instance, loop, count, 60 * minutes))
    warm = samples[samples[:, 0] >= WARM_UP * loop.done]
    slope = fit(warm[:, 0], warm[:, 1])
    latency = summarize(np.array(loop.latencies)[np.array(loop.answers_before) >= WARM_UP * loop.done])
    return {
        "requests": loop.done,
        "statuses": {str(status): len(times) for status, times in sorted(loop.result.latencies.items())},
        "failures": loop.result.failures.total(),
        "seconds": round(loop.result.seconds),
        "samples": len(warm),
        "megabytes": [round(float(warm[at, 1]) / 1e6, 2) for at in (0, len(warm) // 2, -1)],
        "bytes_a_request": round(slope.value, 2),
        "margin_95": round(slope.margin, 2),
        "grows": slope.grows,
        "latency": asdict(latency) | {"grows": latency.grows},
    }


async def _watch(instance: Instance, loop: Loop, count: int, seconds: float) -> np.ndarray:
    """Requests answered and resident bytes, `[samples, 2]`, twice a second."""
    samples = []
    load = asyncio.ensure_future(loop.run(seconds, count))
    while not load.done():
        samples.append((loop.done, instance.resident_bytes()))
        await asyncio.sleep(0.5)
    await load
    return np.array(samples, np.float64)


def summarize(latencies: np.ndarray) -> Latency:
    """Latency at the start and at the end of a run, `[requests]` in seconds, and its growth from one to the other."""
    tenths = np.array_split(latencies * 1000, 10)
    medians = np.array([np.median(block) for block in np.array_split(latencies * 1000, BLOCKS)])
    slope = fit(np.linspace(0, 1, BLOCKS), medians)
    first, last = (np.percentile(tenth, [50, 99]).round(3).tolist() for tenth in (tenths[0], tenths[-1]))
    early = float(np.median(tenths[0]))
    return Latency(
        (first[0], last[0]), (first[1], last[1]), round(slope.value / early, 4), round(slope.margin / early, 4)
    )


def fit(requests: np.ndarray, values: np.ndarray) -> Slope:
    """Slope of `values` over `requests` with a margin that holds for samples that hang together."""
    design = np.column_stack([np.ones_like(requests), requests - requests.mean()])
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ values
    scores = design * (values - design @ coefficients)[:, None]
    spread = scores.T @ scores
    lags = int(math.sqrt(len(scores)))
    for lag in range(1, lags + 1):
        product = scores[lag:].T @ scores[:-lag]
        spread += (1 - lag / (lags + 1)) * (product + product.T)
    error = math.sqrt((inverse @ spread @ inverse)[1, 1])
    return Slope(float(coefficients[1]), 1.96 * error)


def _mixed(url: str, scratch: Path) -> tuple[list[bytes], set[bytes]]:
    """Requests as they come: most small, some large, some in batches, some that cannot be read; and those with one of 28x28."""
    drawn = random.Random(0)
    bodies = [path.read_bytes() for path in write_pictures(scratch / "28", "28", 120)]
    bodies += [path.read_bytes() for path in write_pictures(scratch / "64", "64", 60)]
    bodies += [path.read_bytes() for path in write_pictures(scratch / "300", "300", 12)]
    bodies += [pictures.encode(pictures.draw(digit, 1000), "JPEG", quality=85) for digit in (2, 7)]
    bodies += [bodies[0][:60], b"no picture", bodies[150][:-20]]
    requests = [raw_request(url, body) for body in bodies]
    small = set(requests[:120])
    for size in (4, 32):
        items = [{"image": base64.b64encode(body).decode()} for body in drawn.sample(bodies[:180], size)]
        batch = json.dumps({"images": items}).encode()
        requests.append(raw_request(f"{url}/batch", batch, "application/json"))
    drawn.shuffle(requests)
    return requests, small


if __name__ == "__main__":
    sys.exit(main())
