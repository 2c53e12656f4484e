"""Connections that mean harm, and whether other callers notice: slow, broken off, half closed, pipelined.

Others ask at a steady rate, first in peace, then during each attack. Their p99 may double; afterwards the service
must have no more descriptors open than before. The service has one core, callers and attackers have the other.

    python -m benchmarks.attacks
    python -m benchmarks.attacks --rate 100 --only slow-bodies
"""

import argparse
import asyncio
import json
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import uvloop

from benchmarks.instances import Instance, machine, running
from benchmarks.load import Generator, Result, raw_request
from tests import pictures

SLOW_CONNECTIONS, SLOW_SECONDS = 500, 30.0
DISCONNECTS, DISCONNECTS_PER_SECOND = 5000, 200
HALF_CLOSED = 500
PIPELINED, PIPELINE = 100, 10
PEACE_SECONDS = 20.0
SEVEN = pictures.png(7)
# A slow head is cut off after ten seconds; what is left after three times that is a leak.
CLOSED_WITHIN_SECONDS = 30

Attack = Callable[[str, int], Awaitable[Counter[str]]]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attacks", description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=200, help="requests a second of the others")
    parser.add_argument("--only", choices=ATTACKS, help="one attack")
    options = parser.parse_args(arguments)
    with running() as instance:
        rows = uvloop.run(_all(instance, options.rate, [options.only] if options.only else list(ATTACKS)))
    print(json.dumps({"machine": machine(), "rate": options.rate, "attacks": rows}, indent=1))
    return 0 if all(row["kept"] for row in rows) else 1


async def _all(instance: Instance, rate: float, names: Sequence[str]) -> list[dict[str, Any]]:
    url = f"{instance.url}/predict"
    requests = [raw_request(url, pictures.png(digit)) for digit in range(10)]
    await Generator(url, requests).run(rate, 5)
    rows = []
    for name in names:
        peace = await Generator(url, requests).run(rate, PEACE_SECONDS)
        await asyncio.sleep(2)
        before = instance.descriptors()
        others = Generator(url, requests)
        load = asyncio.ensure_future(others.run(rate, 1e6))
        await asyncio.sleep(1)
        seen = await ATTACKS[name](*_address(url))
        others.stop()
        rows.append(_row(name, peace, await load, seen, before, await _settled(instance, before)))
    return rows


async def _settled(instance: Instance, before: int) -> int:
    """Descriptors once the attack's are closed, or time is up."""
    until = time.monotonic() + CLOSED_WITHIN_SECONDS
    while instance.descriptors() > before and time.monotonic() < until:
        await asyncio.sleep(0.2)
    return instance.descriptors()


def _row(name: str, peace: Result, attacked: Result, seen: Counter[str], before: int, after: int) -> dict[str, Any]:
    lost = attacked.sent - attacked.answered
    return {
        "attack": name,
        "seen": dict(seen),
        "others": attacked.sent,
        "lost": lost,
        "statuses": {str(status): len(times) for status, times in sorted(attacked.latencies.items())},
        "p99_ms_in_peace": round(peace.percentile_ms(99), 2),
        "p99_ms": round(attacked.percentile_ms(99), 2),
        "descriptors": [before, after],
        "kept": not lost and attacked.percentile_ms(99) <= 2 * peace.percentile_ms(99) and after <= before,
    }


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 80


# --- attacks: each returns what it saw ---------------------------------------------------------------------------


async def slow_heads(host: str, port: int) -> Counter[str]:
    return await _slowly(host, port, b"POST /predict HTTP/1.1\r\nHost: x\r\nX-Long: ")


async def slow_bodies(host: str, port: int) -> Counter[str]:
    return await _slowly(host, port, _head(len(SEVEN)))


async def _slowly(host: str, port: int, opening: bytes) -> Counter[str]:
    """So many connections that each send a byte a second; one that is cut off is replaced after a second."""
    seen: Counter[str] = Counter()
    until = time.monotonic() + SLOW_SECONDS

    async def drip(index: int) -> None:
        # In step, all their bytes would come at one moment of each second.
        await asyncio.sleep(index / SLOW_CONNECTIONS)
        while time.monotonic() < until:
            seen["connections"] += 1
            with suppress(OSError):
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(opening)
                while time.monotonic() < until:
                    with suppress(TimeoutError):
                        answer = await asyncio.wait_for(reader.read(4096), 1)
                        seen[_status(answer)] += 1
                        break
                    writer.write(b"a")
                writer.close()
            await asyncio.sleep(1)

    await asyncio.gather(*(drip(index) for index in range(SLOW_CONNECTIONS)))
    return seen


async def disconnects(host: str, port: int) -> Counter[str]:
    """Leave in the middle of a body, half of them with a reset."""
    seen: Counter[str] = Counter()
    started = time.monotonic()
    for index in range(DISCONNECTS):
        await asyncio.sleep(max(0.0, started + index / DISCONNECTS_PER_SECOND - time.monotonic()))
        _, writer = await asyncio.open_connection(host, port)
        writer.write(_head(len(SEVEN)) + SEVEN[: len(SEVEN) // 2])
        if index % 2:
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await asyncio.sleep(0)
        writer.close()
        seen["left with a reset" if index % 2 else "left"] += 1
    return seen


async def half_closed(host: str, port: int) -> Counter[str]:
    """Say that nothing more will come, and still want the answer; as nginx, the service takes that for leaving."""
    seen: Counter[str] = Counter()
    for _ in range(HALF_CLOSED):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(_head(len(SEVEN)) + SEVEN)
        writer.write_eof()
        seen[_status(await reader.read())] += 1
        writer.close()
        await asyncio.sleep(0.02)
    return seen


async def pipelined(host: str, port: int) -> Counter[str]:
    """Ask ten times without waiting for an answer."""
    seen: Counter[str] = Counter()
    for _ in range(PIPELINED):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write((_head(len(SEVEN)) + SEVEN) * PIPELINE)
        for _ in range(PIPELINE):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            seen[_status(head)] += 1
        writer.close()
        await asyncio.sleep(0.1)
    return seen


ATTACKS: dict[str, Attack] = {
    "slow-heads": slow_heads,
    "slow-bodies": slow_bodies,
    "disconnects": disconnects,
    "half-closed": half_closed,
    "pipelined": pipelined,
}


def _head(length: int) -> bytes:
    return b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % length


def _status(answer: bytes) -> str:
    return answer[9:12].decode() if answer else "closed without an answer"


if __name__ == "__main__":
    sys.exit(main())
