"""Around every request: an id, one metric, one log line, and an honest answer when something breaks.

Pure ASGI: a `BaseHTTPMiddleware` costs more than the network.
"""

import logging
import re
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import InternalError
from service.logs import LOGGER
from service.metrics import Metrics
from service.problems import problem_response

_SANE_ID = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET_ROUTES = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})

# A refused upload is read and thrown away for so long, so that its sender gets to see the answer.
_LINGER_SECONDS = 2.0


@dataclass
class _Exchange:
    """One request on its way: what the wrapped `receive` and `send` saw of it."""

    request_id: str
    started: float = field(default_factory=time.perf_counter)
    status: int = 0
    body_read: bool = False


class RequestMiddleware:
    """Outermost layer of the application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        exchange = _Exchange(_request_id(headers.get("x-request-id", "")))
        scope.setdefault("state", {})["request_id"] = exchange.request_id

        async def watched_receive() -> Message:
            message = await receive()
            exchange.body_read = not message.get("more_body", False)
            return message

        async def watched_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                exchange.body_read |= not _has_body(headers)
                _add_headers(message, exchange)
            elif not message.get("more_body", False):
                # Counted before the last byte leaves, so whoever has an answer finds it in the metrics.
                self._record(scope, exchange)
                if not exchange.body_read and "expect" not in headers:
                    await send({**message, "more_body": True})
                    await _linger(receive)
                    message = {"type": "http.response.body", "body": b""}
            await send(message)

        with self._metrics.in_flight.track_inprogress():
            await self._answer(scope, watched_receive, watched_send, exchange)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, exchange: _Exchange) -> None:
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            exchange.status = 499  # nobody is left to answer; the number nginx uses for it
            self._record(scope, exchange)
        except Exception:
            LOGGER.exception("request failed", extra={"request_id": exchange.request_id})
            if exchange.status:
                raise
            self._metrics.rejected.labels(InternalError.code).inc()
            error = InternalError("the request failed in the service; its request_id is in the log")
            await problem_response(error, scope)(scope, receive, send)

    def _record(self, scope: Scope, exchange: _Exchange) -> None:
        seconds = time.perf_counter() - exchange.started
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.requests.labels(method, route, str(exchange.status)).inc()
        self._metrics.request_seconds.labels(method, route).observe(seconds)
        level = logging.DEBUG if route in _QUIET_ROUTES else logging.INFO
        if LOGGER.isEnabledFor(level):
            extra = {
                "request_id": exchange.request_id,
                "method": method,
                "route": route,
                "status": exchange.status,
                "ms": round(seconds * 1000, 2),
            }
            LOGGER.log(level, "request", extra=extra)


def _request_id(sent: str) -> str:
    return sent if _SANE_ID.fullmatch(sent) else uuid.uuid4().hex


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _add_headers(message: Message, exchange: _Exchange) -> None:
    headers = MutableHeaders(scope=message)
    headers["X-Request-ID"] = exchange.request_id
    if not exchange.body_read:
        # What is left of the body would be taken for the next request.
        headers["Connection"] = "close"


async def _linger(receive: Receive) -> None:
    with suppress(TimeoutError), anyio.fail_after(_LINGER_SECONDS):
        while (message := await receive())["type"] == "http.request" and message.get("more_body", False):
            pass
