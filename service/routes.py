"""The reading routes: thin. They receive, hand over to the reader, and write the answer.

A small picture is read on the event loop: it takes about as long as handing it to a thread and back would. What may
take longer goes to a worker thread, so that probes and other requests are answered meanwhile.
"""

import threading
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from service import decisions, fields, openapi, uploads
from service.admission import Ticket
from service.answers import DEFAULTS, Json, batch_json, prediction, prediction_json, timing, to_json
from service.errors import InvalidRequest, ServiceError
from service.fields import FieldReading
from service.reader import Digit, Reading, Source, Timings
from service.schemas import (
    BatchPrediction,
    DecideOptions,
    FieldBatchPrediction,
    FieldItemOptions,
    FieldOptions,
    FieldPrediction,
    ModelDescription,
    Prediction,
    ReadOptions,
)
from service.state import State
from service.uploads import Upload
from service.work import Deadline, in_thread, in_turn, wanted

router = APIRouter(tags=["reading"])

T = TypeVar("T")
R = TypeVar("R", Reading, FieldReading)
Options = TypeVar("Options", bound=BaseModel)


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
    return Json(prediction_json(reading, state, options), timing(state, timings))


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

    def read(items: list[Upload], abandoned: threading.Event, timings: Timings) -> list[Reading | ServiceError]:
        with in_turn(state, abandoned, [item.source for item in items]) as sources:
            return state.reader.read(sources, accept_at=_accept_at(options, state), timings=timings)

    describe = partial(prediction, options=options)
    return await _answer_batch(request, state, read, state.metrics.observe_readings, describe)


@router.post(
    "/predict/field",
    summary="Read the number in one picture",
    response_model=FieldPrediction,
    responses=openapi.problems(400, 413, 415, 422, 429, 500, 503, 504),
    openapi_extra=openapi.PREDICT_FIELD,
)
async def predict_field(request: Request) -> Response:
    state: State = request.scope["state"]["service"]
    options = _query(request, FieldOptions)
    timings = Timings()
    with state.admission.admit() as ticket, Deadline(request, state):
        reading = await _read_field(request, state, ticket, options, timings)
    state.metrics.observe_fields([reading])
    answer = fields.answer(reading)
    answer["model"] = state.model_name
    return Json(to_json(answer), timing(state, timings))


@router.post(
    "/predict/field/batch",
    summary="Read the numbers in many pictures",
    response_model=FieldBatchPrediction,
    responses=openapi.problems(400, 413, 415, 422, 429, 500, 503, 504),
    openapi_extra=openapi.PREDICT_FIELD_BATCH,
)
async def predict_field_batch(request: Request) -> Response:
    state: State = request.scope["state"]["service"]
    options = _query(request, FieldOptions)

    def read(items: list[Upload], abandoned: threading.Event, timings: Timings) -> list[FieldReading | ServiceError]:
        return [_read_item(item, state, options, timings) for item in wanted(abandoned, items)]

    return await _answer_batch(request, state, read, state.metrics.observe_fields, fields.answer)


@router.get(
    "/model", summary="The record of the model that answers", response_model=ModelDescription, tags=["operations"]
)
async def model(request: Request) -> Response:
    state: State = request.scope["state"]["service"]
    return Json(to_json(state.model_description), {})


# Dispatched without the router; see the middleware.
DIRECT = [route for route in router.routes if isinstance(route, APIRoute) and route.path.startswith("/predict")]


async def _read_one(request: Request, state: State, ticket: Ticket, options: ReadOptions, timings: Timings) -> Reading:
    started = perf_counter()
    body = await uploads.receive_one(request, state.limits, ticket)
    timings.read = perf_counter() - started
    ticket.add(images=1)
    reader, accept_at = state.reader, _accept_at(options, state)
    picture = uploads.light_picture(body, state.limits)
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
    return reader.decide(digit, probabilities, reject, timings, accept_at)


async def _read_field(
    request: Request, state: State, ticket: Ticket, options: FieldOptions, timings: Timings
) -> FieldReading:
    started = perf_counter()
    body = await uploads.receive_one(request, state.limits, ticket)
    timings.read = perf_counter() - started
    ticket.add(images=1)

    def read(_: threading.Event) -> FieldReading | ServiceError:
        return _read_as_asked(uploads.one(body, state.limits), state, options, timings)

    return _or_raise(await in_thread(request, state, read, timings))


async def _answer_batch(
    request: Request,
    state: State,
    read: Callable[[list[Upload], threading.Event, Timings], list[R | ServiceError]],
    observe: Callable[[list[R | ServiceError]], None],
    describe: Callable[[R], dict[str, Any]],
) -> Response:
    timings = Timings()
    with state.admission.admit() as ticket, Deadline(request, state):
        started = perf_counter()
        body = await uploads.receive_many(request, state.limits, ticket)
        timings.read = perf_counter() - started

        def unpack_and_read(abandoned: threading.Event) -> tuple[list[Upload], list[R | ServiceError]]:
            items = uploads.many(body, state.limits)
            ticket.add(images=len(items))
            return items, read(items, abandoned, timings)

        items, results = await in_thread(request, state, unpack_and_read, timings)
    state.metrics.batch_items.observe(len(items))
    observe(results)
    return Json(batch_json(items, results, state, describe), timing(state, timings))


def _read_item(item: Upload, state: State, options: FieldOptions, timings: Timings) -> FieldReading | ServiceError:
    """One field of a batch; what its JSON item says of it wins over the query."""
    try:
        own = FieldItemOptions(**item.options)
    except ValidationError as exc:
        return InvalidRequest(_explain(exc, "member", FieldItemOptions))
    asked = options.model_copy(update=own.model_dump(exclude_unset=True))
    return _read_as_asked(item.source, state, asked, timings)


def _read_as_asked(
    source: Source, state: State, options: FieldOptions, timings: Timings
) -> FieldReading | ServiceError:
    promised = options.target_error if "target_error" in options.model_fields_set else None
    return state.reader.read_field(
        source, options.constraints(), accept_at=options.accept_at, target_error=promised, timings=timings
    )


def _options(request: Request) -> ReadOptions:
    return _query(request, ReadOptions) if request.scope["query_string"] else DEFAULTS


def _query(request: Request, model: type[Options]) -> Options:
    query = dict(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))
    try:
        return model(**query)
    except ValidationError as exc:
        raise InvalidRequest(_explain(exc, "query parameter", model)) from exc


def _explain(error: ValidationError, what: str, model: type[BaseModel]) -> str:
    return "; ".join(_explain_one(problem, what, model) for problem in error.errors())


def _explain_one(problem: Any, what: str, model: type[BaseModel]) -> str:
    name = problem["loc"][-1]
    if problem["type"] == "extra_forbidden":
        return f"there is no {what} '{name[:60]}'; allowed are {', '.join(model.model_fields)}"
    message = problem["msg"].removeprefix("Value error, ")
    value = str(problem["input"])[:60]
    return f"the {what} '{name}' has the value {value!r}: {message[:1].lower()}{message[1:]}"


def _accept_at(options: DecideOptions, state: State) -> float | None:
    """The least confidence to accept at that the query asks for; None where it does not."""
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
