"""Around every request: an id, one metric, one log line, and an honest answer when something breaks.

Pure ASGI: a `BaseHTTPMiddleware` costs more than the network, and so does the way through FastAPI's router and
dependencies. The routes that matter are therefore dispatched here, by their exact path and method; any other request
takes the long way, and would find the same functions there.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import InternalError, ServiceError
from service.logs import LOGGER
from service.metrics import Metrics
from service.problems import problem_response, request_id

Endpoint = Callable[[Request], Awaitable[Response]]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET_ROUTES = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})

# A refused upload is read and thrown away for so long, so that its sender gets to see the answer.
_LINGER_SECONDS = 2.0

# Nobody is left to answer; the number that nginx uses for it.
_CLIENT_GONE = 499


@dataclass
class _Exchange:
    """One request on its way: what the wrapped `receive` and `send` saw of it."""

    request_id: str
    headers: Mapping[bytes, bytes]
    started: float = field(default_factory=time.perf_counter)
    status: int = 0
    body_read: bool = False


class RequestMiddleware:
    """Outermost layer of the application; `direct` are the routes it dispatches itself."""

    def __init__(self, app: ASGIApp, metrics: Metrics, direct: Iterable[APIRoute] = (), root_path: str = "") -> None:
        self._app = app
        self._metrics = metrics
        self._root_path = root_path
        self._direct: dict[tuple[str, str], tuple[APIRoute, Endpoint]] = {
            (method, route.path): (route, route.endpoint) for route in direct for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._root_path:
            _put_under(self._root_path, scope)
        headers = dict(scope["headers"])
        exchange = _Exchange(request_id(headers.get(b"x-request-id", b"")), headers)
        scope.setdefault("state", {})["request_id"] = exchange.request_id

        async def watched_receive() -> Message:
            message = await receive()
            exchange.body_read = not message.get("more_body", False)
            return message

        async def watched_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                exchange.body_read = exchange.body_read or not _has_body(headers)
                _add_headers(message, exchange, scope)
            elif not message.get("more_body", False):
                # Counted before the last byte leaves, so whoever has an answer finds it in the metrics.
                self._record(scope, exchange)
                if not exchange.body_read and b"expect" not in headers:
                    await send({**message, "more_body": True})
                    await _linger(receive)
                    message = {"type": "http.response.body", "body": b""}
            await send(message)

        self._metrics.in_flight.add(1)
        try:
            await self._answer(scope, watched_receive, watched_send, exchange)
        finally:
            self._metrics.in_flight.add(-1)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, exchange: _Exchange) -> None:
        try:
            await self._dispatch(scope, receive, send, exchange.headers)
        except ClientDisconnect:
            exchange.status = _CLIENT_GONE
            self._record(scope, exchange)
        except ServiceError as error:
            await self._refuse(error, scope, receive, send)
        except Exception:
            LOGGER.exception("request failed", extra={"request_id": exchange.request_id})
            if exchange.status:
                raise
            fault = InternalError("the request failed in the service; its request_id is in the log")
            await self._refuse(fault, scope, receive, send)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send, headers: Mapping[bytes, bytes]) -> None:
        path = _route_path(scope)
        scope["state"]["service"].api_keys.check(path, headers)
        route, endpoint = self._direct.get((scope["method"], path), (None, None))
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        response = await endpoint(Request(scope, receive))
        await response(scope, receive, send)

    async def _refuse(self, error: ServiceError, scope: Scope, receive: Receive, send: Send) -> None:
        self._metrics.count_refusal(error)
        await problem_response(error, scope)(scope, receive, send)

    def _record(self, scope: Scope, exchange: _Exchange) -> None:
        seconds = time.perf_counter() - exchange.started
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.observe_request(method, route, exchange.status, seconds)
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


def _put_under(root_path: str, scope: Scope) -> None:
    """Complete the path as ASGI wants it, whether the proxy took the root path off or not."""
    scope["root_path"] = root_path
    if not scope["path"].startswith(f"{root_path}/"):
        scope["path"] = root_path + scope["path"]


def _route_path(scope: Scope) -> str:
    """The path below the root path."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _has_body(headers: Mapping[bytes, bytes]) -> bool:
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


def _add_headers(message: Message, exchange: _Exchange, scope: Scope) -> None:
    headers = message["headers"]
    headers.append((b"x-request-id", exchange.request_id.encode()))
    service = scope["state"].get("service")
    # What is left of a body would be taken for the next request; and who drains wants its callers to go elsewhere.
    if not exchange.body_read or (service is not None and not service.ready):
        headers.append((b"connection", b"close"))


async def _linger(receive: Receive) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while (message := await receive())["type"] == "http.request" and message.get("more_body", False):
                pass
