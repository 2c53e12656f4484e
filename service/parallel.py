"""Many pictures in bearable portions, several portions at a time, and the results in the order of the pictures."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from itertools import islice
from threading import Lock
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

# So many small pictures take a few milliseconds.
_FEW = 16


def portions(items: Iterable[A], size: Callable[[A], int], *, max_items: int, max_size: int) -> Iterator[list[A]]:
    """Neighbours together, so many that neither limit is passed; an item over `max_size` goes alone."""
    portion: list[A] = []
    total = 0
    for item in items:
        if portion and (len(portion) == max_items or total + size(item) > max_size):
            yield portion
            portion, total = [], 0
        portion.append(item)
        total += size(item)
    if portion:
        yield portion


def in_order(
    work: Callable[[Sequence[A]], Sequence[B]],
    items: Iterable[Sequence[A]],
    threads: int,
    apart: Callable[[Sequence[A]], bool] = lambda _: True,
) -> Generator[B, None, None]:
    """What `work` makes of each portion, one result after the other.

    Only a portion more than there are threads is under way, so a long row of pictures never lies in memory as a whole.
    A portion that `apart` says no of is worked on in the caller's thread, when its turn comes: work that holds the
    interpreter's lock most of the time is slowed down by company. Raises what `work` raises, and then begins no other
    portion.
    """
    pool = ThreadPoolExecutor(threads)
    window: deque[Callable[[], Sequence[B]]] = deque()
    try:
        for portion in items:
            window.append(pool.submit(work, portion).result if apart(portion) else partial(work, portion))
            if len(window) > threads:
                yield from window.popleft()()
        while window:
            yield from window.popleft()()
    finally:
        pool.shutdown(cancel_futures=True)


def taking_turns(items: Iterable[A], apart: Callable[[A], bool], turn: Lock) -> Generator[A, None, None]:
    """The items, while `turn` is held; but not around a few neighbours of which one is worked on apart.

    For several threads that share a lock: two that read small pictures at the same time, each call of which holds the
    interpreter's lock, take half as long again as one that reads all of them.
    """
    items = iter(items)
    while few := list(islice(items, _FEW)):
        with nullcontext() if any(map(apart, few)) else turn:
            yield from few
