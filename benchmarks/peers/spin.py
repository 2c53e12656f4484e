"""A server that has nothing to do but to use up its core for a while: how even latencies can be on a machine.

Each request takes the same number of steps, without a picture, a network, a thread or a log. What is uneven in its
latencies is the machine's and the generator's doing. It joins nothing, so that a server that reads waiting requests
together may work off sooner what has piled up.
"""

import argparse
import asyncio
import gc
import sys
import time
from collections.abc import Sequence
from typing import cast

import uvloop

# About what a reading takes; measured once, when the server starts, and never looked at again.
WORK_SECONDS = 180e-6
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class Spinner(asyncio.Protocol):
    """One HTTP/1.1 connection, with a request at a time."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) >= end + 4 + length:
            self._buffer.clear()
            work(self._steps)
            self._transport.write(_ANSWER)


def work(steps: int) -> int:
    total = 0
    for step in range(steps):
        total += step * step
    return total


def steps_in(seconds: float) -> int:
    """How many steps take so many seconds of the core's time now, whoever else runs on it."""
    used = time.thread_time()
    for _ in range(300):
        work(1000)
    return max(1, round(300_000 * seconds / (time.thread_time() - used)))


async def serve(host: str, port: int) -> None:
    steps = steps_in(WORK_SECONDS)
    gc.freeze()
    server = await asyncio.get_running_loop().create_server(lambda: Spinner(steps), host, port, backlog=2048)
    await server.serve_forever()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.spin", description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8400)
    options = parser.parse_args(arguments)
    uvloop.run(serve(options.host, options.port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
