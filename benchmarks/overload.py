"""Three times as much as the service can do: what it takes in it answers in time, the rest gets 429 at once.

Capacity is what a closed loop gets answered over as many connections as admission lets in: the core is full, nothing
is refused. Then an open loop sends three times as much, whether or not it is answered; then the closed loop again, to
see how soon full speed is back. The service has one core, the callers have the other, and what they leave of it is spun
away: two cores of a virtual machine are often two threads of a real one, and each is slower while the other is busy.

    python -m benchmarks.overload
    python -m benchmarks.overload --seconds 10 --kind 300
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from benchmarks.instances import CALLER_CORE, Instance, busy, machine, running
from benchmarks.load import Generator, Loop, Result, raw_request
from benchmarks.pictures import KINDS, write_pictures

IN_FLIGHT = 128
FACTOR = 3
CAPACITY_SECONDS = 10.0
# Full speed in half a second: as near to capacity as two measurements of it are to each other.
FULL = 0.95


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overload", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="of the overload")
    parser.add_argument("--kind", choices=KINDS, default="64", help="sides of the pictures")
    parser.add_argument("--pictures", type=int, default=500, help="distinct pictures")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch, running() as instance, busy(CALLER_CORE):
        paths = write_pictures(Path(scratch), options.kind, options.pictures)
        url = f"{instance.url}/predict"
        requests = [raw_request(url, path.read_bytes()) for path in paths]
        figures = uvloop.run(_experiment(instance, url, requests, options.seconds))
    print(json.dumps({"machine": machine(), "kind": options.kind} | figures, indent=1))
    return 0 if all(figures["kept"].values()) else 1


async def _experiment(instance: Instance, url: str, requests: Sequence[bytes], seconds: float) -> dict:
    await _closed(url, requests, 3)
    started = instance.cpu_seconds()
    before = await _closed(url, requests, CAPACITY_SECONDS)
    cost = (instance.cpu_seconds() - started) / before.answered
    capacity = before.per_second
    at_capacity = await Generator(url, requests).run(capacity, CAPACITY_SECONDS)
    started = instance.cpu_seconds()
    overload = await Generator(url, requests).run(FACTOR * capacity, seconds)
    spent = instance.cpu_seconds() - started
    after, counts = await _watched(url, requests, CAPACITY_SECONDS)
    # In the service's own time on the processor, which others on the machine do not distort.
    by_cpu = {
        "readings_by_cpu_second": round(1 / cost),
        "of_capacity_by_cpu_second": round(overload.answered * cost / spent, 3),
    }
    return by_cpu | _judge(before, at_capacity, overload, after, counts)


async def _closed(url: str, requests: Sequence[bytes], seconds: float) -> Result:
    return await Loop(url, requests, IN_FLIGHT).run(seconds)


async def _watched(url: str, requests: Sequence[bytes], seconds: float) -> tuple[Result, list[tuple[float, int]]]:
    """A closed loop, and how many answers had come at which of its seconds."""
    started = time.perf_counter()
    loop = Loop(url, requests, IN_FLIGHT)
    running = asyncio.create_task(loop.run(seconds))
    counts = [(0.0, 0)]
    while not running.done():
        await asyncio.sleep(0.1)
        counts.append((time.perf_counter() - started, loop.done))
    return await running, counts


def _full_speed_after(counts: Sequence[tuple[float, int]], speed: float) -> float | None:
    """The end of the first half second in which so many answers a second came."""
    for start, (since, before) in enumerate(counts):
        for until, done in counts[start:]:
            if until - since >= 0.5:
                if (done - before) / (until - since) >= speed:
                    return until
                break
    return None


def _judge(
    before: Result, at_capacity: Result, overload: Result, after: Result, counts: Sequence[tuple[float, int]]
) -> dict:
    """The figures, and which of the promises they keep."""
    # A machine that others use drifts; the overload lay between the two.
    capacity = (before.per_second + after.per_second) / 2
    back = _full_speed_after(counts, FULL * capacity)
    refused = len(overload.latencies.get(429, []))
    share = overload.per_second / capacity
    p99 = before.percentile_ms(99)
    return {
        "capacity_per_second": [round(before.per_second), round(after.per_second)],
        "p99_ms_at_capacity_closed_loop": round(p99, 1),
        "p99_ms_at_capacity_open_loop": round(at_capacity.percentile_ms(99), 1),
        "refused_at_capacity_open_loop": len(at_capacity.latencies.get(429, [])),
        "sent": overload.sent,
        "sent_per_second": round(overload.sent / overload.seconds),
        "times_capacity": round(overload.sent / overload.seconds / capacity, 2),
        "statuses": {str(status): len(times) for status, times in sorted(overload.latencies.items())},
        "failures": dict(overload.failures),
        "accepted_of_capacity": round(share, 3),
        "accepted_p50_ms": round(overload.percentile_ms(50), 1),
        "accepted_p99_ms": round(overload.percentile_ms(99), 1),
        "full_speed_after_seconds": back and round(back, 2),
        "kept": {
            "three times as much was sent": overload.sent / overload.seconds >= 0.95 * FACTOR * before.per_second,
            "accepted at least 0.9 of capacity": share >= 0.9,
            "p99 of the accepted at most twice that at capacity": overload.percentile_ms(99) <= 2 * p99,
            "every refusal is a 429 with Retry-After": overload.retry_after == refused,
            "only 200 and 429": set(overload.latencies) <= {200, 429},
            "no connection failed": not overload.failures.total(),
            "full speed within 2 s": back is not None and back <= 2,
        },
    }


if __name__ == "__main__":
    sys.exit(main())
