"""The reading routes: thin. They receive, hand over to the reader, and write the answer.

A small picture is read on the event loop: it takes about as long as handing it to a thread and back would. What may
take longer goes to a worker thread, so that probes and other requests are answered meanwhile.
"""

import asyncio
import base64
import io
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from time import perf_counter
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import anyio
import numpy as np
import orjson
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from PIL import Image
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from service import decisions, images, openapi, uploads
from service.admission import Ticket
from service.errors import DeadlineExceeded, InvalidRequest, ServiceError
from service.parallel import taking_turns
from service.reader import Digit, Reading, Source, Timings, is_heavy
from service.schemas import BatchPrediction, ModelDescription, Prediction, ReadOptions
from service.state import State

router = APIRouter(tags=["reading"])

T = TypeVar("T")

_DEFAULTS = ReadOptions()  # type: ignore[call-arg]


@router.post(
    "/predict",
    summary="Read one picture of a digit",
    response_model=Prediction,
    responses=openapi.problems(400, 413, 415, 422, 429, 500, 503, 504),
    openapi_extra=openapi.PREDICT,
)
async def predict(request: Request) -> Response:
    state: State = request.scope["state"]["service"]
    options = _options(request)
    timings = Timings()
    with state.admission.admit() as ticket, Deadline(request, state):
        reading = await _read_one(request, state, ticket, options, timings)
    state.metrics.observe_readings([reading])
    return _Json(prediction_json(reading, state, options), timing(state, timings))


@router.post(
    "/predict/batch",
    summary="Read many pictures of digits",
    response_model=BatchPrediction,
    responses=openapi.problems(400, 413, 415, 422, 429, 500, 503, 504),
    openapi_extra=openapi.PREDICT_BATCH,
)
async def predict_batch(request: Request) -> Response:
    state: State = request.scope["state"]["service"]
    options = _options(request)
    timings = Timings()
    with state.admission.admit() as ticket, Deadline(request, state):
        items, results = await _read_many(request, state, ticket, options, timings)
    state.metrics.batch_items.observe(len(items))
    state.metrics.observe_readings(results)
    answer = {
        "results": [
            _batch_result(index, item, result, options)
            for index, (item, result) in enumerate(zip(items, results, strict=True))
        ],
        "counts": _counts(results),
        "model": state.model_name,
    }
    return _Json(_to_json(answer), timing(state, timings))


@router.get(
    "/model", summary="The record of the model that answers", response_model=ModelDescription, tags=["operations"]
)
async def model(request: Request) -> Response:
    state: State = request.scope["state"]["service"]
    return _Json(_to_json(state.model_description), {})


# Dispatched without the router; see the middleware.
DIRECT = [route for route in router.routes if isinstance(route, APIRoute) and route.path.startswith("/predict")]


async def _read_one(request: Request, state: State, ticket: Ticket, options: ReadOptions, timings: Timings) -> Reading:
    started = perf_counter()
    body = await uploads.receive_one(request, state.limits, ticket)
    timings.read = perf_counter() - started
    ticket.add(images=1)
    reader, accept_at = state.reader, _accept_at(options, state)
    picture = light_picture(body, state.limits)
    if picture is None:

        def read(_: threading.Event) -> Reading | ServiceError:
            return reader.read([uploads.one(body, state.limits)], accept_at=accept_at, timings=timings)[0]

        return _or_raise(await in_thread(request, state, read, timings))
    digit = reader.prepare(picture, timings)
    if not isinstance(digit, Digit):
        return _or_raise(digit)
    waiting = perf_counter()
    probabilities, reject, timings.infer = await state.batcher.predict(digit.pixels)
    timings.queue = perf_counter() - waiting - timings.infer
    return reader.decide(digit, probabilities, reject, accept_at)


def light_picture(body: uploads.Body, limits: uploads.Limits) -> bytes | None:
    """The picture, if unpacking and reading it take so little time that the event loop may wait for it."""
    if len(body.data) > 2 * images.LIGHT_BYTES:
        return None
    picture = uploads.one(body, limits)
    return picture if images.is_light(picture) else None


async def _read_many(
    request: Request, state: State, ticket: Ticket, options: ReadOptions, timings: Timings
) -> tuple[list[uploads.Upload], list[Reading | ServiceError]]:
    started = perf_counter()
    body = await uploads.receive_many(request, state.limits, ticket)
    timings.read = perf_counter() - started
    accept_at = _accept_at(options, state)

    def read(abandoned: threading.Event) -> tuple[list[uploads.Upload], list[Reading | ServiceError]]:
        items = uploads.many(body, state.limits)
        ticket.add(images=len(items))
        with in_turn(state, abandoned, [item.source for item in items]) as sources:
            return items, state.reader.read(sources, accept_at=accept_at, timings=timings)

    return await in_thread(request, state, read, timings)


def in_turn(
    state: State, abandoned: threading.Event, sources: Iterable[Source]
) -> closing[Generator[Source, None, None]]:
    """The sources, as long as somebody waits for the answer; small pictures are read by one thread at a time."""

    def wanted() -> Iterator[Source]:
        for source in sources:
            if abandoned.is_set():
                raise ClientDisconnect
            yield source

    return closing(taking_turns(wanted(), is_heavy, state.turn))


async def in_thread(request: Request, state: State, work: Callable[[threading.Event], T], timings: Timings) -> T:
    """Run CPU work in a worker thread; told to stop when the client leaves or the deadline passes."""
    waiting = perf_counter()
    abandoned = threading.Event()

    def begin() -> T:
        timings.queue = perf_counter() - waiting
        if abandoned.is_set():
            raise ClientDisconnect
        return work(abandoned)

    job = asyncio.ensure_future(anyio.to_thread.run_sync(begin, limiter=state.limiter, abandon_on_cancel=True))
    left = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((job, left), return_when=asyncio.FIRST_COMPLETED)
        if not job.done():
            raise ClientDisconnect
        return job.result()
    finally:
        abandoned.set()
        job.cancel()
        left.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class Deadline:
    """A block that must end within the configured time, or the caller's `X-Request-Timeout-Ms` if that is less.

    Raises:
        InvalidRequest: the caller's value is no positive integer.
        DeadlineExceeded: the time is over.
    """

    def __init__(self, request: Request, state: State) -> None:
        self._ms = state.settings.max_timeout_ms
        asked = uploads.header(request, b"x-request-timeout-ms")
        if asked is not None:
            if not (asked.isascii() and asked.isdigit() and int(asked[:9])):
                raise InvalidRequest(
                    f"the header X-Request-Timeout-Ms is {asked[:20]!r}; it must be a positive integer"
                )
            self._ms = min(self._ms, int(asked[:9]))
        self._expired = False

    # What asyncio.timeout does, without its states: that takes as long as 5 % of a reading.
    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._timer = asyncio.get_running_loop().call_later(self._ms / 1000, self._expire)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise DeadlineExceeded(f"the request took longer than {self._ms} ms") from error

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()


def _options(request: Request) -> ReadOptions:
    query: bytes = request.scope["query_string"]
    if not query:
        return _DEFAULTS
    try:
        return ReadOptions(**dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)))  # type: ignore[arg-type]
    except ValidationError as exc:
        raise InvalidRequest("; ".join(_explain(problem) for problem in exc.errors())) from exc


def _explain(problem: Any) -> str:
    name = problem["loc"][-1]
    if problem["type"] == "extra_forbidden":
        return f"there is no query parameter '{name[:60]}'; allowed are {', '.join(ReadOptions.model_fields)}"
    message = problem["msg"].removeprefix("Value error, ")
    value = str(problem["input"])[:60]
    return f"the query parameter '{name}' has the value {value!r}: {message[:1].lower()}{message[1:]}"


def _accept_at(options: ReadOptions, state: State) -> float | None:
    if options.accept_at is not None:
        return options.accept_at
    if "target_error" not in options.model_fields_set:
        return None
    return decisions.accept_at_for(options.target_error, state.record.thresholds)


def _or_raise(result: T | ServiceError) -> T:
    """Raise an item's error as that of the whole request."""
    if isinstance(result, ServiceError):
        raise result
    return result


def prediction_json(reading: Reading, state: State, options: ReadOptions = _DEFAULTS) -> bytes:
    """The answer to a request with one picture."""
    return _to_json(_prediction(reading, options) | {"model": state.model_name})


def _to_json(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def _prediction(reading: Reading, options: ReadOptions) -> dict[str, Any]:
    prediction: dict[str, Any] = {
        "digit": reading.digit,
        # As float32, so that it is written with the same digits as its place among the probabilities.
        "confidence": np.float32(reading.confidence),
        "probabilities": reading.probabilities,
        "reject": np.float32(reading.reject),
        "decision": reading.decision,
        "reasons": reading.reasons,
    }
    if options.include == "image":
        prediction["image"] = _png(reading)
    return prediction


def _png(reading: Reading) -> str | None:
    if reading.pixels is None:
        return None
    buffer = io.BytesIO()
    Image.fromarray(reading.pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _batch_result(
    index: int, item: uploads.Upload, result: Reading | ServiceError, options: ReadOptions
) -> dict[str, Any]:
    if isinstance(result, ServiceError):
        error = {"code": result.code, "title": result.title, "detail": result.detail}
        return {"index": index, "id": item.id, "prediction": None, "error": error}
    return {"index": index, "id": item.id, "prediction": _prediction(result, options), "error": None}


def _counts(results: Sequence[Reading | ServiceError]) -> dict[str, int]:
    counts = Counter("error" if isinstance(result, ServiceError) else result.decision for result in results)
    return {"items": len(results)} | {name: counts[name] for name in ("accept", "review", "reject", "error")}


def timing(state: State, timings: Timings) -> dict[str, str]:
    """The header that says how long each stage took; counts them."""
    state.metrics.observe_stages(timings)
    if timings.digits:
        state.metrics.inference_batch_size.observe(timings.digits)
    return {
        "Server-Timing": f"read;dur={timings.read * 1000:.3f}, decode;dur={timings.decode * 1000:.3f}, "
        f"normalize;dur={timings.normalize * 1000:.3f}, queue;dur={timings.queue * 1000:.3f}, "
        f"infer;dur={timings.infer * 1000:.3f}"
    }


class _Json(Response):
    """An answer whose headers are known: not looked through again as `Response` does."""

    def __init__(self, content: bytes, headers: Mapping[str, str]) -> None:
        self.status_code, self.background = 200, None
        self.body = content
        self.raw_headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(self.body)),
            *[(name.lower().encode(), value.encode()) for name, value in headers.items()],
        ]
