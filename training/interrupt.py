"""Ctrl-C between two steps of a training: raised inside a call into TensorFlow, the exception may be swallowed."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def held_back() -> Iterator[Callable[[], None]]:
    """Hold SIGINT back until the function given here is called, which then raises `KeyboardInterrupt`.

    A second one takes its usual way at once. Outside the main thread, which alone is told of signals, nothing changes.
    """
    pressed = threading.Event()

    def raise_if_pressed() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield raise_if_pressed
        return

    def hold(_number: int, _frame: FrameType | None) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, usual)

    usual = signal.signal(signal.SIGINT, hold)
    try:
        yield raise_if_pressed
    finally:
        signal.signal(signal.SIGINT, usual)
