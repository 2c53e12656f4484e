"""The application: routes, middleware, error handlers, and the lifespan that loads the model and warms it up."""

import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from service import __version__, health, logs, openapi, openinference, page, routes, tallies
from service.classifier import DigitClassifier
from service.columns import ColumnReader
from service.drain import draining_on_signals
from service.errors import MethodNotAllowed, NotFound
from service.heap import use_one_heap
from service.metrics import Metrics
from service.middleware import RequestMiddleware
from service.reader import Reader
from service.settings import Settings, traces_are_wanted
from service.shortcut import Shortcut
from service.state import State

DESCRIPTION = """Reads handwritten digits from forms: which digit, how sure, and whether it may be used unread.

Send one picture to `/predict`, many to `/predict/batch`. Nothing is kept and nothing leaves.
"""


def create_app(configured: Settings | None = None) -> FastAPI:
    """The ASGI application; `uvicorn service.app:create_app --factory` serves it with settings of the environment.

    Raises:
        SettingError: a `DIGITS_*` variable does not parse.
        ModelError: while starting, if the model is not what the contract describes.
    """
    if configured is None:
        configured = Settings.from_env()
        logs.configure(configured.log_format, configured.log_level)
    metrics = Metrics()
    telemetry = _telemetry()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        use_one_heap()
        reader = _load_reader(configured)
        state = State(configured, reader, metrics, _refusable(configured.root_path), ready=True)
        metrics.observe_model(reader.classifier.record)
        # What is there now stays; a collection that looks at it again and again costs a tenth of a reading.
        gc.collect()
        gc.freeze()
        # A trace tells what the application does with a request, so with traces there is no shortcut.
        with draining_on_signals(state, configured.drain_seconds):
            yield {"service": state} | ({} if telemetry["tracing"] else {"shortcut": Shortcut(state)})
            state.ready = False
        tallies.save()

    app = FastAPI(
        title="digits",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        telemetry=telemetry,
        # FastAPI's own pages load their scripts from another host; ours come from here.
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(routes.router)
    app.include_router(openinference.router)
    app.include_router(health.router)
    app.include_router(page.router)
    # A trace tells what FastAPI's router knows of a request, so with traces all of them take that way.
    app.add_middleware(
        RequestMiddleware,
        metrics=metrics,
        direct=() if telemetry["tracing"] else routes.DIRECT,
        root_path=configured.root_path,
    )
    if configured.cors_origins:
        _let_pages_ask(app, configured.cors_origins)
    _handle_errors(app)
    _document(app, keys=bool(configured.api_keys))
    return app


def _load_reader(settings: Settings) -> Reader:
    """A reader whose networks have answered once; raises `ModelError`."""
    classifier = DigitClassifier.load(settings.model_path)
    classifier.warm_up()
    columns = ColumnReader.load(settings.field_model_path)
    columns.warm_up()
    return Reader(classifier, columns, settings.max_image_pixels, settings.accept_at)


def _telemetry() -> TelemetryConfig:
    """Traces where OpenTelemetry's variables ask for them; metrics are Prometheus's, and nothing else leaves."""
    wanted = traces_are_wanted()
    return TelemetryConfig(
        tracing=wanted,
        auto_configure=wanted,
        metrics=False,
        logs=False,
        exclude=lambda scope: scope["path"].endswith(("/health", "/health/live", "/health/ready", "/metrics")),
    )


def _let_pages_ask(app: FastAPI, origins: Sequence[str]) -> None:
    """Outside all else: a browser asks before it sends a key, and shows a page what has the header, errors too."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=("GET", "POST"),
        allow_headers=("Authorization", "Content-Type", "X-API-Key", "X-Request-ID", "X-Request-Timeout-Ms"),
        expose_headers=("Retry-After", "Server-Timing", "X-Request-ID"),
    )


def _refusable(root_path: str) -> dict[bytes, str]:
    """Where readings are asked for, with and without the root path."""
    return {(prefix + route.path).encode(): route.path for route in routes.DIRECT for prefix in {"", root_path}}


def _handle_errors(app: FastAPI) -> None:
    """Turn the router's own errors into ours; the middleware answers them all."""

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            raise NotFound("there is no such route; see /docs")
        if error.status_code == 405:
            raise MethodNotAllowed(request.method, (error.headers or {}).get("Allow", ""))
        raise error


def _document(app: FastAPI, *, keys: bool) -> None:
    generate = app.openapi

    def document() -> dict[str, Any]:
        return app.openapi_schema or openapi.complete(generate(), keys=keys)

    app.openapi = document  # type: ignore[method-assign]
