"""The reading routes: thin. They receive, hand over to the reader in a worker thread, and write the answer."""

import base64
import io
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, TypeVar

import anyio
import numpy as np
import orjson
from fastapi import APIRouter, Query, Request, Response
from PIL import Image

from service import decisions, openapi, uploads
from service.errors import ServiceError
from service.reader import Reading, Timings
from service.schemas import BatchPrediction, ModelDescription, Prediction, ReadOptions
from service.state import State

router = APIRouter(tags=["reading"])

T = TypeVar("T")
Options = Annotated[ReadOptions, Query()]


@router.post(
    "/predict",
    summary="Read one picture of a digit",
    response_model=Prediction,
    responses=openapi.problems(400, 413, 415, 422, 500),
    openapi_extra=openapi.PREDICT,
)
async def predict(request: Request, options: Options) -> Response:
    state: State = request.state.service
    started = time.perf_counter()
    body = await uploads.receive_one(request, state.limits)
    received = time.perf_counter()

    def read(timings: Timings) -> Reading:
        picture = uploads.one(body, state.limits)
        [result] = state.reader.read([picture], accept_at=_accept_at(options, state), timings=timings)
        if isinstance(result, ServiceError):
            raise result
        return result

    timings = Timings()
    reading = await _in_thread(state, partial(read, timings), timings)
    state.metrics.observe_readings([reading])
    answer = _prediction(reading, options) | {"model": state.model_name}
    return _json(answer, _timing(state, received - started, timings))


@router.post(
    "/predict/batch",
    summary="Read many pictures of digits",
    response_model=BatchPrediction,
    responses=openapi.problems(400, 413, 415, 422, 500),
    openapi_extra=openapi.PREDICT_BATCH,
)
async def predict_batch(request: Request, options: Options) -> Response:
    state: State = request.state.service
    started = time.perf_counter()
    body = await uploads.receive_many(request, state.limits)
    received = time.perf_counter()

    def read(timings: Timings) -> tuple[list[uploads.Upload], list[Reading | ServiceError]]:
        items = uploads.many(body, state.limits)
        sources = [item.source for item in items]
        return items, state.reader.read(sources, accept_at=_accept_at(options, state), timings=timings)

    timings = Timings()
    items, results = await _in_thread(state, partial(read, timings), timings)
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
    return _json(answer, _timing(state, received - started, timings))


@router.get(
    "/model", summary="The record of the model that answers", response_model=ModelDescription, tags=["operations"]
)
async def model(request: Request) -> Response:
    state: State = request.state.service
    return _json(state.model_description, {})


async def _in_thread(state: State, work: Callable[[], T], timings: Timings) -> T:
    """Run CPU work in a worker thread, so that probes and other requests are answered meanwhile."""
    waiting = time.perf_counter()

    def started() -> T:
        timings.queue = time.perf_counter() - waiting
        return work()

    return await anyio.to_thread.run_sync(started, limiter=state.limiter)


def _accept_at(options: ReadOptions, state: State) -> float | None:
    if options.accept_at is not None:
        return options.accept_at
    if "target_error" not in options.model_fields_set:
        return None
    return decisions.accept_at_for(options.target_error, state.reader.classifier.record.thresholds)


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


def _timing(state: State, read: float, timings: Timings) -> dict[str, str]:
    stages = {
        "read": read,
        "decode": timings.decode,
        "normalize": timings.normalize,
        "queue": timings.queue,
        "infer": timings.infer,
    }
    for stage, seconds in stages.items():
        state.metrics.stage_seconds.labels(stage).observe(seconds)
    if timings.digits:
        state.metrics.inference_batch_size.observe(timings.digits)
    return {"Server-Timing": ", ".join(f"{stage};dur={seconds * 1000:.3f}" for stage, seconds in stages.items())}


def _json(content: Any, headers: dict[str, str]) -> Response:
    data = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(data, headers=headers, media_type="application/json")
