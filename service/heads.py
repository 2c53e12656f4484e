"""Requests that come as a whole, recognised by their head without being parsed.

A caller's heads hardly differ but in the length of the body, so what one of them says is remembered, and a parser with
a call for each header is needed for the others only.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

# So many are remembered, by their hashes alone: a head may hold a key.
_MAX_REMEMBERED = 4096

_SPECIAL = re.compile(rb"(?:^|\n)(?:transfer-encoding|connection|expect|upgrade|origin|x-request-id)[ \t]*:|\n[ \t]")
_LENGTH = re.compile(rb"\ncontent-length[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r")
_NUMBER = re.compile(rb"0|[1-9][0-9]{0,15}")
# As RFC 9112 has it, and every parser takes it.
_FIELD = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*"
_SANE = re.compile(rb"(?:%b\r\n)*%b" % (_FIELD, _FIELD))
_UNUSUAL = re.compile(rb"(?:^|\n)x-request-timeout-ms:")
_TYPE = re.compile(rb"(?:^|\n)content-type:[ \t]*([^\r\n]*?)[ \t]*(?:\r|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Head:
    """What a head says: the route that the request leads to, None if it is no plain POST, and how long its body is.

    `content_type` is None where a reading needs more than that to be known: a query, a header that changes how it is
    read, or whatever a parser may see otherwise.
    """

    route: str | None
    length: int
    content_type: bytes | None = None


class Heads:
    """The heads that were seen by one event loop.

    Args:
        routes: paths as they come in, with the route that they lead to.
    """

    def __init__(self, routes: Mapping[bytes, str]) -> None:
        self._routes = routes
        self._seen: dict[int, Head] = {}

    def of_whole(self, data: bytes) -> Head | None:
        """The head of a request, if it is nothing but one whole POST for a known route, with a body of stated length.

        What would change how it is answered (another version, a header about the connection, an id of the caller's)
        or where it ends (chunks, two lengths) gives None.
        """
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return None
        text = data[:end]
        key = hash(text)
        head = self._seen.get(key)
        if head is None:
            if len(self._seen) >= _MAX_REMEMBERED:
                self._seen.clear()
            head = self._seen[key] = self._read(text)
        return head if head.route is not None and head.length == len(data) - end - 4 else None

    def _read(self, head: bytes) -> Head:
        line, _, fields = head.partition(b"\r\n")
        lower = fields.lower()
        if not line.startswith(b"POST ") or not line.endswith(b" HTTP/1.1") or _SPECIAL.search(lower):
            return Head(None, 0)
        lengths = _LENGTH.findall(b"\r\n" + lower + b"\r\n")
        if len(lengths) != 1 or not _NUMBER.fullmatch(lengths[0]):
            return Head(None, 0)
        path, query, _ = line[5:-9].partition(b"?")
        types = _TYPE.findall(fields)
        plain = not query and len(types) < 2 and _SANE.fullmatch(fields) and not _UNUSUAL.search(lower)
        return Head(self._routes.get(path), int(lengths[0]), b"".join(types) if plain else None)
