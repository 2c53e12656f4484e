"""How much work may be in flight: requests, pictures and bytes. Beyond that, 429 at once instead of a growing queue."""

import threading
from dataclasses import dataclass, field
from types import TracebackType

from service.errors import Overloaded


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
    images: int = 0
    bytes: int = 0
    # A batch learns how many pictures it holds in a worker thread.
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def has_room(self, requests: int, size: int) -> bool:
        """Whether so many requests more, each with one picture, would be let in, the last with `size` bytes."""
        return (
            self.requests + requests <= self.max_requests
            and self.images + requests <= self.max_images
            and self.bytes + size <= self.max_bytes
        )

    def admit(self) -> "Ticket":
        """A ticket, to be used in a `with` statement: lets one request in until the block ends.

        Raises:
            Overloaded: on entering the block, if as many requests are in flight as allowed.
        """
        return Ticket(self)


@dataclass(slots=True)
class Ticket:
    """What one request holds."""

    admission: Admission
    images: int = 0
    bytes: int = 0

    def __enter__(self) -> "Ticket":
        admission = self.admission
        if admission.requests >= admission.max_requests:
            raise Overloaded(f"{admission.requests} requests are in flight; no more are taken in now")
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
        with self.admission._lock:
            self.admission.images -= self.images
            self.admission.bytes -= self.bytes
            self.images = self.bytes = 0


def _check(wanted: int, allowed: int, others: int, what: str) -> None:
    if wanted > allowed and others:
        raise Overloaded(f"{others} {what} of other requests are in flight; no more are taken in now")
