"""Work that somebody waits for: in a worker thread, one at a time where that is faster, and not for ever."""

import asyncio
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from time import perf_counter
from types import TracebackType
from typing import TypeVar

import anyio
from fastapi import Request
from starlette.requests import ClientDisconnect

from service import uploads
from service.errors import DeadlineExceeded, InvalidRequest
from service.parallel import taking_turns
from service.reader import Source, Timings, is_heavy
from service.state import State

T = TypeVar("T")


class Deadline:
    """A block that must end within the configured time, or the caller's `X-Request-Timeout-Ms` if that is less.

    Raises:
        InvalidRequest: the caller's value is no positive integer.
        DeadlineExceeded: the time is over.
    """

    def __init__(self, request: Request, state: State) -> None:
        self._ms = state.settings.max_timeout_ms
        asked = uploads.header(request, b"x-request-timeout-ms")
        if asked is not None:
            if not (asked.isascii() and asked.isdigit() and int(asked[:9])):
                raise InvalidRequest(
                    f"the header X-Request-Timeout-Ms is {asked[:20]!r}; it must be a positive integer"
                )
            self._ms = min(self._ms, int(asked[:9]))
        self._expired = False

    # What asyncio.timeout does, without its states: that takes as long as 5 % of a reading.
    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._timer = asyncio.get_running_loop().call_later(self._ms / 1000, self._expire)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise DeadlineExceeded(f"the request took longer than {self._ms} ms") from error

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()


async def in_thread(request: Request, state: State, work: Callable[[threading.Event], T], timings: Timings) -> T:
    """Run CPU work in a worker thread; told to stop when the client leaves or the deadline passes."""
    waiting = perf_counter()
    abandoned = threading.Event()

    def begin() -> T:
        timings.queue = perf_counter() - waiting
        if abandoned.is_set():
            raise ClientDisconnect
        return work(abandoned)

    job = asyncio.ensure_future(anyio.to_thread.run_sync(begin, limiter=state.limiter, abandon_on_cancel=True))
    left = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((job, left), return_when=asyncio.FIRST_COMPLETED)
        if not job.done():
            raise ClientDisconnect
        return job.result()
    finally:
        abandoned.set()
        job.cancel()
        left.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def in_turn(
    state: State, abandoned: threading.Event, sources: Iterable[Source]
) -> closing[Generator[Source, None, None]]:
    """The sources, as long as somebody waits for the answer; small pictures are read by one thread at a time."""
    return closing(taking_turns(wanted(abandoned, sources), is_heavy, state.turn))


def wanted(abandoned: threading.Event, items: Iterable[T]) -> Iterator[T]:
    """The items, as long as somebody waits for the answer."""
    for item in items:
        if abandoned.is_set():
            raise ClientDisconnect
        yield item
