"""Does it grow? Resident memory over half a million requests of mixed sizes, and the same test on a planted leak.

Memory is sampled twice a second. After a warm-up its slope over the number of requests is fitted by least squares, with
a standard error that allows for samples that hang together (Newey and West, Econometrica 55, 1987, Bartlett weights,
lag of n^(1/2)). The service passes if the 95 % interval of the slope holds zero, or lies below it; the test counts as able
to see something if it finds a leak of 100 bytes a request, planted by the benchmark, outside that interval.

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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from benchmarks.instances import SERVE, Instance, machine, running
from benchmarks.load import Loop, raw_request
from benchmarks.pictures import write_pictures
from tests import pictures

CONNECTIONS = 8
WARM_UP = 0.2
LEAKED_BYTES = 100
# A bytes object of 59 takes 92 bytes, its place in the list 8.
LEAKING = """
import sys
from service import protocol
leaked, inherited = [], protocol.GuardedProtocol.on_headers_complete
def leak(self):
    leaked.append(bytes([len(leaked) % 256]) * 59)
    inherited(self)
protocol.GuardedProtocol.on_headers_complete = leak
from service.cli import main
sys.exit(main(["serve"]))
"""


@dataclass(frozen=True)
class Slope:
    """Bytes a request, and the half-width of its 95 % interval."""

    value: float
    margin: float

    @property
    def grows(self) -> bool:
        return self.value - self.margin > 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=500_000)
    parser.add_argument("--minutes", type=float, default=60, help="at most, for each of the two")
    parser.add_argument("--leak-requests", type=int, default=100_000, help="with the planted leak")
    options = parser.parse_args(arguments)
    sound = _soak(SERVE, options.requests, options.minutes)
    leaking = _soak((sys.executable, "-c", LEAKING), options.leak_requests, options.minutes)
    print(json.dumps({"machine": machine(), "sound": sound, "leak of 100 bytes": leaking}, indent=1))
    return 1 if sound["grows"] or not leaking["grows"] else 0


def _soak(command: Sequence[str], count: int, minutes: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch, running(command=command) as instance:
        url = f"{instance.url}/predict"
        loop = Loop(url, _mixed(url, Path(scratch)), CONNECTIONS)
        samples = uvloop.run(_watch(instance, loop, count, 60 * minutes))
    warm = samples[samples[:, 0] >= WARM_UP * loop.done]
    slope = fit(warm[:, 0], warm[:, 1])
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


def fit(requests: np.ndarray, resident: np.ndarray) -> Slope:
    """Slope of `resident` over `requests` with a margin that holds for samples that hang together."""
    design = np.column_stack([np.ones_like(requests), requests - requests.mean()])
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ resident
    scores = design * (resident - design @ coefficients)[:, None]
    spread = scores.T @ scores
    lags = int(math.sqrt(len(scores)))
    for lag in range(1, lags + 1):
        product = scores[lag:].T @ scores[:-lag]
        spread += (1 - lag / (lags + 1)) * (product + product.T)
    error = math.sqrt((inverse @ spread @ inverse)[1, 1])
    return Slope(float(coefficients[1]), 1.96 * error)


def _mixed(url: str, scratch: Path) -> list[bytes]:
    """Requests as they come: most small, some large, some in batches, some that cannot be read."""
    drawn = random.Random(0)
    bodies = [path.read_bytes() for path in write_pictures(scratch / "28", "28", 120)]
    bodies += [path.read_bytes() for path in write_pictures(scratch / "64", "64", 60)]
    bodies += [path.read_bytes() for path in write_pictures(scratch / "300", "300", 12)]
    bodies += [pictures.encode(pictures.draw(digit, 1000), "JPEG", quality=85) for digit in (2, 7)]
    bodies += [bodies[0][:60], b"no picture", bodies[150][:-20]]
    requests = [raw_request(url, body) for body in bodies]
    for size in (4, 32):
        items = [{"image": base64.b64encode(body).decode()} for body in drawn.sample(bodies[:180], size)]
        batch = json.dumps({"images": items}).encode()
        requests.append(raw_request(f"{url}/batch", batch, "application/json"))
    drawn.shuffle(requests)
    return requests


if __name__ == "__main__":
    sys.exit(main())
