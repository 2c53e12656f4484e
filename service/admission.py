"""How much work may be in flight: requests, pictures and bytes. Beyond that, 429 at once instead of a growing queue."""

import threading
from dataclasses import dataclass, field
from types import TracebackType

from service.errors import Overloaded

# For each request that may be worked on, so many more may take their time to send: they cost memory, no work.
_SLOW_PER_REQUEST = 7


@dataclass
class Admission:
    """Counts work in flight and turns away what would exceed a limit.

    A single request larger than a limit is let in while nothing else is in flight: the limits on one request are
    kept elsewhere, and waiting would not make it smaller.
    """

    max_requests: int
    max_images: int
    max_bytes: int
    requests: int = 0
    # Of the requests, those that wait for the rest of a body.
    receiving: int = 0
    # Beside the requests, those that are about to ask for a ticket.
    entering: int = 0
    images: int = 0
    bytes: int = 0
    # A batch learns how many pictures it holds in a worker thread.
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def has_room(self, requests: int, size: int) -> bool:
        """Whether so many requests more, each with one picture, would be let in, the last with `size` bytes."""
        return (
            not self.is_full(requests - 1)
            and self.images + requests <= self.max_images
            and self.bytes + size <= self.max_bytes
        )

    def admit(self) -> "Ticket":
        """A ticket, to be used in a `with` statement: lets one request in until the block ends.

        Raises:
            Overloaded: on entering the block, if as many requests are in flight as allowed.
        """
        return Ticket(self)

    def has_entered(self) -> None:
        """One that was entering holds a ticket now, or was turned away."""
        self.entering -= 1

    def is_full(self, others: int = 0) -> bool:
        """Whether no other request may be worked on, while so many `others` are about to be let in."""
        return self.requests - self.receiving + others >= self.max_requests


@dataclass(slots=True)
class Ticket:
    """What one request holds."""

    admission: Admission
    images: int = 0
    bytes: int = 0
    receiving: bool = False

    def wait_for_body(self) -> None:
        """Keep no place from others until the sender of this request has brought its body."""
        if not self.receiving:
            self.receiving = True
            self.admission.receiving += 1

    def is_in_a_crowd(self) -> bool:
        """Whether too many requests wait for the rest of their bodies."""
        return self.admission.receiving > self.admission.max_requests * _SLOW_PER_REQUEST

    def begin(self) -> None:
        """Count as worked on again, now that the body is here.

        Raises:
            Overloaded: others have taken all places meanwhile.
        """
        if not self.receiving:
            return
        if self.admission.is_full():
            raise _too_many(self.admission.requests)
        self._received()

    def _received(self) -> None:
        if self.receiving:
            self.receiving = False
            self.admission.receiving -= 1

    def __enter__(self) -> "Ticket":
        admission = self.admission
        if admission.is_full():
            raise _too_many(admission.requests)
        admission.requests += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.admission.requests -= 1
        self.release()

    def add(self, *, images: int = 0, size: int = 0) -> None:
        """Take more.

        Raises:
            Overloaded: pictures or bytes in flight would exceed their limit, and others hold some of them.
        """
        admission = self.admission
        with admission._lock:
            _check(admission.images + images, admission.max_images, admission.images - self.images, "pictures")
            _check(admission.bytes + size, admission.max_bytes, admission.bytes - self.bytes, "bytes")
            admission.images += images
            admission.bytes += size
            self.images += images
            self.bytes += size

    def release(self) -> None:
        self._received()
        with self.admission._lock:
            self.admission.images -= self.images
            self.admission.bytes -= self.bytes
            self.images = self.bytes = 0


def _check(wanted: int, allowed: int, others: int, what: str) -> None:
    if wanted > allowed and others:
        raise Overloaded(f"{others} {what} of other requests are in flight; no more are taken in now")


def _too_many(requests: int) -> Overloaded:
    return Overloaded(f"{requests} requests are in flight; no more are taken in now")
