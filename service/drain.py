"""Leaving politely: on SIGTERM the service is unready at once, serves on for a while, then stops.

Load balancers take a moment to notice that an instance is not ready; whoever they still send is answered, with
`Connection: close`. A second signal of the same kind ends at once.
"""

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType

from service.logs import LOGGER
from service.state import State

Handler = Callable[[int, FrameType | None], None]


def drain_on_signals(state: State, seconds: float) -> None:
    """Put a drain before what the server does on SIGTERM and SIGINT.

    Called while the server starts, after it has set its own handlers; does nothing outside the main thread, where
    signals do not arrive.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        stop = signal.getsignal(number)
        if callable(stop):
            signal.signal(number, _Drain(state, seconds, stop, asyncio.get_running_loop()))


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
