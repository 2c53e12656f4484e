"""429 at the door: what a reading that finds no room is told, at the least cost.

Under three times its capacity a service refuses twice as often as it reads, so each microsecond here is a hundredth of
its readings.
"""

import asyncio
from collections.abc import Mapping
from functools import cache

from service.errors import Overloaded
from service.metrics import Metrics
from service.problems import problem_json

_ANSWER = (
    b"HTTP/1.1 429 Too Many Requests\r\n"
    b"content-type: application/problem+json\r\nretry-after: 1\r\nx-request-id: %b\r\ncontent-length: %d\r\n%b\r\n%b"
)


class Refusals:
    """Refuses readings for one event loop.

    Args:
        refusable: paths as they come in, with the route that they lead to, of requests that may be refused.
    """

    def __init__(self, refusable: Mapping[bytes, str], metrics: Metrics) -> None:
        self._refusable, self._metrics = refusable, metrics
        self._uncounted: dict[str, int] = {}

    def route_to(self, path: bytes) -> str | None:
        """The route that a path leads to, if a request for it may be refused."""
        return self._refusable.get(path)

    def answer(self, route: str, in_flight: int, identity: str, header: bytes = b"") -> bytes:
        """The whole answer to a request for `route`, with `header` (and its line's end) if any; it is counted."""
        if not self._uncounted:
            asyncio.get_running_loop().call_soon(self._count)
        self._uncounted[route] = self._uncounted.get(route, 0) + 1
        told = identity.encode()
        body = _body(route) % (in_flight, told)
        return _ANSWER % (told, len(body), header, body)

    def _count(self) -> None:
        """All of one turn of the event loop at once."""
        for route, times in self._uncounted.items():
            self._metrics.observe_refusals(Overloaded.code, route, Overloaded.status, times)
        self._uncounted.clear()


@cache
def _body(route: str) -> bytes:
    """The body of a refusal, with places for how many are in flight and for the request's id."""
    return problem_json(Overloaded("%d requests are in flight; no more are taken in now"), route, "%b")
