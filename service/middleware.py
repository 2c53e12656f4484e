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
# FastAPI's own route, which it does not tell of.
_DOCUMENT = "/openapi.json"
_QUIET_ROUTES = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})

# A refused upload is read and thrown away for so long, so that its sender gets to see the answer.
_LINGER_SECONDS = 2.0

# Nobody is left to answer; the number that nginx uses for it.
CLIENT_GONE = 499


class _Exchange:
    """One request on its way: hands on what is received and sent, and remembers what the middleware must know of it."""

    __slots__ = ("_metrics", "_receive", "_send", "body_read", "headers", "request_id", "scope", "started", "status")

    def __init__(self, scope: Scope, receive: Receive, send: Send, metrics: Metrics) -> None:
        self.started = time.perf_counter()
        self.scope, self._receive, self._send, self._metrics = scope, receive, send, metrics
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self.request_id = request_id(self.headers.get(b"x-request-id", b""))
        self.status = 0
        self.body_read = False

    async def receive(self) -> Message:
        message = await self._receive()
        self.body_read = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.body_read = self.body_read or not _has_body(self.headers)
            self._begin(message["status"], message["headers"])
        elif not message.get("more_body", False):
            self.record()
            if not self.body_read and b"expect" not in self.headers:
                await self._send({**message, "more_body": True})
                await _linger(self._receive)
                message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def answer(self, response: Response) -> None:
        """Send a whole answer to a request whose body was read."""
        self._begin(response.status_code, response.raw_headers)
        self.record()
        await self._send(
            {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
        )
        await self._send({"type": "http.response.body", "body": response.body})

    def record(self) -> None:
        """Count the request; before its last byte leaves, so that whoever has an answer finds it in the metrics."""
        method = self.scope["method"] if self.scope["method"] in _METHODS else "other"
        route = getattr(self.scope.get("route"), "path", None)
        if route is None:
            route = _DOCUMENT if _route_path(self.scope) == _DOCUMENT else "unmatched"
        record(self._metrics, self.request_id, method, route, self.status, self.started)

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        headers.append((b"x-request-id", self.request_id.encode()))
        service = self.scope["state"].get("service")
        # What is left of a body would be taken for the next request; and who drains wants its callers to go elsewhere.
        if not self.body_read or (service is not None and not service.ready):
            headers.append((b"connection", b"close"))


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
        exchange = _Exchange(scope, receive, send, self._metrics)
        state = scope.setdefault("state", {})
        state["request_id"], state["headers"] = exchange.request_id, exchange.headers
        self._metrics.in_flight.add(1)
        try:
            await self._answer(exchange)
        finally:
            self._metrics.in_flight.add(-1)

    async def _answer(self, exchange: _Exchange) -> None:
        try:
            await self._dispatch(exchange)
        except ClientDisconnect:
            exchange.status = CLIENT_GONE
            exchange.record()
        except ServiceError as error:
            await self._refuse(error, exchange)
        except Exception:
            LOGGER.exception("request failed", extra={"request_id": exchange.request_id})
            if exchange.status:
                raise
            await self._refuse(
                InternalError("the request failed in the service; its request_id is in the log"), exchange
            )

    async def _dispatch(self, exchange: _Exchange) -> None:
        scope = exchange.scope
        path = _route_path(scope)
        scope["state"]["service"].api_keys.check(path, exchange.headers)
        route, endpoint = self._direct.get((scope["method"], path), (None, None))
        if endpoint is None:
            await self._app(scope, exchange.receive, exchange.send)
            return
        scope["route"] = route
        await exchange.answer(await endpoint(Request(scope, exchange.receive)))

    async def _refuse(self, error: ServiceError, exchange: _Exchange) -> None:
        self._metrics.count_refusal(error.code)
        await problem_response(error, exchange.scope)(exchange.scope, exchange.receive, exchange.send)


def record(metrics: Metrics, identity: str, method: str, route: str, status: int, started: float) -> None:
    """One request more in the metrics, and a line in the log."""
    seconds = time.perf_counter() - started
    metrics.observe_request(method, route, status, seconds)
    level = logging.DEBUG if route in _QUIET_ROUTES else logging.INFO
    if LOGGER.isEnabledFor(level):
        extra = {
            "request_id": identity,
            "method": method,
            "route": route,
            "status": status,
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


async def _linger(receive: Receive) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while (message := await receive())["type"] == "http.request" and message.get("more_body", False):
                pass
