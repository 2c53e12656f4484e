"""429 at the door: what a reading that finds no room is told, at the least cost.

Under three times its capacity a service refuses twice as often as it reads, so each microsecond here is a hundredth of
its readings.
"""

import asyncio
import re
from collections.abc import Mapping
from functools import cache

from service.errors import Overloaded
from service.metrics import Metrics
from service.problems import problem_json

# A caller's heads hardly differ but in the length of the body. So many are remembered, by their hashes alone: a head
# may hold a key.
_MAX_REMEMBERED = 4096

_ANSWER = (
    b"HTTP/1.1 429 Too Many Requests\r\n"
    b"content-type: application/problem+json\r\nretry-after: 1\r\nx-request-id: %b\r\ncontent-length: %d\r\n%b\r\n%b"
)

_SPECIAL = re.compile(rb"(?:^|\n)(?:transfer-encoding|connection|expect|upgrade|origin|x-request-id)[ \t]*:|\n[ \t]")
_LENGTH = re.compile(rb"\ncontent-length[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r")
_NUMBER = re.compile(rb"0|[1-9][0-9]{0,15}")


class Refusals:
    """Refuses readings for one event loop.

    Args:
        refusable: paths as they come in, with the route that they lead to, of requests that may be refused.
    """

    def __init__(self, refusable: Mapping[bytes, str], metrics: Metrics) -> None:
        self._refusable, self._metrics = refusable, metrics
        self._plain_heads: dict[int, tuple[str | None, int]] = {}
        self._uncounted: dict[str, int] = {}

    def route_to(self, path: bytes) -> str | None:
        """The route that a path leads to, if a request for it may be refused."""
        return self._refusable.get(path)

    def route_of_whole(self, data: bytes) -> str | None:
        """The route that a request leads to, if it is nothing but one whole POST with a body of stated length.

        What would change how it is answered (another version, a header about the connection, an id of the caller's)
        or where it ends (chunks, two lengths) gives None.
        """
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = data[:end]
        key = hash(head)
        known = self._plain_heads.get(key)
        if known is None:
            if len(self._plain_heads) >= _MAX_REMEMBERED:
                self._plain_heads.clear()
            known = self._plain_heads[key] = self._read(head)
        route, length = known
        return route if length == len(data) - end - 4 else None

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

    def _read(self, head: bytes) -> tuple[str | None, int]:
        """The route and the length of the body; no route if the head is not plain."""
        line, _, fields = head.partition(b"\r\n")
        fields = fields.lower()
        if not line.startswith(b"POST ") or not line.endswith(b" HTTP/1.1") or _SPECIAL.search(fields):
            return None, 0
        lengths = _LENGTH.findall(b"\r\n" + fields + b"\r\n")
        if len(lengths) != 1 or not _NUMBER.fullmatch(lengths[0]):
            return None, 0
        return self.route_to(line[5:-9].partition(b"?")[0]), int(lengths[0])


@cache
def _body(route: str) -> bytes:
    """The body of a refusal, with places for how many are in flight and for the request's id."""
    return problem_json(Overloaded("%d requests are in flight; no more are taken in now"), route, "%b")
