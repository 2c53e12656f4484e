"""An event loop that lets in everybody who waits at the door, not one caller in each of its turns.

libuv has accepted a single connection in a turn since its version 1.45, and a turn takes as long as all the readings
that became possible in it. New callers of a busy service would wait for seconds in the kernel's queue: neither answered
nor refused, health probes among them.

Of several workers at one door none may let in everybody, or one has all the callers and the others none: each takes a
few and leaves the rest to whoever is idle, for a moment; who is still there then comes in, twice as many each time.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

import uvloop

from service.logs import LOGGER

# More wait in the kernel's queue only if as many came within one turn.
_MAX_ACCEPTED = 1024
_PAUSE_SECONDS = 1.0
# Time enough for an idle worker to wake up.
_SHARE_SECONDS = 0.002

Factory = Callable[[], asyncio.BaseProtocol]


class EagerLoop(uvloop.Loop):
    """uvloop's, with servers that accept all who wait."""

    sharing = False

    async def create_server(self, protocol_factory: Factory, *args: Any, **options: Any) -> Any:
        server = await super().create_server(protocol_factory, *args, **options)
        return _EagerServer(self, server, protocol_factory)


class SharingLoop(EagerLoop):
    """The same for one of several workers that accept at one door."""

    sharing = True


class _EagerServer:
    """A server and a second door for each of its sockets, through which those come whom uvloop leaves waiting."""

    def __init__(self, loop: EagerLoop, server: Any, protocol_factory: Factory) -> None:
        self._loop, self._server, self._factory = loop, server, protocol_factory
        self._arriving: set[asyncio.Task[Any]] = set()
        self._at_once = 1 if loop.sharing else _MAX_ACCEPTED
        # The loop watches a descriptor once; a duplicate is the same socket under another number.
        self._doors = [socket.socket(fileno=os.dup(listening.fileno())) for listening in server.sockets]
        for door in self._doors:
            door.setblocking(False)
            self._watch(door)

    @property
    def sockets(self) -> Any:
        return self._server.sockets

    def close(self) -> None:
        for door in self._doors:
            self._loop.remove_reader(door)
            door.close()
        self._doors = []
        self._server.close()

    async def wait_closed(self) -> None:
        await self._server.wait_closed()

    def _watch(self, door: socket.socket) -> None:
        if door in self._doors:
            self._loop.add_reader(door, self._accept, door)

    def _accept(self, door: socket.socket) -> None:
        for _ in range(self._at_once):
            try:
                connection, _ = door.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                self._at_once = 1 if self._loop.sharing else _MAX_ACCEPTED
                return
            except OSError as error:
                # Out of descriptors, most likely. Asking again at once would take all the time there is.
                LOGGER.warning("accepting connections pauses", extra={"error": error.strerror})
                self._look_away(door, _PAUSE_SECONDS)
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._loop.connect_accepted_socket(self._factory, connection))
            self._arriving.add(task)
            task.add_done_callback(self._arrived)
        if self._loop.sharing:
            self._at_once = min(2 * self._at_once, _MAX_ACCEPTED)
            self._look_away(door, _SHARE_SECONDS)

    def _look_away(self, door: socket.socket, seconds: float) -> None:
        self._loop.remove_reader(door)
        self._loop.call_later(seconds, self._watch, door)

    def _arrived(self, task: "asyncio.Task[Any]") -> None:
        self._arriving.discard(task)
        if not task.cancelled() and (error := task.exception()):
            # Whoever left before it was let in.
            LOGGER.debug("a connection ended before it began", extra={"error": repr(error)})
