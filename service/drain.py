"""Leaving politely: on SIGTERM the service is unready at once, serves on for a while, then stops.

Load balancers take a moment to notice that an instance is not ready; whoever they still send is answered, with
`Connection: close`. A second signal of the same kind ends at once.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from service.logs import LOGGER
from service.state import State

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def draining_on_signals(state: State, seconds: float) -> Iterator[None]:
    """Put a drain before what the server does on SIGTERM and SIGINT, as long as it serves.

    Entered while the server starts, after it has set its own handlers; does nothing outside the main thread, where
    signals do not arrive.
    """
    stops: dict[signal.Signals, Handler] = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        stops = {number: stop for number, stop in handlers.items() if callable(stop)}
    for number, stop in stops.items():
        signal.signal(number, _Drain(state, seconds, stop, asyncio.get_running_loop()))
    try:
        yield
    finally:
        for number, stop in stops.items():
            signal.signal(number, stop)


class _Drain:
    """Signal handler: first unready, after `seconds` or at the second signal what the server does to stop."""

    def __init__(self, state: State, seconds: float, stop: Handler, loop: asyncio.AbstractEventLoop) -> None:
        self._state, self._seconds, self._stop, self._loop = state, seconds, stop, loop
        self._draining = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._draining:
            # To stop waiting for connections the server wants SIGINT twice.
            self._stop(signal.SIGINT, frame)
            self._stop(signal.SIGINT, frame)
            return
        self._draining = True
        self._state.ready = False
        LOGGER.info("draining", extra={"signal": signal.Signals(number).name, "seconds": self._seconds})
        self._loop.call_soon_threadsafe(self._loop.call_later, self._seconds, self._stop, number, frame)
