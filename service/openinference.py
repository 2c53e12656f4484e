"""The Open Inference Protocol, version 2 over REST: so KServe and its clients work unchanged.

Routes, tensors and errors follow the protocol's `inference_rest` specification, its version paths included, and the
binary tensor data extension that Triton's clients use by default. The one input, `image`, comes as normalised digits
(UINT8 `[N, 28, 28]`, white ink on black) or as `N` encoded pictures of any size (BYTES `[N]`; base64 in JSON, raw with
a length in front in binary), which are read as `/predict` reads them. A request succeeds or fails as a whole.
"""

import threading
import time
from typing import Any

from fastapi import APIRouter, Request, Response

from service import __version__, openapi, tensors, uploads
from service.admission import Ticket
from service.answers import timing
from service.errors import NotFound, ServiceError, Unavailable, UnsupportedMediaType, shown
from service.preprocessing import SIZE
from service.reader import Reading, Timings
from service.schemas import (
    InferenceModel,
    InferenceModelReady,
    InferenceResponse,
    InferenceServer,
    ServerLive,
    ServerReady,
)
from service.state import State
from service.work import Deadline, in_thread, in_turn

router = APIRouter(prefix="/v2", tags=["open inference protocol"])

# Clients that send the JSON without naming its type: `curl -d` says x-www-form-urlencoded.
_MEDIA_TYPES = ("", "application/json", "application/octet-stream", "application/x-www-form-urlencoded")


@router.get("", summary="The server's metadata", response_model=InferenceServer)
async def server() -> dict[str, Any]:
    return {"name": "digits", "version": __version__, "extensions": ["binary_tensor_data"]}


@router.get("/health/live", summary="The server runs", response_model=ServerLive)
async def live() -> dict[str, bool]:
    return {"live": True}


@router.get(
    "/health/ready",
    summary="The server takes requests",
    response_model=ServerReady,
    responses=openapi.inference_errors(503),
)
async def ready(request: Request) -> dict[str, bool]:
    _require_ready(request)
    # The specification's schema names this "live", its text "ready": clients of either kind find theirs.
    return {"ready": True, "live": True}


@router.get(
    "/models/{name}",
    summary="The model's metadata",
    response_model=InferenceModel,
    response_model_exclude_none=True,
    responses=openapi.inference_errors(404),
)
@router.get(
    "/models/{name}/versions/{version}",
    summary="The metadata of one version",
    response_model=InferenceModel,
    response_model_exclude_none=True,
    responses=openapi.inference_errors(404),
)
async def model(request: Request, name: str, version: str | None = None) -> dict[str, Any]:
    state = _find_model(request, name, version)
    return {
        "name": state.record.name,
        "versions": [state.record.version],
        "platform": "onnx_onnxv1",
        "inputs": [
            {
                "name": "image",
                "datatype": "UINT8",
                "shape": [-1, SIZE, SIZE],
                "parameters": {"or": {"datatype": "BYTES", "shape": [-1]}},
            }
        ],
        "outputs": [
            {"name": output, "datatype": kind.datatype, "shape": [-1, *kind.shape]}
            for output, kind in tensors.OUTPUTS.items()
        ],
    }


@router.get(
    "/models/{name}/ready",
    summary="The model takes requests",
    response_model=InferenceModelReady,
    responses=openapi.inference_errors(404, 503),
)
@router.get(
    "/models/{name}/versions/{version}/ready",
    summary="One version takes requests",
    response_model=InferenceModelReady,
    responses=openapi.inference_errors(404, 503),
)
async def model_ready(request: Request, name: str, version: str | None = None) -> dict[str, Any]:
    state = _find_model(request, name, version)
    _require_ready(request)
    return {"name": state.record.name, "ready": True}


@router.post(
    "/models/{name}/infer",
    summary="Read digits or pictures",
    response_model=InferenceResponse,
    responses=openapi.inference_errors(400, 404, 413, 415, 422, 429, 500, 503, 504),
    openapi_extra=openapi.INFER,
)
@router.post(
    "/models/{name}/versions/{version}/infer",
    summary="Read digits or pictures with one version",
    response_model=InferenceResponse,
    responses=openapi.inference_errors(400, 404, 413, 415, 422, 429, 500, 503, 504),
    openapi_extra=openapi.INFER,
)
async def infer(request: Request, name: str, version: str | None = None) -> Response:
    state = _find_model(request, name, version)
    _check_media_type(request)
    timings = Timings()
    with state.admission.admit() as ticket, Deadline(request, state):
        call, readings = await _receive_and_read(request, state, ticket, timings)
    state.metrics.batch_items.observe(len(readings))
    state.metrics.observe_readings(readings)
    body, header_length = tensors.answer(call, readings, state.record)
    headers = timing(state, timings)
    if header_length is None:
        return Response(body, headers=headers, media_type="application/json")
    headers |= {tensors.HEADER_LENGTH: str(header_length)}
    return Response(body, headers=headers, media_type="application/octet-stream")


async def _receive_and_read(
    request: Request, state: State, ticket: Ticket, timings: Timings
) -> tuple[tensors.Call, list[Reading]]:
    started = time.perf_counter()
    body = await uploads.receive_many(request, state.limits, ticket)
    timings.read = time.perf_counter() - started
    header_length = request.headers.get(tensors.HEADER_LENGTH)

    def read(abandoned: threading.Event) -> tuple[tensors.Call, list[Reading]]:
        call = tensors.parse(body.data, header_length, state.limits)
        ticket.add(images=len(call.pictures))
        with in_turn(state, abandoned, call.pictures) as pictures:
            results = state.reader.read(pictures, timings=timings)
        return call, [_or_raise(index, result) for index, result in enumerate(results)]

    return await in_thread(request, state, read, timings)


def _or_raise(index: int, result: Reading | ServiceError) -> Reading:
    if isinstance(result, ServiceError):
        raise type(result)(f"picture {index}: {result.detail}") from result
    return result


def _find_model(request: Request, name: str, version: str | None) -> State:
    state: State = request.scope["state"]["service"]
    if name != state.record.name:
        raise NotFound(f"there is no model {shown(name)}; the one served is {state.record.name!r}")
    if version not in (None, state.record.version):
        raise NotFound(f"there is no version {shown(version)}; the one served is {state.record.version!r}")
    return state


def _require_ready(request: Request) -> None:
    state: State = request.scope["state"]["service"]
    if not state.ready:
        raise Unavailable("the service is starting or draining")


def _check_media_type(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _MEDIA_TYPES:
        raise UnsupportedMediaType(f"a body of type {shown(kind)} is not taken here; send application/json")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMediaType("a compressed body is not taken here")
