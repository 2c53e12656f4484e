"""An open-loop load generator: requests are sent when they are due, whether or not earlier ones were answered.

A closed loop (wrk) waits for answers, so a server that stalls is asked less and its queue stays hidden. Here latency
counts from the moment a request was due.

    python -m benchmarks.load http://127.0.0.1:8000/predict --rate 500 --seconds 10 PICTURE...
    python -m benchmarks.load http://127.0.0.1:8000/predict --closed 16 --seconds 10 PICTURE...
"""

import argparse
import asyncio
import gc
import json
import math
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import numpy as np
import uvloop

_TIMER_SECONDS = 0.002


@dataclass
class Result:
    """What came of a run: latencies in seconds by status, and what went wrong without an answer."""

    latencies: dict[int, list[float]] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    seconds: float = 0.0
    retry_after: int = 0

    @property
    def answered(self) -> int:
        return len(self.latencies.get(200, []))

    @property
    def per_second(self) -> float:
        """Requests answered with 200 a second."""
        return self.answered / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """Of those answered with 200."""
        return float(np.percentile(self.latencies.get(200, [0.0]), percent)) * 1000

    def lost(self) -> int:
        """Requests that got no answer at all, or one that blames the service."""
        return self.failures.total() + sum(len(times) for status, times in self.latencies.items() if status >= 500)

    def summary(self) -> dict[str, Any]:
        answered = np.array(self.latencies.get(200, [0.0])) * 1000
        p50, p90, p99 = np.percentile(answered, [50, 90, 99])
        return {
            "sent": self.sent,
            "sent_per_second": round(self.sent / self.seconds, 1),
            "answered_per_second": round(len(self.latencies.get(200, [])) / self.seconds, 1),
            "statuses": {str(status): len(values) for status, values in sorted(self.latencies.items())},
            "with_retry_after": self.retry_after,
            "failures": dict(self.failures),
            "p50_ms": round(float(p50), 2),
            "p90_ms": round(float(p90), 2),
            "p99_ms": round(float(p99), 2),
            "max_ms": round(float(answered.max()), 2),
        }


class Caller(Protocol):
    """Who is told what came of a request."""

    def answered(self, connection: "Connection", status: int, latency: float, head: bytes) -> None: ...

    def lost(self, connection: "Connection", *, busy: bool, error: Exception | None) -> None: ...


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection with at most one request on it."""

    def __init__(self, generator: Caller) -> None:
        self.port = 0
        self._generator = generator
        self._buffer = bytearray()
        self._due = 0.0
        self.busy = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def send(self, request: bytes, due: float) -> None:
        assert self.transport is not None
        self._due, self.busy = due, True
        self._buffer.clear()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        self.busy = False
        self._generator.answered(self, int(head[9:12]), time.perf_counter() - self._due, head)

    def connection_lost(self, exc: Exception | None) -> None:
        self._generator.lost(self, busy=self.busy, error=exc)


class Generator:
    """Sends `rate` requests a second over as many connections as it takes."""

    def __init__(
        self, url: str, requests: Sequence[bytes], max_connections: int = 2000, *, at_random: bool = False
    ) -> None:
        """`at_random`: with gaps as between callers who know nothing of each other, instead of even ones."""
        parts = urlsplit(url)
        self._gaps = np.random.default_rng(0).exponential(size=100_000) if at_random else np.ones(1)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._requests = requests
        self._idle: deque[Connection] = deque()
        self._open = 0
        self._max = max_connections
        self._pending = 0
        self._stop = False
        self.result = Result()

    def stop(self) -> None:
        """Send no more."""
        self._stop = True

    async def run(self, rate: float, seconds: float, *, patience: float = 10.0) -> Result:
        due = started = time.perf_counter()
        total = int(rate * seconds)
        while self.result.sent < total and not self._stop:
            due += float(self._gaps[self.result.sent % len(self._gaps)]) / rate
            await _until(due)
            await self._send(self._requests[self.result.sent % len(self._requests)], due)
            if self.result.sent % 64 == 0:
                await asyncio.sleep(0)
        self.result.seconds = time.perf_counter() - started
        until = time.perf_counter() + patience
        while self._pending and time.perf_counter() < until:
            await asyncio.sleep(0.01)
        self.result.failures["no answer"] += self._pending
        for connection in [*self._idle]:
            if connection.transport is not None:
                connection.transport.close()
        return self.result

    def answered(self, connection: Connection, status: int, latency: float, head: bytes) -> None:
        self._pending -= 1
        self.result.latencies.setdefault(status, []).append(latency)
        self.result.retry_after += b"\r\nretry-after:" in head
        if b"\r\nconnection: close" not in head:
            self._idle.append(connection)

    def lost(self, connection: Connection, *, busy: bool, error: Exception | None) -> None:
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        if busy:
            self._pending -= 1
            self.result.failures[type(error).__name__ if error else "closed before the answer"] += 1

    async def _send(self, request: bytes, due: float) -> None:
        self.result.sent += 1
        if self._idle:
            connection = self._idle.popleft()
        elif self._open < self._max:
            self._open += 1
            try:
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self), self._host, self._port
                )
            except OSError as exc:
                self._open -= 1
                self.result.failures[type(exc).__name__] += 1
                return
        else:
            self.result.failures["no connection left"] += 1
            return
        self._pending += 1
        connection.send(request, due)


async def _until(due: float) -> None:
    """Wait; the loop's timers are precise to a millisecond only, so what is left after them is waited for awake."""
    wait = due - time.perf_counter()
    if wait > _TIMER_SECONDS:
        await asyncio.sleep(wait - _TIMER_SECONDS)
    while time.perf_counter() < due:
        await asyncio.sleep(0)


class Loop:
    """A closed loop: each of so many callers asks again once it has its answer, or has lost it."""

    def __init__(self, url: str, requests: Sequence[bytes], connections: int) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._requests, self._connections = requests, connections
        self._stop = False
        self._open: set[Connection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self.result = Result()
        self.lost_ports: list[int] = []
        self.done = 0

    async def run(self, seconds: float = math.inf, requests: float = math.inf) -> Result:
        """Ask for so long, or so often, or until `stop`."""
        started = time.perf_counter()
        for _ in range(self._connections):
            await self._connect()
        while not self._stop and time.perf_counter() - started < seconds and self.done < requests:
            await asyncio.sleep(0.02)
        self.result.seconds = time.perf_counter() - started
        self.stop()
        until = time.perf_counter() + 10
        while any(connection.busy for connection in self._open) and time.perf_counter() < until:
            await asyncio.sleep(0.02)
        self.result.failures["no answer"] += sum(connection.busy for connection in self._open)
        for connection in list(self._open):
            connection.busy = False
            if connection.transport is not None:
                connection.transport.close()
        return self.result

    def stop(self) -> None:
        self._stop = True

    def answered(self, connection: Connection, status: int, latency: float, head: bytes) -> None:
        self.done += 1
        self.result.latencies.setdefault(status, []).append(latency)
        self.result.retry_after += b"\r\nretry-after:" in head
        if b"\r\nconnection: close" in head:
            self._open.discard(connection)
            self._reconnect()
        elif not self._stop:
            self._send(connection)

    def lost(self, connection: Connection, *, busy: bool, error: Exception | None) -> None:
        known = connection in self._open
        self._open.discard(connection)
        if busy:
            self.lost_ports.append(connection.port)
            self.result.failures[type(error).__name__ if error else "closed before the answer"] += 1
        if known:
            self._reconnect()

    def _reconnect(self) -> None:
        if not self._stop:
            task = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self) -> None:
        while not self._stop:
            try:
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self), self._host, self._port
                )
            except OSError as error:
                self.result.failures[type(error).__name__] += 1
                await asyncio.sleep(0.1)
            else:
                self._open.add(connection)
                self._send(connection)
                return

    def _send(self, connection: Connection) -> None:
        self.result.sent += 1
        connection.send(self._requests[self.result.sent % len(self._requests)], time.perf_counter())


def raw_request(url: str, body: bytes, content_type: str = "image/png") -> bytes:
    """A whole POST request."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = (
        f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}"
    )
    return head.encode() + b"\r\n\r\n" + body


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("pictures", nargs="+", type=Path, help="bodies, sent in turn")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--rate", type=float, help="requests a second")
    how.add_argument(
        "--closed", type=int, metavar="CALLERS", help="a closed loop instead: so many ask again when answered"
    )
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=2000, help="at most so many")
    parser.add_argument("--at-random", action="store_true", help="random gaps (Poisson) instead of even ones")
    options = parser.parse_args(arguments)
    requests = [raw_request(options.url, path.read_bytes()) for path in options.pictures]
    # What holds the generator up counts as the server's latency: no garbage is collected, and the faster loop sends.
    gc.disable()
    if options.closed:
        result = uvloop.run(Loop(options.url, requests, options.closed).run(options.seconds))
    else:
        generator = Generator(options.url, requests, options.connections, at_random=options.at_random)
        result = uvloop.run(generator.run(options.rate, options.seconds))
    print(json.dumps(result.summary(), indent=1))
    return 1 if result.failures.total() else 0


if __name__ == "__main__":
    sys.exit(main())
