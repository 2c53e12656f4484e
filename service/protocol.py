"""uvicorn's HTTP protocol with a guard at the door, for what the application would see too late or not at all.

A request head must come in time and be of a sane size. And when as much is in flight as may be, a reading is refused
here, before a task is made for it: under three times its capacity a service that spends a quarter of a reading on
each refusal would answer little else.
"""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import Overloaded
from service.problems import problem_json, request_id
from service.state import State

HEAD_SECONDS = 10.0
MAX_HEAD_BYTES = 64 * 1024

_REFUSAL = (
    b"HTTP/1.1 429 Too Many Requests\r\n"
    b"content-type: application/problem+json\r\nretry-after: 1\r\nx-request-id: %b\r\ncontent-length: %d\r\n%b\r\n%b"
)


class GuardedProtocol(HttpToolsProtocol):
    """Closes a connection whose request head does not come within 10 s or is longer than 64 KiB; refuses overload."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._refused = False
        self._close_after_refusal = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_done()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head_timer is None and not self._refused and (self.cycle is None or self.cycle.response_complete):
            self._expect_head()
        if self._head_timer is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._head_done()
            self.send_400_response(f"The request head is longer than {MAX_HEAD_BYTES} bytes.")

    def on_headers_complete(self) -> None:
        self._head_done()
        state: State | None = self.app_state.get("service")
        if state is not None and state.admission.is_full(len(self.tasks)):
            route = state.refusable.get(self._path())
            pipelined = self.cycle is not None and not self.cycle.response_complete
            if route is not None and not pipelined:
                self._refuse(state, route)
                return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._refused:
            super().on_message_complete()
            return
        self._refused = False
        if self._close_after_refusal:
            self.transport.close()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _path(self) -> bytes:
        path: bytes = httptools.parse_url(self.url).path
        return path

    def _refuse(self, state: State, route: str) -> None:
        """Answer 429; what comes of the body is read and dropped, so that the sender gets to see it."""
        error = Overloaded(f"{len(self.tasks)} requests are in flight; no more are taken in now")
        identity = request_id(dict(self.headers).get(b"x-request-id", b""))
        body = problem_json(error, route, identity)
        # Who asked whether to send the body will not send it now; the connection cannot be used again.
        close = self.expect_100_continue or not self.parser.should_keep_alive() or not state.ready
        self.transport.write(
            _REFUSAL % (identity.encode(), len(body), b"connection: close\r\n" if close else b"", body)
        )
        state.metrics.count_refusal(error)
        state.metrics.observe_request("POST", route, error.status, 0.0)
        self._refused, self._close_after_refusal = True, close
        if self.expect_100_continue:
            self.transport.close()

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_too_slow)

    def _head_done(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()
