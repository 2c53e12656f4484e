"""The C library's heap, told to stay together."""

import ctypes
import sys
from contextlib import suppress

# Of mallopt(3): how many heaps there may be.
_M_ARENA_MAX = -8


def use_one_heap() -> None:
    """Let all threads take memory from one heap, where the C library is glibc.

    By default each thread gets one of its own, and what one of them has freed no other can use: memory then wanders up
    by some megabytes for hours. To be called before threads are started.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
