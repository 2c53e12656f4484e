"""The plain case of `POST /predict`, answered where its bytes come in.

One small picture that came at once, and nothing asked for beside it: so are most requests. A task of its own, and the way
through the application's layers, would cost each of them half as much as its reading; so the protocol hands them to a
`Shortcut`, which reads all that came in one turn of the event loop together, with one run of the network.

Whatever is not plain goes the long way through the application, and so does whatever turns out to be an error: the two
ways give the same answers, and only the long one knows how to refuse.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

import numpy as np

from service import images, uploads
from service.answers import prediction_json, timing
from service.errors import ServiceError, Unauthorized
from service.heads import Head
from service.middleware import CLIENT_GONE, record
from service.problems import request_id
from service.reader import Digit, Reading, Timings
from service.state import State

# Where these are said, something else than the plain case is wanted.
_UNUSUAL_HEADERS = (b"x-request-timeout-ms", b"expect", b"upgrade", b"origin")
# So many are read before the event loop looks for what else has come: who is refused, and who asks for the health,
# hears of it within some ten milliseconds, or three more for each that is looked at again. More in one run of the network
# gain next to nothing.
PORTION = 32
_ROUTE = "/predict"
_NO_LENGTH = b"x"


class Connection(Protocol):
    """Whom a plain request came from."""

    def is_waiting(self) -> bool:
        """Whether the request was not answered yet and somebody is left to answer."""

    def answer(self, head: bytes, body: bytes) -> None:
        """Send an answer with status 200: `head` are its own headers, each with its line's end."""

    def go_long(self, body: bytes) -> None:
        """Let the application answer the request."""


@dataclass(slots=True)
class Waiting:
    """A plain request on its way."""

    connection: Connection
    headers: Mapping[bytes, bytes]
    body: bytes
    started: float
    received: float
    timings: Timings = field(default_factory=Timings)


class Shortcut:
    """Reads the plain requests of one event loop."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._targets = frozenset(path for path, route in state.refusable.items() if route == _ROUTE)
        self._waiting: list[Waiting] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def takes(self, method: bytes, target: bytes, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request may be plain, as far as its head tells; `target` is the path with its query."""
        state, admission = self.state, self.state.admission
        if method != b"POST" or target not in self._targets or not state.ready:
            return False
        if any(name in headers for name in _UNUSUAL_HEADERS):
            return False
        length = headers.get(b"content-length", _NO_LENGTH)
        if not length.isdigit() or not admission.has_room(len(self._waiting) + 1, int(length)):
            return False
        try:
            state.api_keys.check(_ROUTE, headers)
        except Unauthorized:
            return False
        return int(length) <= 2 * images.LIGHT_BYTES

    def takes_whole(self, head: Head) -> bool:
        """Whether a request that came as a whole, and of which only the head was looked at, may be plain."""
        return (
            head.content_type is not None
            and head.route == _ROUTE
            and not self.state.api_keys.are_needed  # a key is in a header, and only the type of the picture is known
            and self.state.ready
            and head.length <= 2 * images.LIGHT_BYTES
            and self.state.admission.has_room(len(self._waiting) + 1, head.length)
        )

    def add(self, connection: Connection, headers: Mapping[bytes, bytes], body: bytes, started: float) -> None:
        """Read a request at the end of this turn of the event loop, or of one of the next if many are waiting."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._take_turn)
        self._waiting.append(Waiting(connection, headers, body, started, perf_counter()))
        self.state.metrics.in_flight.add(1)

    def take_back(self, connection: Connection) -> bytes:
        """The body of the request that waits on a connection; it is not read here any more."""
        index = next(index for index, request in enumerate(self._waiting) if request.connection is connection)
        self.state.metrics.in_flight.add(-1)
        return self._waiting.pop(index).body

    def _take_turn(self) -> None:
        self._read_portion()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._take_turn)

    def _read_portion(self) -> None:
        portion, self._waiting = self._waiting[:PORTION], self._waiting[PORTION:]
        self._read(portion)
        self.state.metrics.in_flight.add(-len(portion))

    def _read(self, waiting: list[Waiting]) -> None:
        try:
            digits = [(request, digit) for request in waiting if (digit := self._prepare(request)) is not None]
            if digits:
                self._infer(digits)
        except Exception:  # the application will meet the fault too, in one of them; there it is answered and logged
            for request in waiting:
                if request.connection.is_waiting():
                    request.connection.go_long(request.body)

    def _prepare(self, request: Waiting) -> Digit | None:
        """The picture as the network takes it; None where there is nothing left to do here."""
        timings = request.timings
        timings.read = request.received - request.started
        timings.queue = perf_counter() - request.received
        if not request.connection.is_waiting():
            self._record(request, CLIENT_GONE)
            return None
        try:
            body = uploads.parse(
                request.headers.get(b"content-type", b"").decode("latin-1"), request.body, self.state.limits
            )
            picture = uploads.light_picture(body, self.state.limits)
            prepared = None if picture is None else self.state.reader.prepare(picture, timings)
        except ServiceError:
            prepared = None
        if isinstance(prepared, Digit):
            return prepared
        if isinstance(prepared, Reading):
            self._answer(request, prepared)
        else:
            request.connection.go_long(request.body)
        return None

    def _infer(self, digits: list[tuple[Waiting, Digit]]) -> None:
        started = perf_counter()
        probabilities, rejects = self.state.reader.classifier.predict(np.array([digit.pixels for _, digit in digits]))
        seconds = perf_counter() - started
        self.state.metrics.inference_batch_size.observe(len(digits))
        for (request, digit), row, reject in zip(digits, probabilities, rejects, strict=True):
            timings = request.timings
            timings.infer = seconds
            # Since it was received, what was not spent on itself was spent waiting.
            timings.queue = started - request.received - timings.decode - timings.normalize
            self._answer(request, self.state.reader.decide(digit, row, reject, timings))

    def _answer(self, request: Waiting, reading: Reading) -> None:
        state = self.state
        state.metrics.observe_readings((reading,))
        body = prediction_json(reading, state)
        [server_timing] = timing(state, request.timings).values()
        identity = self._record(request, 200)
        head = b"content-type: application/json\r\ncontent-length: %d\r\nserver-timing: %b\r\nx-request-id: %b\r\n" % (
            len(body),
            server_timing.encode(),
            identity.encode(),
        )
        request.connection.answer(head, body)

    def _record(self, request: Waiting, status: int) -> str:
        identity = request_id(request.headers.get(b"x-request-id", b""))
        record(self.state.metrics, identity, "POST", _ROUTE, status, request.started)
        return identity
