"""uvicorn's HTTP protocol with a guard at the door, for what the application would see too late or not at all.

A request head must come in time and be of a sane size. When as much is in flight as may be, a reading is refused
here, before a task is made for it, and mostly before it is parsed; see `refusals`. And a plain reading is answered from
here, see `shortcut`, mostly without being parsed either; see `heads`.
"""

import asyncio
from time import perf_counter
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import InvalidRequest
from service.problems import problem_json, request_id
from service.shortcut import Shortcut
from service.state import State

HEAD_SECONDS = 10.0
# So long a connection that is new when the service stops is waited on for a request.
FIRST_REQUEST_SECONDS = 0.7
MAX_HEAD_BYTES = 64 * 1024

_BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\nx-request-id: %b\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b"
)


class GuardedProtocol(HttpToolsProtocol):
    """Closes a connection whose request head does not come within 10 s or is longer than 64 KiB; refuses overload.

    A request that may be plain is kept back (`_plain`) until it is there as a whole, and then waits for its turn of the
    shortcut (`_waiting`); to the application it is made known only if it turns out not to be plain. One that came as a
    whole waits without having been parsed (`_unparsed`).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True
        self._in_message = False
        self._has_asked = False
        self._refused = False
        self._close_after_refusal = False
        self._idle_since = 0.0
        self._service: State | None = self.app_state.get("service")
        self._shortcut: Shortcut | None = self.app_state.get("shortcut")
        self._plain: list[bytes] | None = None
        self._plain_headers: dict[bytes, bytes] = {}
        self._plain_started = 0.0
        self._unparsed: bytes | None = None
        self._waiting = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_done()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        self._finish_waiting()
        if self._has_asked:
            super().shutdown()
        else:
            # Who has just come in may have sent a request that is not read yet; it would see a reset.
            self.loop.call_later(FIRST_REQUEST_SECONDS, super().shutdown)

    def data_received(self, data: bytes) -> None:
        if self._service is not None and self._take_unparsed(self._service, data):
            return
        # Answers leave in the order of the requests.
        self._finish_waiting()
        if not self._refused and self._plain is None and (self.cycle is None or self.cycle.response_complete):
            self._in_head = True
        self._head_bytes += len(data)
        super().data_received(data)
        if self._plain is not None and not self.transport.is_closing():
            # The rest comes later, if at all.
            self.go_long(b"".join(self._plain))
        if self._in_head and not self.transport.is_closing():
            self._await_head()

    def on_message_begin(self) -> None:
        self._in_message = self._has_asked = True
        self._finish_waiting()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_done()
        state = self._service
        if state is None:
            super().on_headers_complete()
            return
        pipelined = self.cycle is not None and not self.cycle.response_complete
        if not pipelined and self._is_full(state) and not self._comes_from_a_page(state):
            route = state.refusals.route_to(self._path())
            if route is not None:
                self._refuse(state, route)
                return
        if pipelined or not self._may_be_plain():
            super().on_headers_complete()

    def _may_be_plain(self) -> bool:
        """Whether the request may be plain; from then on its body is kept back."""
        if self._shortcut is None or self.flow.write_paused or not self.parser.should_keep_alive():
            return False
        headers = dict(self.headers)
        if self.parser.get_http_version() != "1.1" or not self._shortcut.takes(
            self.parser.get_method(), self.url, headers
        ):
            return False
        self._plain, self._plain_headers, self._plain_started = [], headers, perf_counter()
        return True

    def is_waiting(self) -> bool:
        """Whether the plain request is still to be answered."""
        return self._waiting and not self.transport.is_closing()

    def answer(self, head: bytes, body: bytes) -> None:
        """Send the answer to the plain request."""
        unparsed, self._unparsed, self._waiting = self._unparsed is not None, None, False
        standing = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        self.transport.write(b"".join((b"HTTP/1.1 200 OK\r\n", *standing, head, b"\r\n", body)))
        if unparsed:
            self.server_state.total_requests += 1
            self._keep_alive()
        else:
            self.on_response_complete()

    def go_long(self, body: bytes) -> None:
        """Tell the application of a request that was kept back."""
        if self._unparsed is not None:
            data, self._unparsed, self._waiting = self._unparsed, None, False
            shortcut, self._shortcut = self._shortcut, None
            super().data_received(data)
            self._shortcut = shortcut
            return
        complete, self._waiting, self._plain = self._waiting, False, None
        super().on_headers_complete()
        if body:
            super().on_body(body)
        if complete:
            self._enter()

    def _finish_waiting(self) -> None:
        """Let a request that waits go the long way: there those behind it get their turns one by one, and others between."""
        if self._waiting and self._shortcut is not None:
            self.go_long(self._shortcut.take_back(self))

    def on_body(self, body: bytes) -> None:
        if self._plain is not None:
            self._plain.append(body)
        elif not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_message = False
        if self._plain is not None and self._shortcut is not None:
            body, self._plain, self._waiting = b"".join(self._plain), None, True
            self._shortcut.add(self, self._plain_headers, body, self._plain_started)
            return
        if not self._refused:
            self._enter()
            return
        self._refused = False
        if self._close_after_refusal:
            self.transport.close()
        else:
            self._keep_alive()

    def _enter(self) -> None:
        """The request is here as a whole; until its task has begun, and holds a ticket, it is counted here."""
        super().on_message_complete()
        state = self._service
        if state is not None:
            state.admission.entering += 1
            # Behind the first step of the task.
            self.loop.call_soon(state.admission.has_entered)

    def _keep_alive(self) -> None:
        """Wait for another request; a timer that runs since an earlier one is left to find out that it is too early."""
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._close_when_idle(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._close_when_idle(left)
        else:
            super().timeout_keep_alive_handler()

    def _close_when_idle(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _is_full(self, state: State) -> bool:
        """Whether no other request may be let in.

        Who still sends does not count: slow senders must not keep others out.
        """
        return state.admission.is_full(self._about_to_enter(state))

    def _about_to_enter(self, state: State) -> int:
        return state.admission.entering + len(self._shortcut or ())

    def _take_unparsed(self, state: State, data: bytes) -> bool:
        """Read or refuse a plain request that is here as a whole; any other takes the way through the parser."""
        if self._in_message or self._waiting or not state.ready:
            return False
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        head = state.heads.of_whole(data)
        if head is None or head.route is None:
            return False
        if self._is_full(state):
            self._send_refusal(state, head.route, request_id(b""))
            self._keep_alive()
        elif self._shortcut is not None and self._shortcut.takes_whole(head) and not self.flow.write_paused:
            self._unparsed, self._waiting = data, True
            # A timer that runs since an earlier request finds out that it is too early.
            self._idle_since = self.loop.time()
            headers = {b"content-type": head.content_type or b""}
            self._shortcut.add(self, headers, data[len(data) - head.length :], perf_counter())
        else:
            return False
        if self._in_head:
            self._head_done()
        self._has_asked = True
        return True

    def _comes_from_a_page(self, state: State) -> bool:
        """Whether the answer must say that a web page may see it; the application says it."""
        return bool(state.settings.cors_origins) and any(name == b"origin" for name, _ in self.headers)

    def _path(self) -> bytes:
        path: bytes = httptools.parse_url(self.url).path
        return path

    def _refuse(self, state: State, route: str) -> None:
        """Answer 429; what comes of the body is read and dropped, so that the sender gets to see it."""
        identity = request_id(dict(self.headers).get(b"x-request-id", b""))
        # Who asked whether to send the body will not send it now; the connection cannot be used again.
        close = self.expect_100_continue or not self.parser.should_keep_alive() or not state.ready
        self._send_refusal(state, route, identity, b"connection: close\r\n" if close else b"")
        self._refused, self._close_after_refusal = True, close
        if self.expect_100_continue:
            self.transport.close()

    def _send_refusal(self, state: State, route: str, identity: str, header: bytes = b"") -> None:
        in_flight = state.admission.requests + self._about_to_enter(state)
        self.transport.write(state.refusals.answer(route, in_flight, identity, header))

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or no sane request, as all other errors are answered."""
        identity = request_id(b"")
        error = InvalidRequest(msg[:1].lower() + msg[1:].rstrip("."))
        body = problem_json(error, "", identity)
        self.transport.write(_BAD_REQUEST % (identity.encode(), len(body), body))
        self.transport.close()
        if self._service is not None:
            self._service.metrics.count_refusal(error.code)
            self._service.metrics.observe_request("other", "unmatched", error.status, 0.0)

    def _await_head(self) -> None:
        """The head is not complete; most come at once, so that no timer is started for them."""
        if self._head_timer is None:
            self._expect_head()
        if self._head_bytes > MAX_HEAD_BYTES:
            self._head_done()
            self.send_400_response(f"The request head is longer than {MAX_HEAD_BYTES} bytes.")

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_too_slow)

    def _head_done(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()
