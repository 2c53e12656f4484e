"""Many pictures in bearable portions, several portions at a time, and the results in the order of the pictures."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


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
    work: Callable[[Sequence[A]], Sequence[B]], items: Iterable[Sequence[A]], threads: int
) -> Generator[B, None, None]:
    """What `work` makes of each portion, one result after the other.

    Only a portion more than there are threads is under way, so a long row of pictures never lies in memory as a whole.
    Raises what `work` raises, and then begins no other portion.
    """
    pool = ThreadPoolExecutor(threads)
    window: deque[Future[Sequence[B]]] = deque()
    try:
        for portion in items:
            window.append(pool.submit(work, portion))
            if len(window) > threads:
                yield from window.popleft().result()
        while window:
            yield from window.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
